"""`trueup model convert`: the same weights in another runtime and number format, assessed against what they were made of.

The version is made, both answer the dataset's held-out rows, a service process is asked with it, and the promotion gate says
whether it is as good within `convert.margin` and holds what the settings ask of every candidate (`promotion`,
`gates.max_forgetting`). If so, a history record names it as a format of its parent: then services with `serve.formats: fastest`
may answer with it. It is promoted like any other version.
"""

import hashlib
from typing import Any

import click

from command.command import Outcome, stage_command
from contract import layout
from contract.deciding import changes
from contract.errors import UsageError
from contract.policy import GatePolicy
from contract.registry import Registry, check_version
from contract.sequence import NumberedDocuments
from contract.settings import Settings
from contract.texts.figures import write_size
from metrics.judging.promotion import judge_assessment
from metrics.judging.verdicts import EXIT_CODES, FAIL, PASS
from pipeline.running import stages
from pipeline.running.local import ProcessRunner, Runner
from pipeline.versions.shared import BY, MODEL, VERSION, open_registry

# What the gate asks beside the comparison, and the settings that ask it.
BOUNDS = {"floor": "promotion.min_accuracy", "calibration": "promotion.max_ece", "forgetting": "gates.max_forgetting"}


@stage_command("convert")
@MODEL
@VERSION
@BY
@click.option("--runtime", type=click.Choice(["openvino"]), default="openvino", show_default=True, help="What computes it.")
@click.option("--number-format", type=click.Choice(["float32", "bfloat16", "int8"]), required=True,
              help="int8 is measured on training pictures of the version's dataset.")
@click.option("--dataset", help="Its training pictures measure int8, its held-out ones compare. [default: the version's]")
@click.option("--margin", type=click.FloatRange(0, 1, max_open=True), help="How much less accurate it may be, e.g. 0.005. "
              "[default: convert.margin]")
@click.option("--unassessed", is_flag=True, help="Do not compare; for versions without a dataset. `serve.formats: fastest` "
              "takes none.")
def convert_command(settings: Settings, model: str | None, version: str, by: str, runtime: str, number_format: str,
                    dataset: str | None, margin: float | None, unassessed: bool) -> Outcome:
    """Make a version of the same weights that is computed otherwise, and compare it with this one."""
    registry = open_registry(settings, model)
    card = registry.card(check_version(version))
    if not (dataset or card.dataset or unassessed):
        raise UsageError(f"{registry.model} version {version} names no dataset whose held-out pictures both could be asked: "
                         f"name one with --dataset, or convert without comparing: --unassessed.")
    made = make(ProcessRunner(), settings, registry, version, number_format, dataset, by)
    if unassessed:
        return Outcome(document=made | {"assessed": None}, text=f"{_say(made)}; it was not compared with version {version}")
    bound = settings.convert.margin if margin is None else margin
    decision = assess(ProcessRunner(), settings, registry, made, dataset or card.dataset, bound)
    if decision["verdict"] == PASS:
        let_in(registry, made["version"], version, by, decision)
    return Outcome(EXIT_CODES[decision["verdict"]], made | {"assessed": decision}, _write_text(made, decision, bound))


def make(runner: Runner, settings: Settings, registry: Registry, version: str, number_format: str, dataset: str | None,
         by: str) -> dict[str, Any]:
    """Makes the version, or finds it made before; returns the stage's document."""
    values = {"model": registry.model, "version": version, "number_format": number_format, "by": by}
    argv = ["--root", registry.storage.root, *stages.CONVERT.fill_arguments(values), *(["--dataset", dataset] if dataset else [])]
    return runner.run(stages.CONVERT, argv, _settings(settings)).document


