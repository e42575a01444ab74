"""Draws the sample that people are asked about: `trueup review sample --model M --day D --kind audit --p 0.1`.

As a module: `python -m inference.review sample …`. The pages `/audit` and `/review` hand its items out.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.options import MOST, FiniteRange
from command.process import end_with
from contract import clock, layout, samples
from contract.errors import NotFound, UsageError
from contract.evaluations import read_decision
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage


@click.group("review", cls=Group)
def group() -> None:
    """Which predictions people are asked about."""


@stage_command("sample")
@click.option("--model", help="The model's name. [default: `model:` of the settings]")
@click.option("--day", help="The predictions' UTC day, YYYY-MM-DD. [default: yesterday]")
@click.option("--kind", type=click.Choice(samples.KINDS), default="audit", show_default=True,
              help="audit: blind, every prediction alike. review: with the model's answer, by a strategy.")
@click.option("--strategy", type=click.Choice(list(samples.STRATEGIES)), default="random-audit", show_default=True)
@click.option("--p", type=FiniteRange(0, 1, min_open=True), help="Mean probability of being asked.")
@click.option("--items", type=click.IntRange(1, MOST), help="Expected number of items, instead of --p.")
@click.option("--wishes", metavar="EVALUATION", help="As many items as the gates' decision on that evaluation asks for.")
@click.option("--floor", type=FiniteRange(0, 1, min_open=True),
              help="Least probability of any cell. [default: a fifth of the mean]")
@click.option("--salt", help="Text that fixes the draw. [default: random]")
@click.option("--judges", type=click.IntRange(1, 9), default=1, show_default=True,
              help="People who judge each item of the second share.")
@click.option("--second-share", type=FiniteRange(0, 1), default=0.0, show_default=True,
              help="Share of the items that --judges people judge.")
def sample_command(settings: Settings, model: str | None, day: str | None, kind: str, strategy: str, p: float | None,
                   items: int | None, wishes: str | None, floor: float | None, salt: str | None, judges: int,
                   second_share: float) -> Outcome:
    """Writes the sample of one model, day and kind. It is drawn once: a second draw is an error."""
    from inference.labelling.items import count_cells

    storage = open_root(settings.need_root())
    name = model or settings.need_model()
    require_model(storage, name)
    if wishes:
        if p is not None or items is not None:
            raise UsageError("--wishes says how many items to draw: expected neither --p nor --items beside it.")
        kind, strategy, items = read_labels_needed(storage, name, wishes)
    chosen = clock.parse_day(day) if day else clock.day_of(clock.now() - timedelta(days=1))
    needs_counts = items is not None or strategy != "random-audit"
    counts = count_cells(storage, name, chosen) if needs_counts else None
    design = samples.Design(strategy, salt or secrets.token_hex(16), p, items, floor, judges, second_share)
    sample = samples.draw(name, chosen, kind, design, counts)
    samples.write(storage, sample)
    text = (f"{kind} sample of {name} on {chosen}: {strategy}, mean p {sample.default:g}, at least {sample.floor:g} "
            f"in {len(sample.p) or 'all'} cells.\nPeople answer it at /{kind}?model={name}&day={chosen}.")
    return Outcome(document=sample.to_dict(), text=text)


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


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup review` and returns its exit code."""
    return run(group, argv, prog_name="trueup review")


if __name__ == "__main__":
    end_with(main)
