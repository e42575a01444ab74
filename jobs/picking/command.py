"""Picks which pictures to label next for training, and sends them to review: `trueup review pick`.

    trueup review pick --root ROOT --model M [--from D] [--to D] [--items 100] [--dry-run] [--json]
    python -m jobs.picking.command …

Chosen are unlabelled predictions of the live version that it is unsure of and that differ from each other. Their labels teach,
and are part of no estimate. Run again before they are answered it sends nothing twice. Exit code 0 also when there is nothing
to pick.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import align, escape
from contract import clock
from contract.days import default_window, prediction_days
from contract.review.listed import DIVERSE, ListedItem, send
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_number
from jobs.engines.question import Question, convert_settings
from jobs.picking.candidates import Candidate
from jobs.picking.pick import Picks, Wanted, pick

MOST_ITEMS, MOST_LOOKED, SHOWN = 1000, 20_000, 10


@stage_command("pick")
@click.option("--model", help="The model's name. [default: `model:` of the settings]")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First day. [default: the last 30 there are]")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day. [default: today]")
@click.option("--items", type=click.IntRange(1, MOST_ITEMS), default=100, show_default=True, help="Pictures to pick at the most.")
@click.option("--strategy", type=click.Choice([DIVERSE]), default=DIVERSE, show_default=True,
              help="diverse: unsure answers whose pictures differ.")
@click.option("--pictures", "looked", type=click.IntRange(1, MOST_LOOKED), default=2000, show_default=True,
              help="Pictures to look at: the least sure of each predicted label in turn.")
@click.option("--no-embeddings", "plain", is_flag=True, help="Tell pictures apart by perceptual hashes, as without torch.")
@click.option("--by", default=getpass.getuser, help="Who sends them. [default: your login name]")
@click.option("--dry-run", is_flag=True, help="Show the choice, and send nothing.")
def command(settings: Settings, model: str | None, first: str | None, last: str | None, items: int, strategy: str, looked: int,
            plain: bool, by: str, dry_run: bool) -> Outcome:
    """Pick unlabelled pictures that training would learn most from, and send them to /review."""
    settings = with_options(settings, model=model)
    storage, name = open_root(settings.need_root()), settings.need_model()
    require_model(storage, name)
    question = Question(name, clock.now_us(), **convert_settings(settings.evaluate))
    days = choose_days(storage, first, last, settings)
    wanted = Wanted(items, looked, settings.dataset.near_bits, not plain)
    picks = pick(storage, question, days, wanted)
    sent = 0 if dry_run else send(storage, name, strategy, by, [ListedItem.of(describe_item(one)) for one in picks.chosen])
    document = {"model": name, "version": picks.version, "strategy": strategy, "days": days,
                "candidates": picks.candidates, "looked_at": picks.looked_at, "left_out": picks.left_out,
                "look": "perceptual hash" if picks.without else "embedding", "reason": picks.without,
                "items": [describe_item(one) for one in picks.chosen], "sent": sent}
    return Outcome(document=document, text=write_text(name, picks, sent, dry_run))


def choose_days(storage: Storage, first: str | None, last: str | None, settings: Settings) -> list[str]:
    """Lists the prediction days of a window whose predictions still take labels (`serve.label_days`)."""
    start, end = default_window(storage, first, last, clock.day_of(clock.now()), settings.evaluate.days)
    oldest = clock.day_of(clock.now() - timedelta(days=settings.serve.label_days))
    return [day for day in prediction_days(storage) if max(start, oldest) <= day <= end]


def describe_item(one: Candidate) -> dict[str, Any]:
    """What --json prints of a pick; `margin`: the first probability minus the second."""
    return {"day": one.day, "prediction_id": one.prediction_id, "predicted": one.predicted, "confidence": one.confidence,
            "margin": round(one.margin, 6), "image_sha256": one.sha256}


def write_text(model: str, picks: Picks, sent: int, dry_run: bool) -> str:
    """The choice for people: how many of what, the first ones, and where they are asked."""
    how = "perceptual hashes" if picks.without else "embeddings"
    lines = [f"{escape(model)} version {picks.version}: {write_count(len(picks.chosen), 'picture')} picked of "
             f"{write_count(picks.candidates, 'candidate')}, {write_number(picks.looked_at)} looked at, told apart by {how}"]
    lines += [escape(f"  no embeddings: {picks.without}")] if picks.without else []
    lines += [f"  left out: {write_number(n)} x {reason}" for reason, n in picks.left_out.items()]
    if not picks.chosen:
        return "\n".join([*lines, "nothing to pick: widen the window, or wait for more predictions with stored pictures"])
    rows = [(one.day, one.prediction_id, escape(one.predicted), write_number(one.margin, 3)) for one in picks.chosen[:SHOWN]]
    lines.append(align(("day", "prediction", "predicted", "margin"), rows))
    more = len(picks.chosen) - len(rows)
    lines += [f"and {write_number(more)} more (--json lists all)"] if more > 0 else []
    lines.append("nothing was sent (--dry-run)" if dry_run else
                 f"{write_number(sent)} of them sent to /review now, the others before; their labels are part of no estimate")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv, prog_name="trueup review pick")


if __name__ == "__main__":
    end_with(main)
