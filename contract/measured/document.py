"""What was measured of the pictures of a day, or of a dataset's training rows: histograms that add, and a row for each picture.

`measures/<model>/dt=<day>/<inputs>.json` names the Parquet table beside it (table first, document last);
`measures/<model>/dataset=<id>/<inputs>.json` has histograms alone. Made on demand (jobs/pictures), named by what they were
made from. `trueup forget` removes the documents of days that hold the picture: the next run makes them without it.
"""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic import Field as DocumentField

from contract import jsonio, layout
from contract.documents.document import Document
from contract.documents.version_figures import Count
from contract.errors import DamagedDocument, NotFound, pass_over
from contract.measured.measures import BY_NAME, MEASURES, VERSION
from contract.records import Field, TableSchema
from contract.stores.store import Storage, create_if_absent

if TYPE_CHECKING:
    import pyarrow as pa

D = TypeVar("D", bound=Document)
PICTURE = TableSchema("pictures", (
    Field("image_sha256", "string", "content hash of the picture; ascending, each once"),
    Field("prediction_id", "string", "the first prediction of the day that was of it, by its bytes"),
    Field("image_uri", "string", "where it lies, relative to the root; null: not stored"),
    Field("reason", "string", "why its pixels were not measured; null: they were"),
    *(Field(measure.name, "double", f"{measure.unit}; null: it has none, or is not known") for measure in MEASURES),
))


class Histogram(BaseModel):
    """How many pictures fell into each bin (contract/measured/measures.py), their values added up, and how many have none.

    `sums` are whole numbers, of 1 / Measure.scale: so a median is known better than its bin, and all adds in any order.
    """

    model_config = ConfigDict(frozen=True)

    counts: list[Count]
    sums: list[Count]
    none: Count


class Measured(Document):
    """Measures of distinct pictures, each once: of a `day` (role as in the rows), or of a `dataset`."""

    schema_: Literal["1"] = DocumentField(default="1", alias="schema")
    measures: str = VERSION
    model: str
    day: str | None = None
    dataset: str | None = None
    role: str | None = None
    inputs: str
    files: list[list[str]] = []  # key, size, etag of the day's files of predictions
    predictions: Count  # rows that name a picture; of a dataset its training rows
    unnamed: Count = 0  # rows that name none
    pictures: Count  # distinct ones
    missing: dict[str, Count]  # reason -> pictures whose pixels were not measured
    histograms: dict[str, Histogram]
    table: str | None = None  # its file name

    @property
    def folder(self) -> str:
        """The key of the folder that holds document and table."""
        return layout.measures(self.model, day=self.day or "", dataset=self.dataset or "")


def name_inputs(made_from: Mapping[str, Any]) -> str:
    """Names what measures are made from: 16 hex digits."""
    return jsonio.digest({"measures": VERSION, **made_from})[:16]


def find_measured(storage: Storage, folder: str, inputs: str) -> Measured | None:
    """The document of exactly these inputs; None when there is none, or a damaged one, which is named."""
    return find_made(storage, layout.measures_document(folder, inputs), Measured)


def find_made(storage: Storage, key: str, kind: type[D]) -> D | None:
    """The document of that kind; None when there is none, or a damaged one, which is named."""
    try:
        return kind.load(storage, key)
    except NotFound:
        return None
    except DamagedDocument as error:
        pass_over(error)
        return None


def list_measured(storage: Storage, folder: str) -> list[Measured]:
    """All documents in a folder that can be read, of this version of the measures."""
    names = [layout.document_name(entry.key) for entry in storage.list(folder) if entry.key.endswith(".json")]
    found = [find_measured(storage, folder, name) for name in names]
    return [one for one in found if one and one.measures == VERSION]


def read_pictures(storage: Storage, document: Measured) -> pa.Table:
    """Reads the row of each picture (PICTURE); without rows where the table went by age, or cannot be read, which is named."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if document.table is None:
        return PICTURE.arrow().empty_table()
    key = document.folder + document.table
    try:
        return pq.read_table(pa.BufferReader(storage.read(key))).select(PICTURE.names).cast(PICTURE.arrow())
    except NotFound:
        return PICTURE.arrow().empty_table()
    except (OSError, pa.ArrowException, KeyError) as error:
        pass_over(DamagedDocument(f"{storage.uri(key)}: expected the measures of pictures, got {error}."))
        return PICTURE.arrow().empty_table()


def write_measured(storage: Storage, document: Measured, rows: Sequence[Mapping[str, Any]] | None) -> Measured:
    """Writes the table of `rows` (PICTURE; None: no table), then the document, and returns what lies there.

    What was there before stays, but for a damaged document, which says nothing and is replaced.
    """
    if rows:
        data = _to_parquet(rows)
        name = layout.measures_table(document.folder, hashlib.sha256(data).hexdigest()[:16])
        create_if_absent(storage, name, data)
        document = document.model_copy(update={"table": name.removeprefix(document.folder)})
    return write_made(storage, layout.measures_document(document.folder, document.inputs), document)


def write_made(storage: Storage, key: str, document: D) -> D:
    """Writes a document, and returns what lies there: what was there before stays, but for a damaged one."""
    if create_if_absent(storage, key, document.to_bytes()):
        return document
    if found := find_made(storage, key, type(document)):
        return found
    storage.put(key, document.to_bytes())
    return document


def _to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), PICTURE.arrow()), sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def count_values(rows: Iterable[Mapping[str, Any]]) -> dict[str, Histogram]:
    """Counts rows of PICTURE into histograms."""
    made = _make_empty()
    for row in rows:
        for name, measure in BY_NAME.items():
            if (value := row[name]) is None:
                made[name]["none"] += 1
            else:
                k = bisect_right(measure.edges, value)
                made[name]["counts"][k] += 1
                made[name]["sums"][k] += round(value * measure.scale)
    return {name: Histogram(**of) for name, of in made.items()}


def add_histograms(documents: Iterable[Measured]) -> dict[str, Histogram]:
    """The histograms of several documents together: days, or pictures measured on several machines, add."""
    made = _make_empty()
    for document in documents:
        for name, of in made.items():
            one = document.histograms[name]
            of["counts"] = [a + b for a, b in zip(of["counts"], one.counts, strict=True)]
            of["sums"] = [a + b for a, b in zip(of["sums"], one.sums, strict=True)]
            of["none"] += one.none
    return {name: Histogram(**of) for name, of in made.items()}


def _make_empty() -> dict[str, dict[str, Any]]:
    return {name: {"counts": [0] * (len(measure.edges) + 1), "sums": [0] * (len(measure.edges) + 1), "none": 0}
            for name, measure in BY_NAME.items()}
