"""What `trueup evaluate` is asked for: a request, made from settings and options. jobs/count_window.py answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from command.load_settings import with_options
from contract import clock
from contract.errors import UsageError
from contract.policy import GatePolicy
from contract.records import PREDICTION
from contract.settings import Settings, is_submitted
from jobs.engines import day_files
from jobs.engines.question import Question, Slice, convert_settings, parse_role
from jobs.evidence.sections import check_names
from metrics.costs.table import Costs
from metrics.version import Rules

# Each has count(storage, days, question, **options) -> an iterator of DayCounts, and list_items alike, of DayItems.
ENGINES = {name: f"jobs.engines.{name}.engine" for name in ("embedded", "spark", "mapreduce")}
MOST_SLICES = 8
COMPUTED = ("hour", "image_size", "latency")  # what a slice may be beside a text column or an attribute
ATTRIBUTE = "attributes."


@dataclass(frozen=True)
class Request:
    """What is to be evaluated, and how.

    `first` and `last` are prediction days, both included: without `last` up to the day of the question's `as_of`, without
    `first` the newest `days` ones. `options` are those of the engine. `full`: count every day again. `quarantine`: go on
    without files that cannot be read. `evidence`: names of jobs.evidence.sections.SECTIONS; `windows`: newest
    days that gates judge beside the whole window; `costs`: what mistakes cost, for the section of that name.
    `embeddings`: so many pictures of each day that the section `pictures` has the live network look at; `targets`:
    accuracies, for the section `automatic`.
    `rests_on`: key -> sha256 of what the question was made from, which the evaluation names.
    """

    question: Question
    first: str | None = None
    last: str | None = None
    engine: str = "embedded"
    options: dict[str, Any] = field(default_factory=dict)
    full: bool = False
    quarantine: bool = False
    days: int = day_files.DEFAULT_DAYS
    rules: Rules = Rules()
    evidence: tuple[str, ...] = ()
    windows: tuple[int, ...] = ()
    costs: Costs = Costs()
    embeddings: int | None = None
    targets: tuple[float, ...] = ()
    rests_on: Mapping[str, str] = field(default_factory=dict)


def request_of(settings: Settings, as_of: str | None, slices: Sequence[str], role: str, runner: str | None,
               spark_conf: Sequence[str], version: str | None = None) -> Request:
    """Makes the request from settings and options; UsageError for options that do not go together.

    `slices` are texts NAME=EXPRESSION, `spark_conf` KEY=VALUE; both go before what the settings say. `version`: of the
    replayed rows those of this version alone.
    """
    chosen = settings.evaluate
    engine = "spark" if is_submitted() and "evaluate.engine" not in settings.origins else chosen.engine
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r}: expected one of {', '.join(ENGINES)}.")
    if runner and engine != "mapreduce":
        raise UsageError(f"--runner {runner} is for --engine mapreduce, got engine {engine}.")
    if spark_conf and engine != "spark":
        raise UsageError(f"--spark-conf is for --engine spark, got engine {engine}.")
    moment = clock.to_us(clock.parse_moment(as_of)) if as_of else clock.now_us()
    declared = tuple(_make_slice(name, what) for name, what in {**chosen.slices, **dict(map(_parse_slice, slices))}.items())
    if len(declared) > MOST_SLICES:
        raise UsageError(f"expected at most {MOST_SLICES} slices, got {len(declared)}.")
    options: dict[str, Any] = {"runner": runner} if runner else {}
    if engine == "spark":
        options = list_spark_options(settings, spark_conf)
    question = Question(settings.need_model(), moment, parse_role(role), slices=declared, version=version,
                        **convert_settings(chosen))
    if version is not None and question.role != "replay":
        raise UsageError(f"--model-version {version}: expected --role replay beside it, got {question.role}. Only replayed "
                         f"rows of several versions share their ids; an evaluation of another role shows each version by itself.")
    gates = settings.gates
    rules = Rules(chosen.accepted_ratio, tuple(chosen.bucket_edges) or None)
    return Request(question, engine=engine, options=options, days=chosen.days, rules=rules,
                   evidence=check_names([*chosen.evidence, *_need_evidence(gates)]), windows=tuple(gates.window_days),
                   embeddings=chosen.picture_embeddings, costs=Costs(gates.costs, gates.default_cost, gates.review_cost),
                   targets=tuple(chosen.accept_targets))


def _need_evidence(gates: GatePolicy) -> list[str]:
    """What the gates rest on beside the counts."""
    needs = {"combined": gates.estimate == "combined", "cost": gates.has_costs,
             "pictures": gates.max_picture_drift is not None, "automatic": gates.min_accepted_accuracy is not None}
    return [name for name, needed in needs.items() if needed]


def name_fit(settings: Settings, fit: str | None) -> Settings:
    """Returns the settings with the fit that an option names. UsageError beside weights, which are a fit of their own."""
    if fit is not None and settings.evaluate.labeler_weights:
        raise UsageError(f"--fit {fit}: expected no evaluate.labeler_weights beside it, which are of the fit "
                         f"{settings.evaluate.labeler_fit!r}. Leave one of them out.")
    return with_options(settings, evaluate__labeler_fit=fit)


def list_spark_options(settings: Settings, given: Sequence[str]) -> dict[str, Any]:
    """What the engine passes on to Spark; on an s3:// root the jars of s3a, too."""
    from jvm import spark_conf

    made = spark_conf.collect_conf(settings, given)
    return {"spark_conf": spark_conf.add_s3a(settings.root or "", made, settings.spark.jars)}


def _parse_slice(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"--slice {text!r}: expected NAME=EXPRESSION, for example camera=attributes.camera.")
    return name, value


def _make_slice(name: str, expression: str) -> Slice:
    texts = [field.name for field in PREDICTION.fields if field.type == "string"]
    if not expression.startswith(ATTRIBUTE) and expression not in (*COMPUTED, *texts):
        raise UsageError(f"slice {name}={expression}: expected a text column of the predictions ({', '.join(texts)}), "
                         f"attributes.NAME, hour, image_size or latency.")
    return Slice(name, expression)
