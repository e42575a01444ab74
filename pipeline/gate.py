"""Decides from an evaluation whether the live version still holds, and says why.

    trueup gate --model digits [--evaluation ID] [--dry-run] [--json]      (python -m pipeline.gate)
    trueup gate --model digits --what-if POLICY.yaml [--from DAY] [--to DAY] [--json]

Writes `decision.json` beside `evaluation.json`, and the report again, with the verdict.
Exit codes: 0 every gate passes, 3 one fails, 4 cannot tell; with --what-if 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import align, colour_verdict, escape
from contract import clock, jsonio, layout
from contract.accepting.thresholds import find_thresholds
from contract.counts_store import load_all
from contract.deciding.formats import choose_answering, list_answering
from contract.documents.decision import Decision
from contract.documents.evaluation import Evaluation
from contract.errors import AlreadyExists, NoSuchModel, NotFound, UsageError
from contract.evaluations import find_newest_to_judge, read_evaluation
from contract.registry import Registry
from contract.rows.models import require_model
from contract.sections.cost_classes import find_unknown
from contract.settings import Settings
from contract.storage import open_root, read_json
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage
from contract.texts.gates import write_gate
from jobs.reports.written import renew_report
from metrics.judging.verdicts import UNDECIDED
from pipeline.attempts import count_further_labels, list_attempts
from pipeline.gates.decide import decide
from pipeline.gates.labels_needed import is_plannable
from pipeline.gates.recounted import list_without
from pipeline.gates.tally import tally_of
from pipeline.notifying.owed import send_afterwards

MOST_WISHES = 10


@stage_command("gate")
@click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
@click.option("--evaluation", "evaluation_id", metavar="ID", help="Folder of the evaluation. "
              "[default: the newest of role live that ends with the newest day]")
@click.option("--version", help="Judge this version. [default: the live one]")
@click.option("--dry-run", is_flag=True, help="Print the decision, write nothing.")
@click.option("--what-if", "policy_file", metavar="POLICY", help="A YAML file of gates: a calendar of what they would have said "
              "each day, beside what was said. Writes no decision.")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="With --what-if: first day. [default: 90 days before]")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="With --what-if: last day. [default: yesterday]")
def command(settings: Settings, model: str | None, evaluation_id: str | None, version: str | None, dry_run: bool,
            policy_file: str | None, first: str | None, last: str | None) -> Outcome:
    """Decide from an evaluation whether the live version still holds."""
    settings = with_options(settings, model=model)
    storage, name = open_root(settings.need_root()), settings.need_model()
    if policy_file is not None:
        from pipeline.whatif.command import show_calendar

        if evaluation_id or version or dry_run:
            raise UsageError("--what-if judges days: expected none of --evaluation, --version and --dry-run beside it.")
        return show_calendar(storage, settings, policy_file, first, last)
    if first or last:
        raise UsageError("--from and --to are for --what-if, which names a policy: expected it, got none.")
    try:
        evaluation_id = evaluation_id or find_newest_to_judge(storage, name)
        read_evaluation(storage, name, evaluation_id)
    except NotFound:
        require_model(storage, name)
        raise
    decision = make_decision(storage, settings, name, evaluation_id, version)
    if not dry_run:
        with send_afterwards(storage, settings):
            decision = write_decision(storage, layout.decision(name, evaluation_id), decision)
        renew_report(storage, name, evaluation_id, settings.report)
    return Outcome(decision["exit_code"], decision, write_text(decision))


def make_decision(storage: Storage, settings: Settings, model: str, evaluation_id: str,
                  version: str | None = None) -> dict[str, Any]:
    """Decides on an evaluation, and says when that was. Raises NotFound, NoSuchModel, UsageError."""
    seen = RecordedReads(storage, passing=[layout.live(model)])
    decision = judge(seen, settings, model, evaluation_id, version) | {"decided_at": clock.iso(clock.now())}
    decision["rests_on"] = dict(sorted(seen.seen.items()))
    decision["digest"] = jsonio.digest(decision)
    Decision.parse(decision, f"decision on {evaluation_id}")
    return decision


def judge(storage: Storage, settings: Settings, model: str, evaluation_id: str, version: str | None = None) -> dict[str, Any]:
    """The decision but for its moment and what vouches for it. Raises as `make_decision`."""
    evaluation = read_evaluation(storage, model, evaluation_id)
    registry = Registry(storage, model)
    judged = version or choose_version(registry, evaluation)
    days = load_all(storage, evaluation)
    classes = registry.card(judged).classes if judged in registry.versions() else ()
    newest = registry.newest()
    held = find_thresholds(registry, evaluation["as_of"])
    counted = tally_of(settings.gates, days, evaluation["window"], judged, classes, held)
    find_unknown(storage, model, settings.gates.costs, {*counted.recall, *counted.precision})
    answering = list_answering(newest.state if newest else None)
    same = answering if judged in answering else [judged]
    further = count_further_labels(storage, model, judged, evaluation["as_of"], days, settings.gates.trusted_origins, same)
    return decide(settings.gates, evaluation, evaluation_id, judged, counted, newest.state.overrides if newest else (),
                  [at for at, _ in list_attempts(storage, model)], further,
                  list_without(storage, settings.gates, evaluation, evaluation_id, judged), same)


def choose_version(registry: Registry, evaluation: Evaluation) -> str:
    """Returns the live version, or, where services answer with its formats, that of them which answered most; for a model that
    is in no registry the only one of the evaluation."""
    try:
        live, newest = registry.live(), registry.newest()
        return choose_answering(newest.state if newest else None, evaluation) or live
    except NoSuchModel:
        versions = list(evaluation["versions"])
        if len(versions) != 1:
            raise UsageError(f"no version of model {registry.model!r} is live, and the evaluation has "
                             f"{len(versions)} versions of it ({', '.join(versions) or 'none'}). Name one: --version.") from None
        return versions[0]


def write_decision(storage: Storage, key: str, decision: dict[str, Any]) -> dict[str, Any]:
    """Creates the document; the same decision again keeps the first, another one is AlreadyExists."""
    try:
        storage.create(key, jsonio.dumps(decision))
        return decision
    except AlreadyExists:
        stored = read_json(storage, key)
        if leave_out_what_vouches(stored) == leave_out_what_vouches(decision):
            return stored
        raise AlreadyExists(f"{storage.uri(key)}: expected the same decision, found one made under another policy or "
                            f"history. See what today's would be with --dry-run, or evaluate again.") from None


def leave_out_what_vouches(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The decision without its moment and the hashes of what it was made from, which tell nothing of what it says."""
    return {name: value for name, value in decision.items() if name not in ("decided_at", "rests_on", "digest")}


