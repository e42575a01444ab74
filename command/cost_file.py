"""A table of costs is read from a file: label, predicted and what it costs to take the one for the other.

    label,predicted,cost          CSV, also with a byte order mark
    dog,cat,5

    {"dog": {"cat": 5}}           JSON, or the same as YAML (of 1 MiB at most, as all YAML)
"""

import csv
import io
import math
from pathlib import Path
from typing import Any

from command.settings_file import parse_settings
from contract.errors import UsageError, shorten

COLUMNS = ["label", "predicted", "cost"]
LARGEST = 64 << 20  # bytes: all pairs of 1,000 classes are a million lines of CSV or JSON, and these are read in seconds


def read_costs(name: str) -> dict[str, Any]:
    """Reads label -> predicted -> cost; UsageError names file and line. Costs in JSON and YAML are checked with the settings."""
    try:
        with Path(name).open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"gates.costs: {shorten(name)}: expected a file with costs (or `label: {{predicted: cost}}`), which "
                         f"cannot be read: {error}.") from None
    if len(data) > LARGEST:
        raise UsageError(f"gates.costs: {name}: expected at most {LARGEST:,} bytes.")
    if name.lower().endswith((".json", ".yaml", ".yml")):
        return parse_settings(data, f"gates.costs: {name}")
    try:
        return _read_lines(name, data.decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"gates.costs: {name}: expected CSV in UTF-8: {error}.") from None


def _read_lines(name: str, text: str) -> dict[str, dict[str, float]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head = [column.strip() for column in next(reader, [])]
    if sorted(head) != sorted(COLUMNS):
        raise UsageError(f"gates.costs: {name}, line 1: expected the columns {', '.join(COLUMNS)}, got "
                         f"{shorten(', '.join(head))}.")
    found: dict[str, dict[str, float]] = {}
    for values in reader:
        if not values:
            continue
        where = f"gates.costs: {name}, line {reader.line_num}"
        if len(values) != len(head):
            raise UsageError(f"{where}: expected {len(head)} values, got {len(values)}.")
        row = dict(zip(head, (value.strip() for value in values), strict=True))
        if not row["label"] or not row["predicted"]:
            raise UsageError(f"{where}: expected a label and a predicted class, got an empty one.")
        if row["predicted"] in found.setdefault(row["label"], {}):
            raise UsageError(f"{where}: expected each pair once, got {row['label']!r} taken for {row['predicted']!r} again.")
        found[row["label"]][row["predicted"]] = _parse_cost(row["cost"], where)
    return found


def _parse_cost(text: str, where: str) -> float:
    try:
        cost = float(text)
    except ValueError:
        cost = math.nan
    if not (math.isfinite(cost) and cost >= 0):
        raise UsageError(f"{where}: expected a cost of 0 or more, got {shorten(text)}.")
    return cost
