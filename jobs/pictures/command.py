"""Measures the stored pictures of each day, and those that the live version was trained on: `trueup pictures measure`.

    trueup pictures measure --root ROOT --model M [--from D] [--to D] [--engine embedded|spark] [--json]
    python -m jobs.pictures.command …           spark-submit jobs/pictures/command.py …  (engine spark, unless told otherwise)
    trueup evaluate --evidence pictures …       measures what is missing, and compares

Each day becomes measures/<model>/dt=<day>/<inputs>.json and a table (contract/measured/document.py). A day whose files are
the same is not read again, and of a day that grew only the new pictures are. Stopped anywhere, it goes on where it stopped.
Exit code 0 also when pictures are missing or damaged: they are counted. 1 error, 2 wrong usage.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a file, by spark-submit
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.terminal import escape
from contract import clock, layout
from contract.days import default_window, prediction_days
from contract.documents import manifest
from contract.errors import DamagedDocument, Mismatch, NotFound
from contract.measured.document import Measured
from contract.registry import Registry
from contract.rows.models import require_model
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.evaluation_request import request_of
from jobs.pictures.measure import Made, Measuring, measure_dataset, measure_day


@dataclass
class Found:
    """The measures of a window by day, days without rows any more, and those of the dataset or why there are none."""

    days: dict[str, Made] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    dataset: Made | None = None
    reason: str | None = None


@stage_command("pictures measure")
@click.option("--model", help="Name of the model. [env: TRUEUP_MODEL]")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day, YYYY-MM-DD.")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day, included.")
@click.option("--engine", type=click.Choice(["embedded", "spark"]), help="[default: embedded, in threads; spark under "
              "spark-submit]")
@click.option("--role", default="live", show_default=True, help="Live, shadow, canary, batch or replay.")
@click.option("--spark-conf", multiple=True, metavar="KEY=VALUE", help="spark: a setting of the session; repeatable.")
def command(settings: Settings, model: str | None, first: str | None, last: str | None, engine: str | None, role: str,
            spark_conf: tuple[str, ...]) -> Outcome:
    """Measure brightness, contrast, sharpness, size and colour of the stored pictures of each day."""
    settings = with_options(settings, model=model, evaluate__engine=engine)
    request = request_of(settings, None, (), role, None, spark_conf)
    asked = Measuring(request.question, request.engine == "spark", request.options.get("spark_conf") or {})
    storage = open_root(settings.need_root())
    require_model(storage, asked.question.model)
    found = measure_window(storage, first, last, asked, settings.evaluate.days)
    return Outcome(document=describe(found, asked), text=write_text(storage, found, asked))


def measure_window(storage: Storage, first: str | None, last: str | None, asked: Measuring, days: int) -> Found:
    """Measures the days of a window, and the live version's dataset."""
    start, end = default_window(storage, first, last, clock.day_of(clock.now()), days)
    found = Found()
    for day in (day for day in prediction_days(storage) if start <= day <= end):
        if made := measure_day(storage, day, asked):
            found.days[day] = made
        else:
            found.left_out.append(day)
    return _add_dataset(storage, asked, found)


def _add_dataset(storage: Storage, asked: Measuring, found: Found) -> Found:
    registry = Registry(storage, asked.question.model)
    newest = registry.newest()
    live = newest.state.live if newest else None
    dataset = registry.card(live).dataset if live else None
    if dataset is None:
        return replace(found, reason="no dataset is known that the live version was trained on")
    try:
        return replace(found, dataset=measure_dataset(storage, manifest.load(storage, dataset), asked))
    except (NotFound, Mismatch, DamagedDocument) as error:
        return replace(found, reason=str(error))


def describe(found: Found, asked: Measuring) -> dict[str, Any]:
    """Returns what --json prints."""
    return {"model": asked.question.model, "role": asked.question.role,
            "days": {day: _describe(made) for day, made in found.days.items()}, "left_out": found.left_out,
            "dataset": _describe(found.dataset) | {"dataset": found.dataset.document.dataset} if found.dataset else None,
            "reason": found.reason}


def _describe(made: Made) -> dict[str, Any]:
    document = made.document
    return {"inputs": document.inputs, "predictions": document.predictions, "pictures": document.pictures,
            "missing": document.missing, "read": made.read}


def write_text(storage: Storage, found: Found, asked: Measuring) -> str:
    """Says what was measured, what was there, and what could not be measured."""
    every = [*found.days.values(), *([found.dataset] if found.dataset else [])]
    pictures, read = sum(m.document.pictures for m in found.days.values()), sum(m.read for m in every)
    lines = [f"{escape(asked.question.model)}: {write_count(pictures, 'picture')} of {write_count(len(found.days), 'day')}; "
             f"{read:,} were read now, the others were measured before."]
    if found.dataset:
        lines.append(f"dataset {found.dataset.document.dataset}: {write_count(found.dataset.document.pictures, 'picture')} "
                     f"that the live version was trained on.")
    lines += [escape(f"no dataset to compare with: {found.reason}")] if found.reason else []
    lines += [line for made in every if (line := _say_missing(made.document))]
    lines += [f"expired before they were measured: {', '.join(found.left_out)}"] if found.left_out else []
    return "\n".join([*lines, storage.uri(layout.measures(asked.question.model))])


def _say_missing(document: Measured) -> str:
    missing = ", ".join(f"{n:,} {reason}" for reason, n in document.missing.items())
    return f"  {document.day or document.dataset}: not measured: {missing}" if missing else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv, prog_name="trueup pictures measure")


if __name__ == "__main__":
    end_with(main)
