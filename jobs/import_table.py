"""Bring rows that were made elsewhere into the root.

    trueup import predictions FILE --root ROOT [--model M] [--model-version V]      (also python -m jobs.import_table …)
    trueup import labels FILE --root ROOT [--day D]

CSV, JSON lines and Parquet; labels also from an output manifest of SageMaker Ground Truth. All rows are good or nothing
is written, unless --skip-bad leaves the bad ones out and lists them. Files are named by their content, so that the same
import again changes nothing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.process import end_with
from contract import clock, counts_store, ids, jsonio, layout
from contract.days import prediction_days
from contract.errors import ForeignSchema
from contract.records import LABEL, PREDICTION
from contract.rows.reading import rows_where
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage, create_if_absent
from jobs.imports import ground_truth
from jobs.imports import rows as import_rows
from jobs.imports.rows import Row

RECORDS = {"predictions": PREDICTION, "labels": LABEL}
SHOWN = 20  # bad rows that a message names


def import_file(storage: Storage, table: str, path: Path, fill: Mapping[str, str] | None = None, day: str | None = None,
                skip_bad: bool = False) -> dict[str, Any]:
    """Validates and writes one file's rows; returns {"rows", "files", "bad"}. ForeignSchema names the bad rows."""
    if table == "labels" and ground_truth.is_manifest(path):
        good, bad = ground_truth.read(storage, path)
    else:
        good, bad = import_rows.read(path, RECORDS[table], fill)
    by_day, lost = place(storage, table, path, good, day)
    bad += lost
    if bad and not skip_bad:
        more = f"\n… and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ForeignSchema("\n".join(bad[:SHOWN]) + more + "\nNothing was written. Correct the rows, or leave them out "
                            "by --skip-bad.")
    written = [write(storage, table, when, rows) for when, rows in sorted(by_day.items())]
    return {"rows": sum(map(len, by_day.values())), "files": written, "bad": bad}


def place(storage: Storage, table: str, path: Path, rows: Sequence[tuple[int, Row]],
           day: str | None) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows by their prediction's UTC day, and one line for each row whose day cannot be told."""
    unknown = {r["prediction_id"] for _, r in rows if _day(table, r, day) is None}
    found = _days_of(storage, unknown) if unknown else {}
    by_day, bad = defaultdict(list), []
    for number, row in rows:
        when = _day(table, row, day) or found.get(row["prediction_id"])
        said = row.pop("dt", None)
        if when is None:
            bad.append(f"{path}: row {number}: no prediction {row['prediction_id']!r} in the root, so its day is not "
                       f"known. Import the predictions first, or name the day in a column dt or by --day.")
        elif not ids.may_lie_in(when, row["prediction_id"]):
            bad.append(f"{path}: row {number}: {row['prediction_id']!r} is a UUIDv7 beyond the year 9999, of no day "
                       f"that rows can lie under. Give the prediction another id.")
        elif said is not None and str(said) != when:
            bad.append(f"{path}: row {number}: dt {str(said)!r}, but the id {row['prediction_id']!r} is of {when}.")
        else:
            by_day[when].append(row)
    return by_day, bad


def _day(table: str, row: Row, day: str | None) -> str | None:
    of_id = ids.day_of(row["prediction_id"])
    said = of_id or row["dt"] or day
    if said is None and table == "predictions":
        said = clock.day_of(row["predicted_at"])
    return None if said is None else clock.parse_day(str(said))


def _days_of(storage: Storage, wanted: Iterable[str]) -> dict[str, str]:
    """Maps prediction ids to their days, newest partitions first. ForeignSchema: a file that cannot be read."""
    left = set(wanted)
    found: dict[str, str] = {}
    for day in reversed(prediction_days(storage)):
        if not left:
            break
        rows = rows_where(storage, layout.PREDICTIONS, day, "prediction_id", left, ("prediction_id",), unreadable=None)
        found |= {str(row["prediction_id"]): day for _, row in rows}
        left -= found.keys()
    return found


def write(storage: Storage, table: str, day: str, rows: Sequence[Row]) -> str:
    """One file of rows, named by what is in it; returns its key."""
    import pyarrow as pa

    content = jsonio.digest([{k: _plain(v) for k, v in row.items()} for row in rows])
    if table == "labels":
        rows = [_add_id(row) for row in rows]
    data = counts_store.to_parquet(pa.Table.from_pylist(list(rows), schema=RECORDS[table].arrow()))
    key = layout.row_file(table, day, f"import-{content[:16]}", 1, len(rows))
    create_if_absent(storage, key, data)  # named by its content: the same rows may have been imported before
    return key


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _add_id(row: Row) -> Row:
    """Labels without an id get one that follows from their content; without an origin they are imported."""
    content = jsonio.digest({k: _plain(v) for k, v in row.items()})
    made = ids.uuid7(row["labeled_at"], hashlib.sha256(content.encode()).digest()[:10])
    return {**row, "label_id": row["label_id"] or made, "origin": row["origin"] or "import"}


@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", help="Fills a column `model` that the file lacks.")
@click.option("--model-version", help="Fills a column `model_version` that the file lacks.")
@click.option("--day", type=clock.parse_day, help="UTC day of rows whose id is no UUIDv7 and that have no column dt.")
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out, and list them.")
def _import(settings: Settings, table: str, file: Path, model: str | None, model_version: str | None, day: str | None,
            skip_bad: bool) -> Outcome:
    named = {"model": model or settings.model, "model_version": model_version} if table == "predictions" else {}
    fill = {column: value for column, value in named.items() if value is not None}
    done = import_file(open_root(settings.need_root(), create=True), table, file, fill, day, skip_bad)
    lines = [f"left out: {line}" for line in done["bad"]]
    lines.append(f"{done['rows']:,} {table} in {len(done['files'])} files; {len(done['bad'])} rows left out")
    return Outcome(document=done, text="\n".join(lines))


def _command(table: str, help_text: str) -> click.Command:
    def function(settings: Settings, **options: Any) -> Outcome:
        return _import(settings, table, **options)

    function.__click_params__ = list(_import.__click_params__)  # type: ignore[attr-defined]
    function.__doc__ = help_text
    return stage_command(table)(function)


predictions_command = _command("predictions", "Predictions of another service, from CSV, JSON lines or Parquet.")
labels_command = _command("labels", "Human labels, from CSV, JSON lines, Parquet or a Ground Truth output manifest.")
group = click.Group("import", help="Bring rows that were made elsewhere into the root.",
                    commands={"predictions": predictions_command, "labels": labels_command})



def main(argv: Sequence[str] | None = None) -> int:
    """Runs `import predictions` or `import labels`; returns its exit code."""
    return run(group, argv)


if __name__ == "__main__":
    end_with(main)