def assess(runner: Runner, settings: Settings, registry: Registry, made: dict[str, Any], dataset: str | None,
           margin: float) -> dict[str, Any]:
    """Compares the version with its parent on held-out rows, by the promotion gate as the cycle asks it, with `margin` for the
    largest drop; returns the decision, which stands beside the card with what it was made from. `rests_on`: key of that
    document -> its sha256."""
    argv = ["--root", registry.storage.root, "--model", registry.model, "--candidate", made["version"], "--live", made["parent"],
            *(["--dataset", dataset] if dataset else [])]
    assessment = dict(runner.run(stages.ASSESS, argv, _settings(settings)).document)
    assessment.pop("judged", None)  # as a candidate for promotion, by another margin
    decision = judge_assessment(_choose_policy(settings.gates, registry, made["parent"], margin), assessment,
                             settings.promotion.min_accuracy, max_ece=settings.promotion.max_ece)
    kept = NumberedDocuments(registry.storage, layout.assessments(registry.model, made["version"]))
    key = kept.key(kept.add(assessment | {"margin": margin, "decision": decision}))
    latency = {side: of["latency_ms"] for side, of in assessment["versions"].items()}
    return decision | {"margin": margin, "latency_ms": latency,
                       "rests_on": {key: hashlib.sha256(registry.storage.read(key)).hexdigest()}}


def _choose_policy(policy: GatePolicy, registry: Registry, parent: str, margin: float) -> GatePolicy:
    """The policy with `margin` for its largest drop. A line in which nothing was trained here has no first dataset, of which
    something could be forgotten: its bound would let in no conversion of a version brought from outside, whatever it answers."""
    trained = any(card.dataset for card in registry.ancestors(parent, missing_ok=True))
    return policy.model_copy(update={"max_drop": margin} | ({} if trained else {"max_forgetting": None}))


def let_in(registry: Registry, version: str, of: str, by: str, decision: dict[str, Any]) -> None:
    """Writes the record by which services may answer with the version in its parent's place."""
    changes.accept_format(registry, version, of, by=by, reason=decision["sentence"],
                          further={"margin": decision["margin"], "rests_on": decision["rests_on"]})


def _settings(settings: Settings) -> dict[str, Any]:
    return settings.dump_for_stages()


def _say(made: dict[str, Any]) -> str:
    return f"version {made['version']} of {made['model']}: {made['card']['made_from']}"


def _write_text(made: dict[str, Any], decision: dict[str, Any], margin: float) -> str:
    """What came out. In the gate's sentence the candidate is the converted version, the live one its parent."""
    parent, latency = made["parent"], decision["latency_ms"]
    held = (f"as good as version {parent} within {write_size(margin)}: services with serve.formats: fastest may answer with "
            f"it. To make it live: trueup model promote {made['version']} --model {made['model']} --reason WHY")
    verdict = held if decision["verdict"] == PASS else _write_refusal(decision, parent)
    sentence = decision["sentence"].replace("the candidate has", f"version {made['version']} has").replace(
        "the live version", f"version {parent}")
    return (f"{_say(made)}\n{sentence}\none picture: {latency['candidate']} ms, version {parent} {latency['live']} ms\n"
            f"{verdict}")


def _write_refusal(decision: dict[str, Any], parent: str) -> str:
    """Why no service takes it by itself: first what fails, then what cannot be told."""
    verdict = decision["verdict"]
    found = {name: text for name, text in BOUNDS.items() if (decision.get(name) or {}).get("verdict") == verdict}
    bounds = " and ".join(found.values())
    compared = decision["overall"]["verdict"] == verdict or bool(decision["failed"]) or not bounds
    if verdict == FAIL:
        said = [f"not as good as version {parent}"] if compared else []
        return f"{', and '.join([*said, *([f'refused by {bounds}'] if bounds else [])])}: no service takes it by itself"
    unknown = [*([f"it is as good as version {parent}"] if compared else []), *([f"it holds {bounds}"] if bounds else [])]
    # The first dataset is made: its held-out rows become no more.
    cures = [*(["hold out more pictures"] if compared or found.keys() - {"forgetting"} else []),
             *(["allow a larger --margin"] if compared else []),
             *([f"do not ask it (--set {BOUNDS['forgetting']}=null)"] if "forgetting" in found else [])]
    return f"it cannot be told whether {', nor whether '.join(unknown)}: {', or '.join(cures)}"
