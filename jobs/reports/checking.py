"""The table by class and confidence: by the buckets that were asked for, for the report, as CSV and as JSON."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import jsonio
from contract.counts_store import load_all
from contract.documents.evaluation import Evaluation
from contract.errors import Mismatch, NotFound, UsageError, pass_over
from contract.settings import ReportSettings
from contract.stores.store import Storage
from jobs.reports.tables import make_harmless
from metrics.automatic.by_class import Checked, check_by_class, group_by_class

COLUMNS = list(Checked.__annotations__)


def parse_buckets(text: str) -> list[float]:
    """Reads edges such as 80-85-90-95-100 or 0.8,0.85,0.9,0.95: percent where one is above 1; 0 and 1 may be left out.

    UsageError.
    """
    parts = [part for part in re.split(r"[-, ]+", text.strip()) if part]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise UsageError(f"--buckets {text}: expected edges such as 80-85-90-95-100, or 0.8,0.85,0.9,0.95.") from None
    unit = 0.01 if any(number > 1 for number in numbers) else 1
    return [edge for number in numbers if 0 < (edge := round(number * unit, 6)) < 1]


def check_versions(storage: Storage, evaluation: Evaluation, settings: ReportSettings) -> dict[str, list[Checked]]:
    """Version -> the rows of its table, from the counts that the evaluation names. NotFound: they are gone; Mismatch."""
    cells = [day.tables["cells"] for day in load_all(storage, evaluation)]
    return {version: check_by_class(cells, version, settings.buckets, split_wrong=settings.split_wrong)
            for version in evaluation["versions"]}


def find_checking(storage: Storage, evaluation: Evaluation, settings: ReportSettings) -> dict[str, dict[str, Any]]:
    """Version -> what the report shows in place of the document's own buckets: `edges`, `split_wrong` and `classes`.

    Empty where the settings are the default ones, which the document itself has figures for, or the counts are gone.
    """
    usual = ReportSettings()
    if (settings.buckets, settings.split_wrong) == (usual.buckets, usual.split_wrong):
        return {}
    try:
        found = check_versions(storage, evaluation, settings)
    except NotFound:
        return {}
    except Mismatch as error:
        pass_over(error)
        return {}
    shown = {"edges": (0.0, *settings.buckets, 1.0), "split_wrong": settings.split_wrong}
    return {version: {**shown, "classes": group_by_class(rows)} for version, rows in found.items()}


def write_table(storage: Storage, evaluation: Evaluation, settings: ReportSettings, file: Path) -> str:
    """Writes the tables of all versions as CSV or JSON, by the ending of the file; returns its path. UsageError."""
    if file.suffix not in (".csv", ".json"):
        raise UsageError(f"--by-class {file}: expected a file that ends with .csv or .json.")
    rows = [row for of_version in check_versions(storage, evaluation, settings).values() for row in of_version]
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"model": evaluation["model"], "window": evaluation["window"], "as_of": evaluation["as_of"],
                "split_wrong": settings.split_wrong, "rows": rows}
    file.write_text(jsonio.dumps(document).decode() if file.suffix == ".json" else _write_csv(rows), encoding="utf-8", newline="")
    return str(file)


def _write_csv(rows: Sequence[Checked]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(COLUMNS)
    writer.writerows([make_harmless(value) for value in row.values()] for row in rows)
    return sink.getvalue()
