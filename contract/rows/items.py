"""Items: the labelled rows behind a day's counts, for whoever needs rows instead of cells (docs/design.md#items).

`items/<model>/dt=<day>/<inputs>/<known_through>.json` names the Parquet table beside it: one row for each distinct prediction
of the model that has a vote, by the bytes of `prediction_id`, which no two rows share and which is never null. The name is
that of the counts of the same rows, so an evaluation that names its counts names its items. Made on demand by an engine
(jobs/labelled); table first, document last, both created exclusively, never changed.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field as DocumentField

from contract import layout
from contract.counts import RULES
from contract.documents.document import Document
from contract.documents.known_times import KnownTimes
from contract.errors import DamagedDocument, Mismatch, NotFound, pass_over
from contract.records import SCHEMA, SCHEMA_KEY, Field, TableSchema
from contract.rows.listing import DayListing
from contract.stores.store import Storage, create_if_absent

if TYPE_CHECKING:
    import pyarrow as pa

ITEM = TableSchema("items", (
    Field("prediction_id", "string", "of the prediction; ascending by its bytes, each once, never null"),
    Field("model_version", "string", "what answered"),
    Field("predicted", "string", "predicted_label"),
    Field("confidence", "double", "as it was logged, which may be outside [0, 1]; null: none, or NaN"),
    Field("label", "string", "the consensus, never null; `≠`: the answer is wrong and no vote names the class (rule 4a)"),
    Field("origin", "string", "origin class of the deciding votes: audit, review, import or feedback"),
    Field("split", "bool", "the deciding votes name more than one label"),
    Field("selection_probability", "double", "of the earliest deciding vote; null where it gives no weight"),
    Field("image_sha256", "string", "content hash of the picture"),
    Field("image_uri", "string", "where the picture lies, relative to the root; null when not stored, or erased since"),
    Field("client", "string", "id of the key that sent the prediction; null: not known, or made by an earlier release"),
))
VOTE = TableSchema("votes", (
    Field("labeler", "string", "who; null: nobody named"),
    Field("label", "string", "as it was given; `≠` names no class"),
    Field("labeled_at", "timestamp", "the event time"),
    Field("origin", "string", "origin class of the row (rule 4); the votes that decide are those of the item's class"),
    Field("saw_prediction", "bool", "whether the labeler had seen the answer"),
    Field("selection_probability", "double", "of the sample that asked; null where it gives no weight, or of an earlier release"),
))
VOTES = "votes"  # the last column: every row that ended as `vote`, by (labeled_at, label_id, label), also those without a say
COLUMNS = (*ITEM.names, VOTES)
ROWS_TOGETHER = 1 << 16  # of a row group: an id is found, and a page of rows read, without the rest
NUMBER = re.compile(r"(?:([0-9a-f]{16})/)?(-?[0-9]{1,18})\.json")


def make_schema() -> pa.Schema:
    """The Arrow schema of items: the fields of ITEM, then `votes`, a list of structs with the fields of VOTE."""
    import pyarrow as pa

    votes = pa.list_(pa.struct(list(VOTE.arrow())))
    return pa.schema([*ITEM.arrow(), pa.field(VOTES, votes)], {SCHEMA_KEY: SCHEMA})


@dataclass
class DayItems:
    """What an engine makes of one day: items in `make_schema`, and the times that DayCounts has of the same rows."""

    day: str
    table: pa.Table
    known_through: int = 0
    next_future: int | None = None


class ItemsDocument(KnownTimes, Document):
    """Which items there are, from which files, and where. Times are microseconds since 1970 UTC."""

    schema_: Literal["1"] = DocumentField("1", alias="schema")
    rules: str = RULES
    model: str
    day: str
    role: str
    inputs: str
    known_through: int
    next_future: int | None
    files: list[list[str]]  # key, size, etag
    consensus: str = "majority"
    items: int = DocumentField(ge=0)
    table: str | None  # its file name; None without items

    @property
    def folder(self) -> str:
        """The key of the folder that holds document and table."""
        return layout.items(self.model, self.day, self.inputs)

    def is_fresh(self, listing: DayListing, as_of: int) -> bool:
        """Whether they are all items of the day's files as `list_day` shows them, by today's rules and at that moment."""
        return self.is_good_at(as_of) and self.rules == RULES and sorted(self.files) == listing.fingerprint()

    @classmethod
    def of(cls, made: DayItems, **made_from: Any) -> Self:
        """The document of a day's items, without its table yet."""
        return cls(day=made.day, known_through=made.known_through, next_future=made.next_future, items=made.table.num_rows,
                   table=None, **made_from)


