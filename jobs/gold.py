"""Gold items: known answers among what people are asked, which they cannot tell from the rest (docs/design.md#gold-items).

    trueup review gold add --model M --prediction ID --label L
    trueup review gold add --model M FILE                 CSV, JSON lines or Parquet with prediction_id and label
    trueup review gold list|remove|report --model M …     (python -m jobs.gold …)
"""

import getpass
from collections.abc import Sequence
from pathlib import Path

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.load_settings import with_options
from command.process import end_with
from command.terminal import align
from contract import clock, ids
from contract.documents import gold
from contract.documents.gold import GoldAnswer, read_gold
from contract.errors import UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.texts.figures import write_percent
from jobs.engines.question import convert_settings
from jobs.gold_items import Asked, check_file, make_answer, read_context
from jobs.gold_report import describe, measure

MODEL = click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
BY = click.option("--by", default=getpass.getuser, help="Who says so. [default: your login name]")
REASON = click.option("--reason", default="", help="How it is known; kept with the answer.")


@click.group("gold", cls=Group)
def group() -> None:
    """Known answers that measure the people who label."""


@stage_command("add")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@MODEL
@click.option("--prediction", metavar="ID", help="One prediction, instead of FILE.")
@click.option("--label", help="The class that its picture is known to show.")
@BY
@REASON
def add_command(settings: Settings, file: Path | None, model: str | None, prediction: str | None, label: str | None, by: str,
                reason: str) -> Outcome:
    """Say what the pictures of live predictions show: of one by options, or of those in FILE (prediction_id, label)."""
    if (file is None) == (prediction is None) or (prediction is None) != (label is None):
        raise UsageError("expected --prediction ID with --label L, or a FILE with the columns prediction_id and label.")
    name = with_options(settings, model=model).need_model()
    storage = open_root(settings.need_root())
    roles = convert_settings(settings.evaluate)["roles"]
    if file is not None:
        answers = check_file(storage, name, file, by, reason, roles)
    else:
        one = Asked("", prediction or "", label or "")
        answers = [make_answer(one, read_context(storage, name, [one], roles), by, reason)]
    added = [answer.prediction_id for answer in answers if gold.add_gold(storage, answer)]
    already = [answer.prediction_id for answer in answers if answer.prediction_id not in added]
    text = [f"{len(added)} added; {len(already)} were gold items already, with the same answer.", _say_share(settings)]
    return Outcome(document={"model": name, "added": added, "already": already}, text="\n".join(text))


def _say_share(settings: Settings) -> str:
    share = settings.review.gold_share
    if not share:
        return "Nobody is asked about them: review.gold_share is 0."
    return (f"Of what /audit and /review hand out, {write_percent(share)} are gold items that the person has not judged "
            f"(review.gold_share of the service).")


@stage_command("list")
@MODEL
def list_command(settings: Settings, model: str | None) -> Outcome:
    """List the gold items of a model."""
    name = with_options(settings, model=model).need_model()
    found = list(read_gold(open_root(settings.need_root()), name).values())
    table = align(("prediction", "day", "known", "predicted", "by", "at"), [_show(answer) for answer in found])
    none = f"{name} has no gold item. Add one: trueup review gold add --model {name} --prediction ID --label L."
    return Outcome(document={"model": name, "gold": [answer.to_dict() for answer in found]}, text=table if found else none)


def _show(answer: GoldAnswer) -> tuple[str, ...]:
    return (answer.prediction_id, ids.day_of(answer.prediction_id) or "", answer.label or "", answer.predicted, answer.by,
            answer.at)


@stage_command("remove")
@MODEL
@click.option("--prediction", metavar="ID", required=True, help="The gold item.")
@BY
@REASON
def remove_command(settings: Settings, model: str | None, prediction: str, by: str, reason: str) -> Outcome:
    """Take a known answer back. It measures nobody any more; the labels that people gave stay."""
    name = with_options(settings, model=model).need_model()
    was = gold.take_back(open_root(settings.need_root()), name, prediction.strip().lower(), by, reason)
    text = f"Taken back: {was.prediction_id} is no gold item any more; its known answer was {was.label!r}."
    return Outcome(document={"model": name, "removed": was.to_dict()}, text=text)


@stage_command("report")
@MODEL
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
def report_command(settings: Settings, model: str | None, first: str | None, last: str | None) -> Outcome:
    """Measure the people who answered gold items: how many answers, how many right, what they mistook for what."""
    if first and last and first > last:
        raise UsageError(f"window {first} to {last}: expected the first day not to be after the last. Swap them.")
    found = measure(open_root(settings.need_root()), with_options(settings, model=model).need_model(), first, last)
    return Outcome(document=found, text=describe(found))


for command in (add_command, list_command, remove_command, report_command):
    group.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup review gold` and returns its exit code."""
    return run(group, argv, prog_name="trueup review gold")


if __name__ == "__main__":
    end_with(main)
