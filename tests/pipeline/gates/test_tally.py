"""The tally of a gate is what the cells say."""

import pyarrow as pa

from contract.counts import CELLS
from pipeline.gates.tally import RightCount, tally


def cells(*rows):
    names = ("model_version", "predicted", "label", "origin", "n")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=CELLS.arrow())


def test_right_and_labelled_by_origin_and_by_class():
    found = tally(cells(("1", "a", "a", "audit", 3), ("1", "a", "b", "audit", 2), ("1", "b", "b", "feedback", 5),
                        ("1", "a", None, None, 90), ("2", "a", "b", "audit", 7)), "1", ["audit"], ["a", "b", "c"])
    assert (found.predictions, found.labelled) == (100, 10)
    assert found.origins == {"audit": RightCount(3, 5), "feedback": RightCount(5, 5)}
    assert found.recall == {"a": RightCount(3, 3), "b": RightCount(0, 2), "c": RightCount()}
    assert found.precision == {"a": RightCount(3, 5), "b": RightCount(), "c": RightCount()}
    assert found.of(["audit", "import"]) == RightCount(3, 5)


def test_cells_of_several_days_add():
    rows = ("1", "a", "a", "audit", 3)
    assert tally(cells(rows, rows), "1", ["audit"]).origins == {"audit": RightCount(6, 6)}
