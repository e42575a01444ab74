"""`trueup model canary`: a version answers a share of the predictions, step by step, before it is live (docs/canary.md).

    trueup model canary start VERSION | status | step | withdraw | promote | run
"""

import sys
import time
from typing import Any

import click

from command.command import Outcome, stage_command
from command.groups import Group
from command.load_settings import with_options
from command.terminal import align
from contract.canary import changes
from contract.canary.documents import Canary
from contract.deciding.asking import require_answer
from contract.documents.history import HistoryEntry
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO, UsageError
from contract.registry import Registry, check_version
from contract.settings import Settings
from contract.texts.figures import write_bound
from metrics.canary.decide import Decision, Observed, decide, find_bound
from pipeline import answering
from pipeline.canary.drive import Looked, describe_end, look, observe
from pipeline.canary.expected import find_expected, parse_expected
from pipeline.canary.labels import count_labels
from pipeline.running.local import ProcessRunner
from pipeline.versions.shared import BY, MODEL, UNTRIED, VERSION, mirrored, open_registry

LABELS_S = 300.0  # between two evaluations of a driver
REASON = click.option("--reason", required=True, help="Why, for the history.")


@click.group("canary", cls=Group)
def canary_group() -> None:
    """Let a version answer a share of the predictions before it is live."""


@stage_command("start")
@mirrored
@MODEL
@VERSION
@BY
@UNTRIED
@click.option("--reason", default="to try it on live traffic", show_default=True, help="Why, for the history.")
@click.option("--differs", help="On how many held-out rows it differs from the live version, e.g. 150/300. [default: what the "
              "assessment of the run that made it says]")
def start_command(settings: Settings, model: str | None, version: str, by: str, untried: bool, reason: str,
                  differs: str | None) -> Outcome:
    """Begin with the first share of `canary.steps`."""
    registry = open_registry(settings, model)
    live = registry.live()
    expected = parse_expected(differs) if differs else find_expected(registry, check_version(version), live)
    require_answer(registry, version, live, answering.make_ask(settings, registry, untried))
    made = changes.start(registry, version, settings.canary.steps, settings.canary.make_bounds(), by=by, reason=reason,
                         expected=expected, live=live)
    unknown = "" if expected else ". How often it may differ is not known, so disagreement is not watched: name it with --differs"
    return _tell(made.record, unknown)


@stage_command("status")
@MODEL
def status_command(settings: Settings, model: str | None) -> Outcome:
    """Show the canary that runs: its share, what was counted, and what it waits for."""
    registry = open_registry(settings, model)
    canary = changes.find_canary(registry)
    if canary is None:
        registry.live()  # NoSuchModel for a name that was never published
        return Outcome(document={"canary": None}, text="no canary runs")
    seen = observe(registry, canary)
    return Outcome(document=_describe(canary, seen, decide(canary, seen)), text=_write_status(canary, seen))


@stage_command("step")
@MODEL
@BY
@REASON
def step_command(settings: Settings, model: str | None, by: str, reason: str) -> Outcome:
    """Give it the next share."""
    registry = open_registry(settings, model)
    return _tell(changes.step(registry, _need(registry), by=by, reason=reason).record)


@stage_command("withdraw")
@mirrored
@MODEL
@BY
@REASON
def withdraw_command(settings: Settings, model: str | None, by: str, reason: str) -> Outcome:
    """End it: the live version answers everything again."""
    registry = open_registry(settings, model)
    return _tell(changes.withdraw(registry, _need(registry), by=by, reason=reason).record)


@stage_command("promote")
@mirrored
@MODEL
@BY
@REASON
def promote_command(settings: Settings, model: str | None, by: str, reason: str) -> Outcome:
    """Make it live now."""
    registry = open_registry(settings, model)
    return _tell(changes.promote(registry, _need(registry), by=by, reason=reason).record)


