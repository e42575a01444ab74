"""Draws the sample that people are asked about: `trueup review sample --model M --day D --kind audit --p 0.1`.

As a module: `python -m inference.review sample …`. The pages `/audit` and `/review` hand its items out.
"""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.options import MOST, FiniteRange
from command.process import end_with
from contract import layout, samples
from contract.accepting.thresholds import read_state
from contract.deciding.formats import list_answering
from contract.errors import NotFound, UsageError
from contract.evaluations import read_decision, read_thresholds
from contract.registry import Registry, models
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from inference.labelling.choose_days import (
    WORDS,
    add_up,
    choose_window,
    count_window,
    describe_days,
    find_role,
    require_labelable,
)
from inference.planning.command import command as plan_command


@click.group("review", cls=Group)
def group() -> None:
    """Which predictions people are asked about."""


@stage_command("sample")
@click.option("--model", help="The model's name. [default: `model:` of the settings]")
@click.option("--day", help="The predictions' UTC day, YYYY-MM-DD. [default: yesterday; of imported models every day]")
@click.option("--from", "first", metavar="DAY", help="First of several days, which share their probabilities.")
@click.option("--to", "last", metavar="DAY", help="Last of several days.")
@click.option("--role", type=click.Choice(WORDS, case_sensitive=False), default="live", show_default=True,
              help="Of which predictions; import: of another system's, whatever their role is.")
@click.option("--kind", type=click.Choice(samples.KINDS), default="audit", show_default=True,
              help="audit: blind, every prediction alike. review: with the model's answer, by a strategy.")
@click.option("--strategy", type=click.Choice(list(samples.STRATEGIES)), default="random-audit", show_default=True)
@click.option("--p", type=FiniteRange(0, 1, min_open=True), help="Mean probability of being asked.")
@click.option("--items", type=click.IntRange(1, MOST), help="Expected number of items, instead of --p.")
@click.option("--wishes", metavar="EVALUATION", help="As many items as the gates' decision on that evaluation asks for.")
@click.option("--below-thresholds", "below", metavar="EVALUATION", help="Review what that evaluation's thresholds do not accept.")
@click.option("--review-first", is_flag=True, help="Review what the thresholds in force do not accept, before any other sample "
              "(`trueup model thresholds`).")
@click.option("--floor", type=FiniteRange(0, 1, min_open=True),
              help="Least probability of any cell. [default: a fifth of the mean]")
@click.option("--salt", help="Text that fixes the draw. [default: random]")
@click.option("--judges", type=click.IntRange(1, 9), default=1, show_default=True,
              help="People who judge each item of the second share.")
@click.option("--second-share", type=FiniteRange(0, 1), default=0.0, show_default=True,
              help="Share of the items that --judges people judge.")
def sample_command(settings: Settings, model: str | None, day: str | None, first: str | None, last: str | None, role: str,
                   kind: str, strategy: str, p: float | None, items: int | None, wishes: str | None, below: str | None,
                   review_first: bool, floor: float | None, salt: str | None, judges: int, second_share: float) -> Outcome:
    """Writes the sample of one model, day, kind and role. It is drawn once: a second draw is an error."""
    storage = open_root(settings.need_root())
    name = model or settings.need_model()
    require_model(storage, name)
    if wishes:
        if p is not None or items is not None or below or review_first:
            raise UsageError("--wishes says how many items to draw: expected none of --p, --items, --below-thresholds and "
                             "--review-first beside it.")
        kind, strategy, items = read_labels_needed(storage, name, wishes)
    days = choose_window(storage, name, day, first, last)
    chosen_role = find_role(storage, name, role, days)
    design = samples.Design(strategy, salt or secrets.token_hex(16), p, items, floor, judges, second_share, chosen_role)
    if below and review_first:
        raise UsageError("--below-thresholds names an evaluation, --review-first takes what is in force: expected one of them.")
    if review_first:
        made = _draw_review_first(storage, name, days, design)
    elif below:
        made = _draw_rest(storage, name, days, design, below)
    else:
        made = _draw(storage, name, days, kind, design)
    if not made:
        raise UsageError(f"model {name!r} has no predictions of role {chosen_role} in the bucket on {describe_days(days)}: "
                         f"nothing to draw from. Wait until the service has shipped them, or name another --day or --role.")
    require_labelable([sample.day for sample in made], settings.serve.label_days)
    for sample in made:
        samples.write(storage, sample)
    return Outcome(document=_make_document(made), text="\n".join(_describe(sample) for sample in made))


