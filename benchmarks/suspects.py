"""How many wrong labels are found, and how many right ones are called wrong: digits with planted errors.

    python -m benchmarks.suspects [--runs 5] [--seed 1] [--json]

scikit-learn's 1,797 digits in an order by seed, 5% of the labels replaced by another class. A small network learns the first
half, wrong labels too, so that its answers say nothing of these: they are judged by a head fitted on pixels of the other folds.
Three roots a seed, by what there is for the other half: the network's logged answers (the five likeliest classes), its
embeddings with a head fitted on the other folds, and nothing but pixels. `at 50`: of the 50 likeliest mistakes, those that
are. `recall`: of the planted, those listed. `precision`: of the listed, those planted. `named`: of the planted ones that are
listed, those with the true class as the likely one.
"""

import json
import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.simulation import read_options
from jobs.suspects.make import find_suspects
from tests.jobs.suspects.planted import MODEL, make_digits

JUDGES = ("logged", "embedding", "pixels")
TOP = 50


def main(argv: list[str] | None = None) -> int:
    """Prints the table."""
    given = read_options(__doc__, argv, 5)
    rows = [{"judge": judge, **measure(judge, given.seed + n)} for judge in JUDGES for n in range(given.runs)]
    print(json.dumps(rows) if given.json else text(rows, given.runs))
    return 0


def measure(judge: str, seed: int) -> dict[str, Any]:
    """What was found of one root."""
    with TemporaryDirectory() as folder:
        planted = make_digits(f"{folder}/root", judge, seed)
        found = find_suspects(planted.storage, MODEL, planted.made)
    hits = [one.image_sha256 in planted.wrong for one in found.suspects]
    right = [one.likely == planted.truth[one.image_sha256] for one, hit in zip(found.suspects, hits, strict=True) if hit]
    return {"seed": seed, "planted": len(planted.wrong), "listed": len(hits), "at_50": sum(hits[:TOP]) / TOP,
            "recall": sum(hits) / len(planted.wrong), "precision": sum(hits) / max(len(hits), 1),
            "named": sum(right) / max(len(right), 1), "judges": [(one.name, one.rows, one.agree) for one in found.judges]}


def text(rows: list[dict[str, Any]], runs: int) -> str:
    """The rows as an aligned table: the mean of the seeds, and their range."""
    columns = ("at_50", "recall", "precision", "named")
    lines = [f"{rows[0]['planted']} planted errors, {runs} seeds: mean (least to most)", "",
             f"{'judge':<12}{'listed':>8}" + "".join(f"{name.replace('_', ' '):>26}" for name in columns)]
    for judge in JUDGES:
        mine = [row for row in rows if row["judge"] == judge]
        cells = [[row[name] for row in mine] for name in columns]
        lines.append(f"{judge:<12}{np.mean([row['listed'] for row in mine]):>8.0f}" + "".join(
            f"{np.mean(cell):>12.1%} ({min(cell):.1%} to {max(cell):.1%})".rjust(26) for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