@stage_command("run")
@mirrored
@MODEL
@BY
@click.option("--once", is_flag=True, help="Look once, and end.")
def run_command(settings: Settings, model: str | None, by: str, once: bool) -> Outcome:
    """Carry it on until it is live (0) or withdrawn (3), by what replicas count and people label."""
    settings = with_options(settings, model=model)
    registry = open_registry(settings, model)
    canary = changes.find_canary(registry)
    if canary is None:
        return _tell_last(registry)
    given, labels_at = settings.model_dump(mode="json", exclude={"root", "model"}), 0.0
    while (now := changes.find_canary(registry)) is not None and now.salt == canary.salt:
        due = bool(canary.bounds.labels) and time.monotonic() >= labels_at
        labels_at = time.monotonic() + LABELS_S if due else labels_at
        looked = look(registry, now, lambda now=now: count_labels(registry, now, ProcessRunner(), given), by=by,  # type: ignore[misc]
                      manual=settings.cycle.approval == "manual", even_if_waiting=due)
        _say(looked)
        if once and looked.record is None:
            return Outcome(DONE, _describe(now, looked.seen, looked.decision), f"{now.describe()}: {looked.decision.sentence}")
        if once or (looked.record and looked.record.state.canary is None):
            break
        time.sleep(settings.canary.look_seconds)
    return _tell_end(registry, canary)


def _need(registry: Registry) -> Canary:
    canary = changes.find_canary(registry)
    if canary is None:
        raise UsageError(f"no canary of model {registry.model!r} runs. Start one: trueup model canary start VERSION.")
    return canary


def _tell_last(registry: Registry) -> Outcome:
    """How the newest canary ended; cannot tell where there never was one."""
    last = changes.find_last(registry)
    if last is None:
        registry.live()
        return Outcome(CANNOT_TELL, {"status": "none", "sentence": "no canary was ever started"}, "no canary was ever started")
    return _tell_end(registry, last)


def _tell_end(registry: Registry, canary: Canary) -> Outcome:
    record = changes.find_end(registry, canary.salt)
    if record is None:  # --once, and a step was taken
        still = _need(registry)
        return Outcome(DONE, {"status": "canary", "sentence": f"{still.describe()}."}, f"{still.describe()}")
    good = record.state.live == canary.version
    sentence = describe_end(canary, record)
    return Outcome(DONE if good else GATE_SAYS_NO, {"status": "promoted" if good else "withdrawn", "version": canary.version,
                                                    "sentence": sentence, "history": record.seq}, sentence)


def _tell(record: HistoryEntry, more: str = "") -> Outcome:
    canary, change = record.state.canary, record.change
    said = canary.describe() if canary else f"version {record.state.live} answers everything"
    return Outcome(document=record.to_dict(), text=f"{said} (record {record.seq}, by {change['by']}: {change['reason']}){more}")


def _describe(canary: Canary, seen: Observed, decision: Decision) -> dict[str, Any]:
    bound = find_bound(canary.bounds, canary.expected) if canary.expected else None
    return {"status": "canary", "canary": canary.to_dict(), "share": canary.share, "seconds": seen.seconds,
            "counts": {str(step): counts.to_dict() for step, counts in sorted(seen.counts.items())},
            "stopped": list(seen.stopped), "most_disagreement": bound, "decision": decision.what, "reasons": decision.reasons,
            "sentence": f"{canary.describe()}: {decision.what}: {decision.sentence}."}


def _write_status(canary: Canary, seen: Observed) -> str:
    counted = [(step, c) for step, c in sorted(seen.counts.items()) if step < len(canary.steps)]
    rows = [(str(step + 1), write_bound(canary.steps[step]),
             *(str(n) for n in (c.answers, c.errors, c.compared, c.differ, c.slower))) for step, c in counted]
    decision = decide(canary, seen)
    watched = (f"may differ: {find_bound(canary.bounds, canary.expected):.4g} of the answers" if canary.expected
               else "disagreement is not watched: there is no assessment against the live version")
    return "\n".join([f"{canary.describe()}, since {canary.started_at[:19]}Z", "",
                      align(("step", "share", "answers", "errors", "compared", "differ", "slower"), rows), "",
                      watched, f"{decision.what}: {decision.sentence}"])


def _say(looked: Looked) -> None:
    print(f"{looked.canary.describe()}: {looked.decision.what}: {looked.decision.sentence}", file=sys.stderr, flush=True)


for _command in (start_command, status_command, step_command, withdraw_command, promote_command, run_command):
    canary_group.add_command(_command)