def name_gate(gate: dict[str, Any]) -> str:
    """Names the gate as a person does: "accuracy (combined, 7 days)"."""
    of = ["combined"] * (gate.get("estimate") == "combined") + ([f"{gate['days']} days"] if "days" in gate else [])
    return gate["gate"].replace("_", " ") + (f" ({', '.join(of)})" if of else "")


def write_text(decision: dict[str, Any]) -> str:
    """Writes the decision as an aligned table and a sentence."""
    rows = [(name_gate(gate), gate["verdict"], *_write_cells(gate), f"{gate['n']:,}" if "n" in gate else "",
             gate.get("reason", "") or ("overridden" if "override" in gate else ""))
            for gate in decision["gates"]]
    table = align(("gate", "verdict", "value", "bound", "labels", "reason"), rows)
    sentence = f"{colour_verdict(decision['verdict'])}: {escape(decision['sentence'])}"
    return "\n".join([table, *_write_wishes(decision), "", sentence])


def _write_cells(gate: dict[str, Any]) -> tuple[str, str]:
    value, between, bound = write_gate(gate)
    return f"{value} ({between})" if between else value, bound if "bound" in gate else ""


def _write_wishes(decision: dict[str, Any]) -> list[str]:
    """Says what to ask people for, when more labels would decide."""
    wanted = decision["wishes"]
    if not wanted["rows"] or decision["verdict"] != UNDECIDED:
        return []
    rows = [(row["gate"].replace("_", " "), row["label"] or "", *(f"{n:,}" if n is not None else "-" for n in
             (row["labels"], row["items"]))) for row in wanted["rows"][:MOST_WISHES]]
    ask = wanted["ask"]
    how = [f"Ask for them: trueup review sample --wishes {decision['evaluation']}"] if ask else []
    how += [f"What fewer labels would tell, asked where they decide: trueup review plan --model {decision['model']} --budget 200 "
            f"--dry-run"] if is_plannable(wanted) else []
    return ["", align(("would decide", "class", "more labels", "predictions to ask"), rows), *how]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup gate")


if __name__ == "__main__":
    end_with(main)
