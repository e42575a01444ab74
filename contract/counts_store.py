"""Counts as they lie in the bucket: immutable, under what they were made from (docs/design.md#counts).

`counts/<model>/dt=<day>/<inputs>/<known_through>.json` names the Parquet tables beside it. Tables first, document last,
both created exclusively: two runs at once write the same content, and an older run that ends last does no harm.
"""

import hashlib
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, PrivateAttr

from contract import jsonio, layout
from contract.counts import ROWS, RULES, TABLES, VALUES_OF, DayCounts, empty_tables
from contract.documents.document import Document
from contract.documents.evaluation import Evaluation
from contract.documents.known_times import KnownTimes
from contract.errors import Mismatch, NotFound
from contract.stores.store import Storage, create_if_absent

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = re.compile(r"(-?[0-9]{1,18})\.json")


class CountsDocument(KnownTimes, Document):
    """What was counted, from which files, and where the tables are. Times are microseconds since 1970 UTC."""

    schema_: Literal["1"] = Field("1", alias="schema")
    rules: str = RULES
    model: str
    day: str
    role: str
    inputs: str
    known_through: int
    next_future: int | None
    rows: dict[str, int]
    files: list[list[str]]  # key, size, etag
    hashes: dict[str, str] | None = None  # key of a file -> sha256 of its bytes; None: of before these were taken
    engine: str | None = None  # that counted; None: not told
    slices: list[list[str]] = []
    consensus: str = "majority"
    tables: dict[str, str]  # name -> file name; a table without rows has no file
    _sha256: str = PrivateAttr("")

    @classmethod
    def load(cls, storage: Storage, key: str) -> Self:
        """The document under a key, which knows the hash of its bytes; raises as of any document."""
        data = storage.read(key)
        found = cls.parse(jsonio.parse(data, storage.uri(key)), storage.uri(key))
        found._sha256 = hashlib.sha256(data).hexdigest()
        return found

    @property
    def sha256(self) -> str:
        """The sha256 of its bytes in the bucket: of those that were read, or of those that it is written as."""
        return self._sha256 or hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def folder(self) -> str:
        """The key of the folder that holds document and tables."""
        return layout.counts(self.model, self.day, self.inputs)

    @classmethod
    def of(cls, counts: DayCounts, **made_from: Any) -> Self:
        """The document of a day's counts, without its tables yet."""
        return cls(day=counts.day, known_through=counts.known_through, next_future=counts.next_future,
                   rows=counts.rows, tables={}, **made_from)


def find(storage: Storage, model: str, day: str, inputs: str, as_of: int) -> CountsDocument | None:
    """The newest document of these inputs that is good at `as_of`, or None."""
    folder = layout.counts(model, day, inputs)
    names = (NUMBER.fullmatch(e.key[len(folder):]) for e in storage.list(folder))
    numbers = sorted((int(found[1]) for found in names if found), reverse=True)
    for number in (n for n in numbers if n <= as_of):
        document = CountsDocument.load(storage, layout.counts_document(model, day, f"{inputs}/{number}"))
        if document.is_good_at(as_of):
            return document
    return None


def write(storage: Storage, document: CountsDocument, counts: DayCounts) -> CountsDocument:
    """Writes tables, then document; Mismatch when other counts already lie under the same inputs and time."""
    tables = {}
    for name, table in counts.tables.items():
        if table.num_rows:
            data = to_parquet(table)
            tables[name] = layout.counts_table(name, hashlib.sha256(data).hexdigest()[:16])
            create_if_absent(storage, document.folder + tables[name], data)  # its name holds the hash of its content
    document = document.model_copy(update={"tables": tables})
    key = layout.counts_document(document.model, document.day, document.name)
    if not create_if_absent(storage, key, document.to_bytes()):
        stored = CountsDocument.load(storage, key)
        _check_same(storage, stored, document, counts)
        document._sha256 = stored.sha256
    return document


def _check_same(storage: Storage, stored: CountsDocument, ours: CountsDocument, counts: DayCounts) -> None:
    """Another version of the Parquet writer makes other bytes of the same rows, so differing names are looked into."""
    # An earlier release counted fewer kinds of rows: what both counted must agree.
    same_rows = all(ours.rows.get(name) == n for name, n in stored.rows.items())
    equal = same_rows and stored.next_future == ours.next_future
    if equal and stored.tables != ours.tables:
        theirs = read(storage, stored)
        equal = all(theirs.tables[n].equals(t) for n, t in counts.tables.items())
    if not equal:
        raise Mismatch(f"{storage.uri(stored.folder)}{stored.known_through}.json: expected the counts just made, found "
                       f"others from the same files and rules. Find out which are wrong, and delete that document.")


