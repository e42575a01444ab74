"""`trueup model thresholds accept|show|clear`: from which confidence on answers are accepted unseen.

    trueup model thresholds accept EVALUATION --model digits            the thresholds of the evaluation, of the live version
    trueup model thresholds accept EVALUATION --model digits --target 0.98      the lowest common one that is right that often
"""

from collections.abc import Sequence
from typing import Any

import click

from command.command import Outcome, stage_command
from command.groups import Group
from command.options import FiniteRange
from contract.accepting.thresholds import Thresholds, read_state
from contract.deciding import thresholds as deciding
from contract.deciding.formats import choose_answering, list_answering
from contract.documents.evaluation import Evaluation
from contract.documents.history import State, ThresholdsOf
from contract.errors import UsageError
from contract.evaluations import read_evaluation
from contract.registry import Registry
from contract.settings import Settings
from contract.texts.figures import write_bound, write_count, write_number
from pipeline.versions.shared import BY, MODEL, open_registry, report_change

REASON = click.option("--reason", default="accepted", show_default=True, help="Why, for the history.")
SHOWN = 20  # classes that a text lists


@click.group("thresholds", cls=Group)
def thresholds_group() -> None:
    """Say from which confidence on answers are accepted unseen."""


@stage_command("accept")
@MODEL
@BY
@click.argument("evaluation_id", metavar="EVALUATION")
@click.option("--version", help="The version whose thresholds these are. [default: the live one]")
@click.option("--target", type=FiniteRange(0, 1, min_open=True, max_open=True), metavar="ACCURACY",
              help="The lowest common threshold whose accepted answers are right so often, known with the evaluation's "
              "confidence. [default: the evaluation's own, per class]")
@REASON
def accept_command(settings: Settings, model: str | None, by: str, evaluation_id: str, version: str | None, target: float | None,
                   reason: str) -> Outcome:
    """Accept answers from the thresholds of an evaluation on; a running service takes them over."""
    registry = open_registry(settings, model)
    evaluation = read_evaluation(registry.storage, registry.model, evaluation_id)
    newest = registry.newest()
    answering = choose_answering(newest.state if newest else None, evaluation)
    chosen = deciding.choose_version(evaluation, evaluation_id, answering, version)
    at = (deciding.list_thresholds(evaluation, evaluation_id, chosen) if target is None else
          _choose_for(registry, evaluation, evaluation_id, chosen, target))
    of = ThresholdsOf(version=chosen, evaluation=evaluation_id, first=evaluation["window"]["from"],
                      last=evaluation["window"]["to"], target=target)
    return report_change(deciding.accept_thresholds(registry, at, of, by=by, reason=reason))


def _choose_for(registry: Registry, evaluation: Evaluation, evaluation_id: str, version: str, target: float) -> dict[str, float]:
    """The common threshold for a target, for each class of the version. UsageError: no threshold is known to reach it."""
    from contract.counts_store import load_all
    from metrics.automatic.graded import grade_days
    from metrics.automatic.targets import choose_threshold

    figures = evaluation["versions"][version]
    graded = grade_days(load_all(registry.storage, evaluation), version, figures["estimate"])
    found = choose_threshold(graded, target, evaluation["confidence"])
    if found["threshold"] is None:
        raise UsageError(f"the evaluation {evaluation_id} has no threshold of version {version} whose answers are known to be "
                         f"right in {write_bound(target)} of cases: {found['reason']}. Label more, or name a lower --target.")
    return {row["label"]: found["threshold"] for row in figures["per_class"]}


@stage_command("show")
@MODEL
def show_command(settings: Settings, model: str | None) -> Outcome:
    """Show the thresholds, and whether they hold for the version that is live."""
    registry = open_registry(settings, model)
    live = registry.live()
    newest, _ = registry.newest_known()
    found, answering = read_state(newest.state) if newest else None, list_answering(newest.state if newest else None)
    document: dict[str, Any] = {"model": registry.model, "live": live, "thresholds": dict(found.at) if found else {},
                                "of": newest.state.thresholds_of.to_dict() if newest and newest.state.thresholds_of else None,
                                "hold": found is not None and found.version in answering}
    return Outcome(document=document, text=describe(registry.model, live, found, answering))


def say_of_version(state: State, version: str) -> list[str]:
    """Says of a version that thresholds are of it; nothing of another one."""
    found = read_state(state)
    if found is None or found.version != version:
        return []
    classes = write_count(len(found.at), "class")
    return [f"its answers are accepted unseen by thresholds of {classes}, chosen by {found.evaluation}"]


def describe(model: str, live: str, found: Thresholds | None, answering: Sequence[str]) -> str:
    """Says which thresholds there are, and what they decide now; `answering`: the live version and its formats."""
    if found is None:
        return (f"{model} has no thresholds, so its answers carry no decision. Accept those of an evaluation: trueup model "
                f"thresholds accept EVALUATION --model {model}")
    how = f"for {write_bound(found.target)} right" if found.target else "by its accepted ratio"
    head = (f"thresholds of version {found.version}, chosen by {found.evaluation} {how}, from labels of {found.first} to "
            f"{found.last}")
    stale = f"\nversion {live} is live, so they are stale: every answer is for review until its own are accepted"
    rows = [f"  {name}: from {write_number(at, 2)}" for name, at in sorted(found.at.items())[:SHOWN]]
    more = [f"  and {write_count(len(found.at) - SHOWN, 'more class')}"] * (len(found.at) > SHOWN)
    return "\n".join([head + (stale if found.version not in answering else ""), *rows, *more, "  every other class: review"])


@stage_command("clear")
@MODEL
@BY
@click.option("--reason", default="cleared", show_default=True, help="Why, for the history.")
def clear_command(settings: Settings, model: str | None, by: str, reason: str) -> Outcome:
    """Take the thresholds away: answers then carry no decision."""
    return report_change(deciding.clear_thresholds(open_registry(settings, model), by=by, reason=reason))


for _command in (accept_command, show_command, clear_command):
    thresholds_group.add_command(_command)