def find_items(storage: Storage, model: str, day: str, inputs: str, as_of: int) -> ItemsDocument | None:
    """The newest document of these inputs (`Question.inputs`) that is good at `as_of`, or None. No raw row is listed."""
    for _, known_through in _list_names(storage, layout.items(model, day, inputs)):
        if known_through <= as_of:
            document = load_items(storage, model, day, f"{inputs}/{known_through}")
            if document.is_good_at(as_of):
                return document
    return None


def find_newest_items(storage: Storage, model: str, day: str, as_of: int, *, role: str = "live",
                      listing: DayListing | None = None) -> ItemsDocument | None:
    """The best items of a day for a reader that has no `inputs`, or None when there are none of what was known by `as_of`.

    With a `listing` (contract.rows.listing.list_day) those that are fresh by it come first, else the ones of the newest
    `known_through`: whoever shows them says that they are old when `ItemsDocument.is_fresh` denies. Documents that cannot be
    read are passed over.
    """
    best: tuple[bool, int, ItemsDocument] | None = None
    for inputs, known_through in _list_names(storage, layout.items(model, day)):
        if known_through > as_of or (best and best[0]):
            continue
        try:
            found = load_items(storage, model, day, f"{inputs}/{known_through}")
        except (DamagedDocument, NotFound) as error:
            pass_over(error)
            continue
        if found.role == role:
            fresh = listing is not None and found.is_fresh(listing, as_of)
            best = max([best, (fresh, known_through, found)] if best else [(fresh, known_through, found)], key=lambda b: b[:2])
    return best[2] if best else None


def load_items(storage: Storage, model: str, day: str, name: str) -> ItemsDocument:
    """The document of that name `<inputs>/<known_through>`, as an evaluation has it. NotFound: these were not made."""
    return ItemsDocument.load(storage, layout.items_document(model, day, name))


def _list_names(storage: Storage, folder: str) -> list[tuple[str, int]]:
    """Lists (inputs, known_through) of the documents below a folder, the newest first."""
    found = (NUMBER.fullmatch(entry.key[len(folder):]) for entry in storage.list(folder))
    return sorted(((name[1] or "", int(name[2])) for name in found if name), key=lambda n: (-n[1], n[0]))


