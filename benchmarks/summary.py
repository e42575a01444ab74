"""One table of what a machine does: the end of `make bench`, or several machines' records side by side.

    python -m benchmarks.summary [recorded.json other.json …] [--instance m5.large] [--prices FILE]

Dollars are those of the instance type that is named, taken to be as fast as the machine of the record: what it costs to
answer 100,000 predictions at the throughput setting, and to count them once. Training depends on labels, and is not in it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import jsonio

RECORDED = Path(__file__).with_name("recorded.json")
INSTANCE = "m5.large"  # two virtual cores
NOT_MEASURED = "not measured"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table of the records that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__.split("\n")[0])
    parser.add_argument("records", nargs="*", type=Path, default=[RECORDED])
    parser.add_argument("--instance", default=INSTANCE, help="type whose price is taken [default: %(default)s]")
    parser.add_argument("--prices", type=Path, help="a price table [default: emr/prices.json, examples to be checked]")
    given = parser.parse_args(argv)
    print(text([jsonio.loads(path.read_bytes()) for path in given.records], given.instance, given.prices))
    return 0


def text(records: Sequence[dict[str, Any]], instance: str = INSTANCE, prices: Path | None = None) -> str:
    """The table: a line for each figure, a column for each record."""
    from emr.estimate import PRICES, read_prices

    hour = read_prices(prices or PRICES).price_hour((instance,), emr=False)
    columns = [column(record, hour) for record in records]
    names = list(columns[0])
    widths = [max(len(name) for name in names), *(max(len(c[name]) for name in names) for c in columns)]
    lines = ["  ".join([name.ljust(widths[0]), *(c[name].rjust(w) for c, w in zip(columns, widths[1:], strict=True))])
             for name in names]
    return "\n".join([*lines, "", f"Dollars: {instance} at ${hour:g} an hour, to answer and to count; prices to be checked."])


def column(record: dict[str, Any], hour: float) -> dict[str, str]:
    """A record's figures as text, in the order of the table."""
    serving = record.get("serving", {})
    made = {"machine": record["machine"], "date": record["date"], "load before": f"{record.get('load_before', '?')}",
            "upload MB/s": _figure(record.get("upload_mb_per_s")),
            "evaluation rows/s": _figure(record["evaluation_rows_per_s"]),
            "training rows/s": _figure(record["training_rows_per_s"])}
    for setting in ("throughput", "latency"):
        found = serving.get(setting)
        made[f"requests/s, {setting}"] = _figure(found and found["per_second"])
        made["  p50, p99 ms" + " " * (setting == "latency")] = f"{found['p50']:g}, {found['p99']:g}" if found else NOT_MEASURED
    dollars = dollars_of(record, hour)
    return made | {"dollars per 100,000 predictions": NOT_MEASURED if dollars is None else f"{dollars:.4f}"}


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
