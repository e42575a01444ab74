"""Items in the bucket: found by what they are made from, fresh ones first, immutable, without places of erased pictures."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import layout
from contract.errors import Mismatch, NotFound
from contract.rows import items
from contract.rows.items import (
    DayItems,
    ItemsDocument,
    arrange_items,
    find_items,
    find_newest_items,
    make_schema,
    read_items,
)
from contract.rows.listing import list_day
from contract.storage import open_root

DAY, HASHES = "2026-11-20", ("a" * 64, "b" * 64)
INPUTS, OTHERS = "1" * 16, "2" * 16


@pytest.fixture
def storage(tmp_root):
    return open_root(tmp_root, create=True)


def make(*ids, confidence=0.5, **times):
    rows = [{"prediction_id": name, "model_version": "1", "predicted": "x", "confidence": confidence, "label": "≠",
             "origin": "review", "split": False, "selection_probability": 0.25, "image_sha256": HASHES[n % 2],
             "image_uri": layout.image(HASHES[n % 2], "png"),
             "votes": [{"labeler": None, "label": "≠", "labeled_at": 7, "origin": "review", "saw_prediction": True}]}
            for n, name in enumerate(ids)]
    return DayItems(DAY, arrange_items(pa.Table.from_pylist(rows, make_schema())), **times)


def put(storage, made, inputs=INPUTS, files=(), role="live"):
    document = ItemsDocument.of(made, model="m/1", role=role, inputs=inputs, files=[list(f) for f in files])
    return items.write_items(storage, document, made)


def test_what_is_written_is_read_in_the_order_of_the_bytes_of_ids(storage):
    made = make("b", "é", "B", "10", "9", "\U0001f600", known_through=5)
    document = put(storage, made)
    assert made.table["prediction_id"].to_pylist() == ["10", "9", "B", "b", "é", "\U0001f600"]
    assert read_items(storage, document).equals(made.table) and document.items == 6
    assert read_items(storage, document).schema.equals(make_schema(), check_metadata=True)
    assert read_items(storage, document, ["label", "prediction_id"]).column_names == ["label", "prediction_id"]
    assert document.name == f"{INPUTS}/5" and items.load_items(storage, "m/1", DAY, document.name) == document


def test_items_of_an_earlier_release_name_no_client_and_no_probability_of_a_vote(storage):
    made = make("a", "b", known_through=5)
    document = put(storage, made)
    path = storage.root.removeprefix("file://") + "/" + document.folder + document.table
    old = [{name: value for name, value in row.items() if name != "client"} | {
        "votes": [{k: v for k, v in vote.items() if k != "selection_probability"} for vote in row["votes"]]}
        for row in made.table.to_pylist()]
    votes = pa.list_(pa.struct([f for f in make_schema().field("votes").type.value_type if f.name != "selection_probability"]))
    schema = pa.schema([*(f for f in make_schema() if f.name not in ("client", "votes")), pa.field("votes", votes)])
    pq.write_table(pa.Table.from_pylist(old, schema), path)
    assert read_items(storage, document).equals(made.table)
    assert read_items(storage, document, ["client"]).to_pydict() == {"client": [None, None]}


def test_a_confidence_that_is_no_number_is_null_and_minus_zero_is_zero():
    table = pa.concat_tables([make("a", confidence=float("nan")).table, make("b", confidence=-0.0).table])
    assert [repr(c) for c in arrange_items(table)["confidence"].to_pylist()] == ["None", "0.0"]


def test_a_row_group_holds_so_many_rows_that_one_is_found_without_the_rest(storage, monkeypatch):
    monkeypatch.setattr(items, "ROWS_TOGETHER", 2)
    document = put(storage, make("a", "b", "c", "d", "e"))
    file = pq.ParquetFile(storage.root.removeprefix("file://") + "/" + document.folder + document.table)
    assert [file.metadata.row_group(n).num_rows for n in range(3)] == [2, 2, 1]
    assert file.metadata.row_group(1).column(0).statistics.min == "c"


def test_items_are_found_by_inputs_and_by_the_moment(storage):
    early, late = put(storage, make("a", known_through=5, next_future=9)), put(storage, make("a", "b", known_through=9))
    found = [find_items(storage, "m/1", DAY, INPUTS, as_of) for as_of in (4, 5, 8, 9, 100)]
    assert found == [None, early, early, late, late]
    assert find_items(storage, "m/1", DAY, OTHERS, 100) is None and find_items(storage, "m", DAY, INPUTS, 100) is None


def test_who_has_no_inputs_gets_the_fresh_items_before_the_newest(storage):
    storage.put("predictions/dt=2026-11-20/a.parquet", b"x")
    listing = list_day(storage, DAY)
    assert find_newest_items(storage, "m/1", DAY, 100, listing=listing) is None
    fresh = put(storage, make("a", known_through=5), files=listing.fingerprint())
    old = put(storage, make("a", known_through=7), inputs=OTHERS)
    shadow = put(storage, make("a", known_through=8), inputs="3" * 16, role="shadow")
    storage.put(layout.items_document("m/1", DAY, f"{OTHERS}/9"), b"{")  # damaged: passed over
    assert find_newest_items(storage, "m/1", DAY, 100, listing=listing) == fresh
    assert find_newest_items(storage, "m/1", DAY, 100) == old and find_newest_items(storage, "m/1", DAY, 6) == fresh
    assert find_newest_items(storage, "m/1", DAY, 100, role="shadow") == shadow
    assert fresh.is_fresh(listing, 100) and not old.is_fresh(listing, 100) and not fresh.is_fresh(listing, 4)
    storage.put("labels/dt=2026-11-20/b.parquet", b"y")
    late = list_day(storage, DAY)
    assert not fresh.is_fresh(late, 100) and find_newest_items(storage, "m/1", DAY, 100, listing=late) == old


def test_a_picture_that_was_erased_has_no_place_any_more(storage):
    document = put(storage, make("a", "b"))
    storage.create(layout.erasure(HASHES[0]), b"{}")
    there = layout.image(HASHES[1], "png")
    assert read_items(storage, document)["image_uri"].to_pylist() == [None, there]
    assert read_items(storage, document, ["image_uri"]).to_pydict() == {"image_uri": [None, there]}
    assert read_items(storage, document)["image_sha256"].to_pylist() == list(HASHES)
    assert read_items(storage, document, ["image_uri"], erased=HASHES)["image_uri"].null_count == 2


def test_a_day_without_items_has_a_document_and_no_table(storage):
    document = put(storage, make())
    assert document.table is None and read_items(storage, document).num_rows == 0
    assert read_items(storage, document, ["votes"]).schema.names == ["votes"]


def test_the_same_items_may_be_written_twice_and_others_not(storage, monkeypatch):
    first = put(storage, make("a", "b"))
    assert put(storage, make("a", "b")) == first
    monkeypatch.setattr(items, "ROWS_TOGETHER", 1)  # as another release's writer makes other bytes
    assert put(storage, make("a", "b")) == first
    with pytest.raises(Mismatch, match="expected the items just made, found others"):
        put(storage, make("a", "c"))
    with pytest.raises(Mismatch, match="expected the items just made, found others"):
        put(storage, make("a", "b", next_future=3))


def test_items_that_are_gone_or_are_others_are_named(storage):
    document = put(storage, make("a"))
    data = storage.read(document.folder + document.table)
    storage.put(document.folder + document.table, b"no table")
    with pytest.raises(Mismatch, match="expected the items that a document names"):
        read_items(storage, document)
    storage.put(document.folder + document.table, data)
    with pytest.raises(Mismatch, match="expected 2 items, got 1"):
        read_items(storage, document.model_copy(update={"items": 2}))
    storage.delete(document.folder + document.table)
    with pytest.raises(Mismatch, match="Delete that document"):
        read_items(storage, document)
    with pytest.raises(NotFound):
        items.load_items(storage, "m/1", DAY, f"{OTHERS}/1")
    assert json.loads(storage.read(layout.items_document("m/1", DAY, document.name)))["table"] == document.table
