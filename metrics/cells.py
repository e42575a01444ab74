"""The cells of one model version as numpy columns, so that ten thousand classes are divided in milliseconds.

Labels are codes into `names`, which stand in the order of their UTF-8 bytes, so that sorting codes sorts labels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from contract.confidence import NO_BIN
from contract.counts import ORIGINS, UNNAMED

if TYPE_CHECKING:
    import pyarrow as pa

UNLABELLED = -1
NO_RANK = 0  # a rank is 1, 2, … or minus the length of a list that is not empty


@dataclass(frozen=True)
class Cells:
    """One version's cells, a row each; see contract.counts.CELLS for what the columns mean."""

    names: list[str]
    predicted: np.ndarray  # code
    label: np.ndarray  # code; UNLABELLED
    bin: np.ndarray  # 0…19; NO_BIN
    origin: np.ndarray  # index into ORIGINS; UNLABELLED
    rank: np.ndarray  # NO_RANK
    split: np.ndarray  # bool
    n: np.ndarray  # int64
    sum_confidence: np.ndarray  # int64, of CONFIDENCE_SCALE
    n_weighted: np.ndarray  # int64
    sum_weight: np.ndarray  # float64, of WEIGHT_SCALE
    sum_weight_squared: np.ndarray  # float64
    sum_weight_confidence: np.ndarray  # float64, of WEIGHT_SCALE * CONFIDENCE_SCALE

    @property
    def labelled(self) -> np.ndarray:
        """Which cells have a consensus label."""
        return self.label != UNLABELLED

    @property
    def unnamed(self) -> np.ndarray:
        """Which cells were called wrong without a class (rule 4a): labelled, and never right."""
        return self.label == (self.names.index(UNNAMED) if UNNAMED in self.names else UNLABELLED - 1)

    @property
    def classes(self) -> list[str]:
        """The names that are classes: every label and prediction but `≠`."""
        return [name for name in self.names if name != UNNAMED]

    @property
    def right(self) -> np.ndarray:
        """Which cells were predicted as labelled."""
        return self.label == self.predicted

    def where(self, mask: np.ndarray) -> "Cells":
        """The cells that the mask names."""
        return Cells(self.names, *(getattr(self, c)[mask] for c in COLUMNS))


COLUMNS = [c for c in Cells.__dataclass_fields__ if c != "names"]


def by_version(table: "pa.Table") -> dict[str, Cells]:
    """Arrow cells (contract.counts.CELLS) -> the cells of each version, versions in the order of their bytes."""
    versions, of_version = _encode(table.column("model_version"))
    names, predicted, label = encode_pair(table.column("predicted"), table.column("label"))
    _, origin = _encode(table.column("origin"), list(ORIGINS))
    cells = Cells(names, predicted, label, _numbers(table, "confidence_bin", NO_BIN), origin,
                  _numbers(table, "rank", NO_RANK), _numbers(table, "split", 0).astype(bool), _numbers(table, "n", 0),
                  _numbers(table, "sum_confidence", 0), _numbers(table, "n_weighted", 0), _doubles(table, "sum_weight"),
                  _doubles(table, "sum_weight_squared"), _doubles(table, "sum_weight_confidence"))
    return {v: _compact(cells.where(of_version == i)) for i, v in enumerate(versions)}


def _compact(cells: Cells) -> Cells:
    """The same cells with only the names that occur in them."""
    used = np.union1d(cells.predicted, cells.label[cells.labelled]).astype(np.int64)
    code = np.full(len(cells.names) + 1, UNLABELLED)
    code[used] = np.arange(len(used))
    columns = {c: getattr(cells, c) for c in COLUMNS} | {"predicted": code[cells.predicted], "label": code[cells.label]}
    return Cells([cells.names[i] for i in used], **columns)


def encode_pair(first: "pa.ChunkedArray", second: "pa.ChunkedArray") -> tuple[list[str], np.ndarray, np.ndarray]:
    """Two Arrow columns as codes into the same sorted names; null is -1."""
    import pyarrow as pa

    names, codes = _encode(pa.chunked_array(first.chunks + second.chunks, pa.string()))
    return names, codes[:len(first)], codes[len(first):]


def _encode(column: "pa.ChunkedArray", names: list[str] | None = None) -> tuple[list[str], np.ndarray]:
    """Values as codes: into `names` when given, else into the sorted values; null and unknown are -1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = sorted(pc.unique(column).drop_null().to_pylist()) if names is None else names
    codes = pc.fill_null(pc.index_in(column, pa.array(names, pa.string())), UNLABELLED)
    return names, codes.to_numpy().astype(np.int64)


def _numbers(table: "pa.Table", name: str, null: int) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.fill_null(table.column(name).cast("int64"), null).to_numpy()


def _doubles(table: "pa.Table", name: str) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.fill_null(table.column(name).cast("double"), 0.0).to_numpy()
