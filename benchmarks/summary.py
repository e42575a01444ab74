"""One table of what a machine does: the end of `make bench`, or several machines' records side by side.

    trueup bench [recorded.json other.json …] [--instance m5.large --instance g5.xlarge …] [--prices FILE]

Also `python -m benchmarks.summary …`. Each column is priced by its own machine: the instance type that its record names, or the
one that `--instance` gives it (one for each record, in their order). Dollars are what it costs to answer 100,000 predictions at
the throughput setting, and to count them once. Training depends on labels, and is not in it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import jsonio
from contract.errors import NotFound, TrueupError, UsageError
from emr.estimate import PRICES, Prices, Recorded, read_prices

RECORDED = Path(__file__).with_name("recorded.json")
NETWORK = "resnet152"  # what machines are usually compared by; benchmarks/__main__.py measures it beside ResNet-18
NOT_MEASURED, UNKNOWN_PRICE = "not measured", "unknown price"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table of the records that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__.split("\n")[0])
    parser.add_argument("records", nargs="*", type=Path, default=[RECORDED])
    parser.add_argument("--instance", action="append", default=[], help="a record's instance type; once for each record")
    parser.add_argument("--prices", type=Path, help="a price table [default: emr/prices.json, examples to be checked]")
    given = parser.parse_args(argv)
    try:
        print(text([read_record(path) for path in given.records], given.instance, given.prices))
    except TrueupError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def read_record(path: Path) -> dict[str, Any]:
    """Reads a machine's record. NotFound, DamagedDocument: there is none, or it lacks what every record has."""
    if not path.is_file():
        raise NotFound(f"{path}: expected a record of a machine, found no file. Measure one there: python -m benchmarks.")
    record = jsonio.loads(path.read_bytes())
    Recorded.parse(record, str(path))
    return record


def text(records: Sequence[dict[str, Any]], instances: Sequence[str] = (), prices: Path | None = None) -> str:
    """The table: a line for each figure, a column for each record. UsageError unless there is one instance for each, or none."""
    if instances and len(instances) != len(records):
        raise UsageError(f"--instance: expected one for each of {len(records)} records, in their order, or none, got "
                         f"{len(instances)}.")
    table = read_prices(prices or PRICES)
    types: list[str | None] = list(instances) or [record.get("instance") for record in records]
    columns = [column(record, kind, find_hour(table, kind)) for record, kind in zip(records, types, strict=True)]
    names = list(columns[0])
    widths = [max(len(name) for name in names), *(max(len(c[name]) for name in names) for c in columns)]
    lines = ["  ".join([name.ljust(widths[0]), *(c[name].rjust(w) for c, w in zip(columns, widths[1:], strict=True))])
             for name in names]
    said = f"Dollars: to answer and to count, at prices of {table.region} as of {table.as_of}; to be checked."
    return "\n".join([*lines, "", said])


def find_hour(prices: Prices, kind: str | None) -> float | None:
    """Finds the dollars of an hour; None for a machine without a name or a price."""
    return prices.ec2.get(kind) if kind else None


def column(record: dict[str, Any], kind: str | None, hour: float | None) -> dict[str, str]:
    """A record's figures as text, in the order of the table."""
    serving, other = record.get("serving", {}), record.get("training_of", {})
    made = {"machine": record["machine"], "instance": kind or "not named",
            "dollars an hour": UNKNOWN_PRICE if hour is None else f"{hour:g}",
            "date": record["date"], "load before": f"{record.get('load_before', '?')}",
            "upload MB/s": _figure(record.get("upload_mb_per_s")),
            "  to": record.get("upload_to", "a folder"),
            "evaluation rows/s": _figure(record["evaluation_rows_per_s"]),
            "training rows/s": _figure(record["training_rows_per_s"]),
            f"  {NETWORK}": _figure(other.get("rows_per_s") if other.get("network") == NETWORK else None)}
    for setting in ("throughput", "latency"):
        found = serving.get(setting)
        made[f"requests/s, {setting}"] = _figure(found and found["per_second"])
        made["  p50, p99 ms" + " " * (setting == "latency")] = f"{found['p50']:g}, {found['p99']:g}" if found else NOT_MEASURED
    dollars = None if hour is None else dollars_of(record, hour)
    missing = UNKNOWN_PRICE if hour is None else NOT_MEASURED
    return made | {"dollars per 100,000 predictions": missing if dollars is None else f"{dollars:.4f}"}


def dollars_of(record: dict[str, Any], hour: float) -> float | None:
    """Dollars for 100,000 predictions: seconds to answer them and to count their rows, at an instance's price an hour."""
    found = record.get("serving", {}).get("throughput")
    if not found:
        return None
    return (1e5 / found["per_second"] + 1e5 / record["evaluation_rows_per_s"]) * hour / 3600


def _figure(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
