"""What a command costs before it works: an evaluation of three rows from two files, beside the libraries alone.

    python -m benchmarks.start [--repeats 7]

Whole processes, taking turns; medians. The last rows are limits: what Python and the libraries of an evaluation take to be
imported, whatever is done with them; with pandas, which pyarrow imports unless it is kept from it (command/without_pandas.py).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.timed import Case, alternate, table, trueup

PREDICTIONS = """prediction_id,predicted_at,predicted_label,confidence
a,2026-11-20T10:00:00Z,cat,0.9
b,2026-11-20T11:00:00Z,dog,0.8
c,2026-11-20T12:00:00Z,cat,0.7
"""
LABELS = """prediction_id,label,labeler,labeled_at
a,cat,ann,2026-11-20T13:00:00Z
b,cat,bob,2026-11-20T13:00:00Z
c,cat,ann,2026-11-20T13:00:00Z
"""
LIBRARIES = "import click, duckdb, pydantic, pyarrow.compute, pyarrow.dataset, pyarrow.parquet"
# pyarrow.dataset makes a value, which imports pandas unless `do_without_pandas` came before.
WITHOUT = f"from command.without_pandas import do_without_pandas; do_without_pandas(); {LIBRARIES}"


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args(argv).repeats
    with tempfile.TemporaryDirectory() as folder:
        cases = [Case("trueup evaluate --predictions p.csv --labels l.csv", evaluate(Path(folder), "csv")),
                 Case("the same of Parquet files", evaluate(Path(folder), "parquet")),
                 Case("trueup --help", trueup("--help")),
                 Case("the libraries alone", [sys.executable, "-c", WITHOUT]),
                 Case("the libraries alone, with pandas", [sys.executable, "-c", f"import pandas; {LIBRARIES}"])]
        alternate(cases, repeats)
    print(table([("three rows", "seconds", "of processor"),
                 *((case.name, f"{case.median('wall'):.2f}", f"{case.median('cpu'):.2f}") for case in cases)]))
    return 0


def evaluate(folder: Path, form: str) -> list[str]:
    """The command, and its two files in this format."""
    from pyarrow import csv, parquet

    files = {}
    for name, text in (("predictions", PREDICTIONS), ("labels", LABELS)):
        files[name] = folder / f"{name}.csv"
        files[name].write_text(text)
        if form == "parquet":
            rows = csv.read_csv(files[name])
            files[name] = files[name].with_suffix(".parquet")
            parquet.write_table(rows, files[name])
    return trueup("evaluate", "--predictions", str(files["predictions"]), "--labels", str(files["labels"]))


if __name__ == "__main__":
    sys.exit(main())
