"""The mapreduce engine: writes split lists, runs jobs/evaluate_mapreduce.py by any of mrjob's runners, reads its lines.

    python -m jobs.engines.mapreduce.engine --root ROOT --model M --from 2026-11-01 --to 2026-11-20 --splits splits/

writes the split lists only, for people who run the MapReduce job by themselves; see jobs/evaluate_mapreduce.py.
"""

import json
import logging
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from command.command import Outcome, run, stage_command
from command.interrupts import shield_forks
from command.process import end_with
from contract import clock
from contract.counts import ROWS, TABLES, DayCounts, canonical, empty_tables
from contract.errors import Mismatch, UsageError
from contract.rows.items import DayItems, arrange_items, make_schema
from contract.settings import Settings
from contract.stores.store import Storage
from jobs.engines.mapreduce import splits
from jobs.engines.question import DayFiles, Question
from jvm import java, task_store

RUNNERS = ("inline", "local", "spark", "hadoop", "emr")
AT_ONCE = 2_000  # output lines that are Python objects at one time
Made = TypeVar("Made", DayCounts, DayItems)
PACKAGES = Path(__file__).resolve().parents[3]  # the folder that our packages lie in


def count(storage: Storage, days: Sequence[DayFiles], question: Question, *, runner: str = "local",
          mrjob_args: Sequence[str] = ()) -> Iterator[DayCounts]:
    """Counts each day, by one MapReduce job over all of them; `mrjob_args` are further options of mrjob.

    Raises Mismatch when the tasks together read other rows than the footers promise, UsageError for another runner.
    """
    return _run_days(storage, days, question, runner, mrjob_args, collect_day)


def list_items(storage: Storage, days: Sequence[DayFiles], question: Question, *, runner: str = "local",
               mrjob_args: Sequence[str] = ()) -> Iterator[DayItems]:
    """Lists the items of each day, whose footers were read with ITEM_COLUMNS; else as `count`."""
    asked = replace(question, slices=())  # which columns a mapper reads, the footers say
    return _run_days(storage, days, asked, runner, [*mrjob_args, "--items"], collect_items)


def _run_days(storage: Storage, days: Sequence[DayFiles], question: Question, runner: str, mrjob_args: Sequence[str],
              collect: Callable[[DayFiles, Iterable[dict]], Made]) -> Iterator[Made]:
    """Makes of each day what `collect` makes of the job's output lines."""
    if runner not in RUNNERS:
        raise UsageError(f"runner {runner!r}: expected one of {', '.join(RUNNERS)}.")
    if not any(day.predictions or day.labels for day in days):
        return (collect(day, ()) for day in days)
    return _make_days(storage, days, question, runner, mrjob_args, collect)


def _make_days(storage: Storage, days: Sequence[DayFiles], question: Question, runner: str, mrjob_args: Sequence[str],
               collect: Callable[[DayFiles, Iterable[dict]], Made]) -> Iterator[Made]:
    with tempfile.TemporaryDirectory(prefix="trueup-mapreduce-") as temporary:
        folder = Path(temporary)
        split_by_day(folder, _run_job(folder, storage, days, question, runner, mrjob_args))
        for day in days:
            yield collect(day, read_lines(folder, day.day))


def _run_job(folder: Path, storage: Storage, days: Sequence[DayFiles], question: Question, runner: str,
             mrjob_args: Sequence[str]) -> Iterator[dict]:
    """Runs the job over all days and yields its output lines."""
    from jobs.evaluate_mapreduce import MREvaluate

    paths = splits.write(folder / "splits", storage.root, days)
    arguments = [*_runner_arguments(runner, folder, mrjob_args), *_pass_store_on(storage), *mrjob_args,
                 *_question_arguments(question, folder)]
    job = MREvaluate([*arguments, *map(str, paths)])
    with shield_forks(), job.make_runner() as running:
        running.run()
        yield from (line for _, line in job.parse_output(running.cat_output()))


def _pass_store_on(storage: Storage) -> list[str]:
    """Returns the options by which tasks find the same S3: Hadoop's streaming tasks do not inherit our environment."""
    return [word for name, value in task_store.make_environment(storage).items() for word in ("--cmdenv", f"{name}={value}")]


def _question_arguments(question: Question, folder: Path) -> list[str]:
    arguments = [f"--model={question.model}", f"--role={question.role}",
                 f"--as-of={clock.iso(clock.from_us(question.as_of))}"]
    arguments += [f"--role-word={word}={role}" for word, role in question.roles.items()]
    arguments += [f"--model-version={question.version}"] if question.version else []
    for declared in question.slices:
        arguments.append(f"--slice={declared.name}={declared.expression}")
    if question.labeler_weights:
        weights = folder / "weights.json"
        weights.write_text(json.dumps(dict(question.labeler_weights)))
        arguments += ["--labeler-weights", str(weights)]
    if question.scores:
        scores = folder / "scores.json"
        scores.write_text(json.dumps(question.scores.to_json()))
        arguments += ["--labeler-scores", str(scores)]
    return arguments


