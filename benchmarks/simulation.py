"""What programs that simulate share: how many runs, from which seed, and whether the rows are printed as JSON."""

import argparse
from collections.abc import Sequence


def read_options(about: str | None, argv: Sequence[str] | None, runs: int) -> argparse.Namespace:
    """Reads --runs (default: `runs`), --seed and --json; `about`: the program's docstring, whose first line --help prints."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)