def read(storage: Storage, document: CountsDocument) -> DayCounts:
    """The counts that a document names."""
    tables = empty_tables()
    for name, file in document.tables.items():
        if name in TABLES:
            tables[name] = from_parquet(storage, document.folder + file)
    rows = dict.fromkeys(ROWS, 0) | document.rows  # kinds that an earlier release did not count are 0 until `--full`
    return DayCounts(document.day, tables, rows, document.known_through, document.next_future)


def load(storage: Storage, model: str, day: str, name: str) -> DayCounts:
    """The counts that an evaluation names as `<inputs>/<known_through>` for a day."""
    return read(storage, CountsDocument.load(storage, layout.counts_document(model, day, name)))


def load_all(storage: Storage, evaluation: Evaluation) -> list[DayCounts]:
    """The counts of every day that an evaluation document names, by day.

    Mismatch when they were made by other rules than this release's, whose tables lack what is asked of them, or are gone.
    """
    if evaluation["rules"] != RULES:
        raise Mismatch(explain_rules(evaluation))
    try:
        return [load(storage, evaluation["model"], day, name) for day, name in sorted(evaluation["counts"].items())]
    except NotFound as error:
        raise Mismatch(f"the evaluation of {evaluation['as_of']}: expected the counts that it names, got: {error} Bring them "
                       f"back (docs/restore.md), or evaluate again: trueup evaluate --model {evaluation['model']}.") from error


def explain_rules(evaluation: Evaluation) -> str:
    """Says that an evaluation was counted by the rules of another release, and what to do."""
    theirs = evaluation["rules"]
    newer = theirs.isdecimal() and int(theirs) > int(RULES)
    cure = (f"A newer release of Trueup wrote it: update this one, or evaluate with it, which counts by rules {RULES}" if newer
            else "Evaluate again")
    return (f"the evaluation of {evaluation['as_of']}: expected counts by rules {RULES}, got some by rules {theirs}. {cure}: "
            f"trueup evaluate --model {evaluation['model']}.")


def load_cells(storage: Storage, evaluation: Evaluation) -> dict[str, "pa.Table"]:
    """The cells of every day that an evaluation names, by whatever rules: for comparing how many rows there were.

    A column of values that an earlier release did not write is 0, which makes no figure: figures take `load_all`.
    """
    model, cells = evaluation["model"], {}
    for day, name in sorted(evaluation["counts"].items()):
        document = CountsDocument.load(storage, layout.counts_document(model, day, name))
        file = document.tables.get("cells")
        cells[day] = (from_parquet(storage, document.folder + file, missing=0) if file else empty_tables()["cells"])
    return cells


def to_parquet(table: "pa.Table") -> bytes:
    """A table as Parquet bytes; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    # Texts recur; codes of numbers, which mostly do not, make files of counts a third larger.
    texts = [f.name for f in table.schema if pa.types.is_string(f.type)]
    pq.write_table(table, sink, compression="zstd", store_schema=False, use_dictionary=texts)
    return sink.getvalue()


def from_table_bytes(data: bytes) -> "pa.Table":
    """The table in the bytes that `to_parquet` made, with whatever columns it has; ValueError when they are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(data))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(str(error)) from None


def from_parquet(storage: Storage, key: str, missing: int | None = None) -> "pa.Table":
    """The table under a key, in its record's schema; Mismatch when it is gone or not what its document promises.

    `missing`: what the values of a column are that it lacks; None: it must have all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = key.rpartition("/")[2].partition("-")[0]
    try:
        table = pq.read_table(pa.BufferReader(storage.read(key)))
        if missing is not None:
            for column in (VALUES_OF[name] & set(TABLES[name].names)) - set(table.column_names):
                table = table.append_column(column, pa.array([missing] * table.num_rows, pa.int64()))
        return table.select(TABLES[name].names).cast(TABLES[name].arrow())
    except (NotFound, OSError, pa.ArrowException, KeyError) as error:
        raise Mismatch(f"{storage.uri(key)}: expected a table of counts that a document names, got {error}. "
                       f"Count again with --full.") from error


def slices_of(declared: Sequence[Any]) -> list[list[str]]:
    """Declared slices as they stand in a document."""
    return [[s.name, s.expression] for s in declared]