def _runner_arguments(runner: str, folder: Path, mrjob_args: Sequence[str]) -> list[str]:
    """Returns the options by which mrjob runs our code. On EMR the packages are installed on the nodes (emr/)."""
    if runner == "emr":
        return ["-r", runner]
    path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))
    arguments = ["-r", runner, "--cmdenv", f"PYTHONPATH={path}", "--local-tmp-dir", str(folder)]
    if runner in ("inline", "local"):
        # At least two of each, so that what is only right in one task fails on a laptop already.
        tasks = {"mapreduce.job.maps": "2", "mapreduce.job.reduces": "2"}
        logging.getLogger("mrjob.conf").setLevel(logging.ERROR)  # it warns that there is no configuration, as asked
        arguments += ["--no-conf", *(a for k, v in tasks.items() for a in ("-D", f"{k}={v}"))]
    if runner == "spark" and "--spark-master" not in mrjob_args:
        java.prepare()
        arguments += ["--spark-master", "local[2]", "--spark-tmp-dir", str(folder), "--python-bin", sys.executable]
    return arguments


def split_by_day(folder: Path, lines: Iterator[dict]) -> None:
    """Writes each day's output lines to a file of its own.

    The days come mixed, and together they may not fit into memory.
    """
    while some := list(islice(lines, AT_ONCE)):
        found = defaultdict(list)
        for line in some:
            found[line.pop("day")].append(json.dumps(line) + "\n")
        for day, texts in found.items():
            with _day_file(folder, day).open("a", encoding="utf-8") as file:
                file.writelines(texts)


def read_lines(folder: Path, day: str) -> Iterator[dict]:
    """Yields the output lines of one day; none when the job wrote none for it."""
    if _day_file(folder, day).exists():
        with _day_file(folder, day).open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _day_file(folder: Path, day: str) -> Path:
    return folder / f"lines-{day}.jsonl"


def collect_day(files: DayFiles, lines: Iterable[dict]) -> DayCounts:
    """Collects one day's counts from its output lines. Raises Mismatch when rows are missing."""
    import pyarrow as pa

    rows = dict.fromkeys((*ROWS, "read"), 0)
    known: dict[str, Any] = {"known_through": 0, "next_future": None}
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    waiting = iter(lines)
    while some := list(islice(waiting, AT_ONCE)):
        found = defaultdict(list)
        for line in some:
            found[line.pop("table")].append(line)
        rows |= {line["name"]: line["n"] for line in found.pop("rows", ())}
        known |= {name: value for line in found.pop("known", ()) for name, value in line.items()}
        for name, lines_of_table in found.items():
            parts[name].append(pa.Table.from_pylist(lines_of_table, TABLES[name].arrow()))
    check_rows(files, rows.pop("read"))
    tables = {name: canonical(name, pa.concat_tables(of_table)) for name, of_table in parts.items()}
    return DayCounts(files.day, empty_tables() | tables, rows, **known)


def collect_items(files: DayFiles, lines: Iterable[dict]) -> DayItems:
    """Makes the items of a day from the job's output lines; Mismatch as `collect_day`."""
    import pyarrow as pa

    read, parts = 0, [make_schema().empty_table()]
    known: dict[str, Any] = {}
    waiting = iter(lines)
    while some := list(islice(waiting, AT_ONCE)):
        items = []
        for line in some:
            table = line.pop("table")
            if table == "items":
                items.append(line | {"confidence": None if line["confidence"] is None else float(line["confidence"])})
            elif table == "known":
                known |= line
            elif line["name"] == "read":
                read = line["n"]
        parts.append(pa.Table.from_pylist(items, make_schema()))
    check_rows(files, read)
    return DayItems(files.day, arrange_items(pa.concat_tables(parts)), **known)


def check_rows(files: DayFiles, read: int) -> None:
    """Raises Mismatch when other rows were read than the footers promise."""
    promised = sum(file.rows for file in files.predictions + files.labels)
    if read != promised:
        raise Mismatch(f"day {files.day}: expected {promised} rows by the files' footers, read {read}. "
                       f"A file changed, or a task was lost: start again.")


@stage_command("mapreduce-splits", help="Write the split lists of a window, the input of jobs/evaluate_mapreduce.py.")
@click.option("--model", required=True, help="Name of the model to count.")
@click.option("--from", "first", type=clock.parse_day, metavar="DAY", help="First prediction day. [default: the last 30]")
@click.option("--to", "last", type=clock.parse_day, metavar="DAY", help="Last prediction day. [default: today]")
@click.option("--splits", "folder", required=True, type=click.Path(path_type=Path), help="Folder for the split lists.")
def main(settings: Settings, model: str, first: str | None, last: str | None, folder: Path) -> Outcome:
    """Writes split lists and prints the command that counts them."""
    from contract.storage import open_root
    from jobs.engines.day_files import choose_window, list_day, read_footers

    storage, now = open_root(settings.need_root()), clock.now()
    days = [list_day(storage, day) for day in choose_window(storage, first, last, clock.day_of(now))]
    paths = splits.write(folder, storage.root, read_footers(storage, days)[0])
    command = f"python jobs/evaluate_mapreduce.py -r local --model {model} --as-of {clock.iso(now)} {folder}/*.jsonl"
    return Outcome(document={"splits": [str(p) for p in paths], "command": command}, text=command)


if __name__ == "__main__":
    end_with(lambda: run(main, prog_name="python -m jobs.engines.mapreduce.engine"))