def read_items(storage: Storage, document: ItemsDocument, columns: Sequence[str] | None = None, *,
               erased: Collection[str] | None = None) -> pa.Table:
    """Reads the items that a document names: all columns, or some of them in this order.

    The `image_uri` of a picture that was erased is null: `erased` are the hashes, None lists them now (`list_erased`), which
    costs one listing whenever `image_uri` is asked for. Mismatch when the table is gone or not what its document promises.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = list(columns if columns is not None else COLUMNS)
    masks = "image_uri" in wanted
    read = [*wanted, *(["image_sha256"] if masks and "image_sha256" not in wanted else [])]
    table = _read_table(storage, document, read)
    gone = (list_erased(storage) if erased is None else erased) if masks and table.num_rows else ()
    if gone:
        hidden = pc.is_in(table["image_sha256"], pa.array(sorted(gone), pa.string()))
        shown = pc.if_else(hidden, pa.scalar(None, pa.string()), table["image_uri"])
        table = table.set_column(table.column_names.index("image_uri"), table.schema.field("image_uri"), shown)
    return table.select(wanted)


def read_votes(storage: Storage, document: ItemsDocument, groups: Sequence[int]) -> pa.Table:
    """Reads the column `votes` of some row groups, of ROWS_TOGETHER items each; Mismatch as `read_items`."""
    return _read_table(storage, document, [VOTES], groups)


def list_erased(storage: Storage) -> set[str]:
    """Lists the hashes of all pictures that were erased."""
    found = (layout.erasure_of(entry.key) for entry in storage.list(layout.erasures()))
    return {sha256 for sha256 in found if sha256}


def _read_table(storage: Storage, document: ItemsDocument, columns: Sequence[str],
                groups: Sequence[int] | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([make_schema().field(name) for name in columns], make_schema().metadata)
    if document.table is None:
        return schema.empty_table()
    system, base = storage.arrow()
    key = document.folder + document.table
    try:
        with pq.ParquetFile(f"{base}/{key}", filesystem=system) as file:
            some = range(file.num_row_groups) if groups is None else groups
            table = _add_missing(file.read_row_groups(some, list(columns)), schema)
            found = file.metadata.num_rows
    except (OSError, pa.ArrowException, KeyError) as error:
        raise Mismatch(f"{storage.uri(key)}: expected the items that a document names, got {error}. Delete that document, "
                       f"and make them again: trueup items.") from error
    if found != document.items:
        raise Mismatch(f"{storage.uri(key)}: expected {document.items} items, got {found}. Delete table and document, "
                       f"and make them again: trueup items.")
    return table


def _add_missing(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in that schema; what items of an earlier release lack is null. KeyError for any other column."""
    import pyarrow as pa

    if "client" in schema.names and "client" not in table.column_names:
        table = table.append_column("client", pa.nulls(table.num_rows, pa.string()))
    if VOTES in schema.names and table.schema.field(VOTES).type.value_type.num_fields < len(VOTE.names):
        votes = table[VOTES].combine_chunks()
        votes = votes if not isinstance(votes, pa.ChunkedArray) else pa.concat_arrays(votes.chunks)
        inner = votes.values
        fields = [inner.field(n) for n in VOTE.names[:-1]] + [pa.nulls(len(inner), pa.float64())]
        whole = pa.ListArray.from_arrays(votes.offsets, pa.StructArray.from_arrays(fields, fields=list(VOTE.arrow())))
        table = table.set_column(table.column_names.index(VOTES), VOTES, whole)
    return table.select(schema.names).cast(schema)


def write_items(storage: Storage, document: ItemsDocument, made: DayItems) -> ItemsDocument:
    """Writes the table, then the document; Mismatch when other items already lie under the same inputs and time."""
    if made.table.num_rows:
        data = to_parquet(made.table)
        document = document.model_copy(update={"table": layout.items_table(hashlib.sha256(data).hexdigest()[:16])})
        create_if_absent(storage, f"{document.folder}{document.table}", data)  # its name holds the hash of its content
    key = layout.items_document(document.model, document.day, document.name)
    if create_if_absent(storage, key, document.to_bytes()):
        return document
    stored = ItemsDocument.load(storage, key)
    # Another version of the Parquet writer makes other bytes of the same rows, so differing names are looked into.
    same = (stored.items, stored.next_future) == (document.items, document.next_future) and (
        stored.table == document.table or read_items(storage, stored, erased=()).equals(made.table))
    if not same:
        raise Mismatch(f"{storage.uri(key)}: expected the items just made, found others from the same files and rules. Find "
                       f"out which are wrong, and delete that document.")
    return stored


def to_parquet(table: pa.Table) -> bytes:
    """Items as Parquet bytes, in row groups of 65,536; the same rows give the same bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    unique = {"prediction_id", "image_sha256", "image_uri"}
    recurring = [f.name for f in ITEM.fields if f.type == "string" and f.name not in unique]
    votes = [f"{VOTES}.list.element.{f.name}" for f in VOTE.fields if f.type == "string"]
    pq.write_table(table, sink, row_group_size=ROWS_TOGETHER, compression="zstd", store_schema=False,
                   use_compliant_nested_type=True, use_dictionary=[*recurring, *votes])
    return sink.getvalue()


def arrange_items(table: pa.Table) -> pa.Table:
    """The items that an engine made, in their schema and order; a confidence of NaN is null, and minus zero is zero."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = make_schema()
    table = pa.table([table.column(f.name).cast(f.type) for f in schema], schema=schema).combine_chunks()
    confidence = pc.add(table["confidence"], 0.0)
    confidence = pc.if_else(pc.is_nan(confidence), pa.scalar(None, pa.float64()), confidence)
    table = table.set_column(ITEM.names.index("confidence"), schema.field("confidence"), confidence)
    return table.take(pc.sort_indices(table["prediction_id"])).combine_chunks()