def _draw(storage: Storage, model: str, days: list[str], kind: str, design: samples.Design) -> list[samples.Sample]:
    """Draws the sample of each day, all by one table of probabilities, so that no day weighs more than another.

    Empty where there are no predictions to draw from.
    """
    may_come_yet = len(days) == 1 and design.role == "live" and model in models(storage)
    if may_come_yet and design.items is None and design.strategy == "random-audit":
        return [samples.draw(model, days[0], kind, design)]
    by_day = count_window(storage, model, days, design.role)
    if not by_day:
        return []
    drawn = samples.draw(model, max(by_day), kind, design, add_up(by_day))
    return [drawn.model_copy(update={"day": day}) for day in sorted(by_day)]


def _draw_review_first(storage: Storage, model: str, days: list[str], design: samples.Design) -> list[samples.Sample]:
    """Draws what the thresholds in force leave over of each day, of one that is not over yet, too.

    UsageError: none are, they are of another version than the live one, or the role is not live.
    """
    newest = Registry(storage, model).newest()
    held = read_state(newest.state) if newest else None
    if held is None or newest is None or held.version not in list_answering(newest.state):
        why = "there are none" if held is None else f"they are of version {held.version}, and another one is live"
        raise UsageError(f"--review-first asks about what the thresholds in force do not accept, and {why}. Accept those of an "
                         f"evaluation: trueup model thresholds accept EVALUATION --model {model}.")
    if design.items is not None or design.role != "live":
        raise UsageError("--review-first asks about live answers that are not accepted, all or a share: expected --p at the "
                         "most, and neither --items nor another --role.")
    there = set(count_window(storage, model, days, design.role)) or set(days)
    return [samples.draw_rest(model, day, design, dict(held.at), held.evaluation) for day in sorted(there)]


def _draw_rest(storage: Storage, model: str, days: list[str], design: samples.Design, evaluation_id: str) -> list[samples.Sample]:
    """Draws what the thresholds of an evaluation leave over of each day.

    UsageError: the evaluation is of another role, or several versions are in it, which have thresholds of their own.
    """
    if design.items is not None:
        raise UsageError("--below-thresholds asks about all that is not accepted, or about a share: expected --p, not --items.")
    thresholds = read_thresholds(storage, model, evaluation_id, design.role)
    by_day = count_window(storage, model, days, design.role)
    return [samples.draw_rest(model, day, design, thresholds, evaluation_id) for day in sorted(by_day)]


def _make_document(made: list[samples.Sample]) -> dict[str, Any]:
    """Makes the document of the newest day's sample; of several also the days."""
    newest = made[-1].to_dict()
    return newest if len(made) == 1 else newest | {"days": [sample.day for sample in made]}


def _describe(sample: samples.Sample) -> str:
    of = "" if sample.population == "live" else f"&of={sample.population}"
    what = f"{sample.kind} sample of {sample.model} on {sample.day}"
    what += "" if sample.role == "live" else f", role {sample.role}"
    if sample.below is None:
        said = (f"{sample.strategy}, mean p {sample.default:g}, at least {sample.floor:g} in {len(sample.p) or 'all'} cells.")
    else:
        said = f"{sample.strategy} of {sample.evaluation}, p {sample.default:g}; its answers are labels, and in no estimate."
    return f"{what}: {said}\nPeople answer it at /{sample.kind}?model={quote(sample.model, safe='')}&day={sample.day}{of}."


def read_labels_needed(storage: Storage, model: str, evaluation_id: str) -> tuple[str, str, int]:
    """Reads the kind, strategy and items that the decision on an evaluation asks for.

    NotFound when there is no decision, UsageError when it asks for none.
    """
    key = layout.decision(model, evaluation_id)
    decision = read_decision(storage, model, evaluation_id)
    if decision is None:
        raise NotFound(f"{storage.uri(key)}: no gate has judged that evaluation. Run: trueup gate --model {model} "
                       f"--evaluation {evaluation_id}.")
    ask = (decision.get("wishes") or {}).get("ask")
    if ask is None:
        raise UsageError(f"the decision on {evaluation_id} asks for no labels: {decision['sentence']}")
    return ask["kind"], ask["strategy"], ask["items"]


group.add_command(sample_command)
group.add_command(plan_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup review` and returns its exit code."""
    return run(group, argv, prog_name="trueup review")


if __name__ == "__main__":
    end_with(main)
