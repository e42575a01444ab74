"""Looking for rows: each filter finds what it says, pages follow each other without a gap, the time is kept."""

import io
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout
from contract.errors import RootError
from contract.records import PREDICTION
from contract.rows.listing import list_day
from contract.settings import Settings
from contract.storage import open_root
from inference.pictures import search as searching
from inference.pictures.day_table import make_day_table
from inference.pictures.joining import Joiner, group_days
from inference.pictures.kept_days import KeptDays
from inference.pictures.question import parse_question
from inference.pictures.search import Search
from inference.pictures.similar import Similar
from tests.inference.pictures.rows import DAYS, EACH
from tests.inference.small_service import MODEL

LABELLED = [(0, i) for i in range(16)] + [(1, i) for i in range(8)]
ALL = [(d, i) for d in (0, 1) for i in range(EACH)]


@pytest.fixture(scope="module")
def search(made, tmp_path_factory):
    storage = open_root(str(made[0]))
    found = Search(storage, Settings(), KeptDays(storage, {}, tmp_path_factory.mktemp("cache")))
    found.names = {name: (d, i) for d, day in enumerate(DAYS) for i, name in enumerate(made[1][day])}
    return found


def find(search, given=(), wanted=500, **options):
    return search.find(parse_question(list(dict(given).items()), MODEL), wanted, False, **options)


def places(search, found):
    return [search.names[row["prediction_id"]] for row in found.rows]


@pytest.mark.parametrize(("given", "passes"), [
    ({}, lambda d, i: True), ({"version": "2"}, lambda d, i: i % 2 == 1), ({"predicted": "cat"}, lambda d, i: i % 4 == 0),
    ({"predicted": "cow"}, lambda d, i: False), ({"from": DAYS[1]}, lambda d, i: d == 1), ({"to": DAYS[0]}, lambda d, i: d == 0),
    ({"confidence_from": "0.3", "confidence_to": "0.35"}, lambda d, i: 30 <= i < 35),
    ({"attribute.camera": "door-1"}, lambda d, i: i % 2 == 1), ({"attribute.site": "x"}, lambda d, i: False),
    ({"verdict": "unlabelled", "predicted": "dog"}, lambda d, i: (d, i) not in LABELLED and i % 4 == 1),
    ({"verdict": "wrong"}, lambda d, i: (d, i) in LABELLED and i % 4 == 3),
    ({"verdict": "right", "version": "1"}, lambda d, i: (d, i) in LABELLED and i % 2 == 0),
    ({"label": "cat"}, lambda d, i: (d, i) in LABELLED and i % 4 in (0, 3)),
    ({"label": "cat", "predicted": "fox"}, lambda d, i: (d, i) in LABELLED and i % 4 == 3),
    ({"labeler": "ana"}, lambda d, i: (d, i) in LABELLED and i % 2 == 1),
    ({"origin": "feedback", "confidence_to": "0.05"}, lambda d, i: (d, i) in LABELLED and i % 2 == 0 and i < 5),
    ({"split": "true"}, lambda d, i: False), ({"split": "false"}, lambda d, i: (d, i) in LABELLED),
    ({"labeler": "ana", "attribute.camera": "door-0"}, lambda d, i: False),
    ({"labeler": "ana", "attribute.camera": "door-1"}, lambda d, i: (d, i) in LABELLED and i % 2 == 1)])
def test_a_filter_finds_exactly_what_it_says_newest_first(search, given, passes):
    found = find(search, given)
    assert places(search, found) == [one for one in sorted(ALL, reverse=True) if passes(*one)]
    assert found.count == len(found.rows) and not (found.more or found.unread or found.unjoined)


@pytest.mark.parametrize("given", [{}, {"verdict": "right"}])
@pytest.mark.parametrize("sort", ["newest", "oldest", "least-sure", "most-sure"])
def test_pages_follow_each_other_without_a_gap(search, sort, given):
    whole, seen, after = places(search, find(search, {"sort": sort, **given})), [], {}
    while True:
        page = find(search, {"sort": sort, **given, **after}, wanted=7)
        seen += places(search, page)
        if not page.more:
            break
        after = {"after": page.rows[-1]["place"].write()}
    assert seen == whole and len(set(seen)) == len(seen) == (80 if not given else 18)
    order = {"newest": sorted(seen, reverse=True), "oldest": sorted(seen), "least-sure": sorted(seen, key=lambda p: p[1]),
             "most-sure": sorted(seen, key=lambda p: -p[1])}[sort]
    assert [p[1] for p in seen] == [p[1] for p in order]


def test_a_row_says_what_people_said_of_it(search, made):
    (row,) = find(search, {"prediction_id": made[1][DAYS[0]][3]}).rows
    assert (row["predicted"], row["version"], row["stored"]) == ("fox", "2", True)
    item = row["item"]
    assert (item["label"], item["origin"], [vote["labeler"] for vote in item["votes"]]) == ("cat", "import", ["ana"])
    assert find(search, {"prediction_id": made[1][DAYS[0]][30]}).rows[0]["item"] is None


def test_the_newest_day_alone_is_read_when_it_fills_the_page(search):
    found = find(search, wanted=10)
    assert found.days == [DAYS[1]] and found.more and found.count == EACH and not found.unread


def test_what_the_time_does_not_suffice_for_is_named_and_made_behind(made, tmp_path):
    storage = open_root(str(made[0]))
    made_by = Search(storage, Settings(), KeptDays(storage, {}, tmp_path))
    found = find(made_by, {"predicted": "cow"}, budget_s=0.0)
    assert (found.days, found.unread) == ([DAYS[1]], [DAYS[0]])
    made_by._behind.submit(lambda: None).result(10)  # the one thread has done what was asked before
    assert made_by.kept.is_kept(DAYS[0])


def write(storage, day, name, given):
    full = [dict.fromkeys(PREDICTION.names) | {"model": MODEL, "model_version": "1", "predicted_label": "cat", "confidence": 0.5,
                                               "role": "live"} | row for row in given]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(full, PREDICTION.arrow()), out)
    storage.put(f"{layout.day_folder('predictions', day)}{name}.parquet", out.getvalue())


def test_rows_that_rule_2_does_not_take_are_not_shown(tmp_path):
    storage, day = open_root(str(tmp_path / "root"), create=True), "2026-11-20"
    at, later = (clock.parse_moment(f"{day}T1{h}:00:00Z") for h in (1, 2))
    other = ids.uuid7(clock.parse_moment("2026-11-19T12:00:00Z"))
    good = {"prediction_id": "a", "predicted_at": at}
    write(storage, day, "one", [
        good, {**good, "predicted_at": later, "predicted_label": "dog"}, {**good, "prediction_id": ""},
        {"prediction_id": other, "predicted_at": at}, {**good, "prediction_id": "b", "role": "shadow"},
        {**good, "prediction_id": "c", "role": "PRODUCTION", "predicted_label": "eel"},
        {**good, "prediction_id": "d", "role": None},
        {**good, "prediction_id": "e", "predicted_label": "≠"}, {**good, "prediction_id": "f", "model_version": ""},
        {**good, "prediction_id": "g", "predicted_at": None}, {**good, "prediction_id": "h", "model": "other"}])
    write(storage, day, "two", [{**good, "confidence": 0.1}])
    storage.put(f"{layout.day_folder('predictions', day)}three.parquet", b"no parquet")
    table, unreadable = make_day_table(storage, list_day(storage, day), {"production": "live"})
    assert [(r["prediction_id"], r["predicted_label"], r["confidence"], r["model"]) for r in table.to_pylist()] == [
        ("a", "cat", 0.1, MODEL), ("c", "eel", 0.5, MODEL), ("d", "cat", 0.5, MODEL), ("h", "cat", 0.5, "other")]
    assert len(unreadable) == 1 and "three.parquet" in unreadable[0]


def test_a_day_is_made_once_and_again_when_its_files_change(tmp_path, monkeypatch):
    storage, day = open_root(str(tmp_path / "root"), create=True), "2026-11-20"
    at = clock.parse_moment(f"{day}T11:00:00Z")
    write(storage, day, "one", [{"prediction_id": "a", "predicted_at": at}])
    assert len(KeptDays(storage, {}, tmp_path / "cache").read(day)) == 1
    monkeypatch.setattr("inference.pictures.kept_days.make_day_table", lambda *_: pytest.fail("it is kept"))
    assert len(KeptDays(storage, {}, tmp_path / "cache").read(day)) == 1
    monkeypatch.undo()
    write(storage, day, "two", [{"prediction_id": "b", "predicted_at": at}])
    assert len(KeptDays(storage, {}, tmp_path / "cache").read(day)) == 2
    assert len(list((tmp_path / "cache").glob("*.arrow"))) == 1
    (tmp_path / "file").write_text("no folder")
    assert len(KeptDays(storage, {}, tmp_path / "file").read(day)) == 2


def test_the_cache_keeps_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr("inference.pictures.kept_days.MOST_BYTES", 5000)
    storage = open_root(str(tmp_path / "root"), create=True)
    for day in ("2026-11-18", "2026-11-19", "2026-11-20"):
        write(storage, day, "one", [{"prediction_id": "a", "predicted_at": clock.parse_moment(f"{day}T11:00:00Z")}])
        KeptDays(storage, {}, tmp_path / "cache").read(day)
    kept = [path.name[:10] for path in sorted((tmp_path / "cache").glob("*.arrow"))]
    assert kept and kept[-1] == "2026-11-20" and "2026-11-18" not in kept


def test_labels_are_joined_by_one_child_at_a_time_newest_days_first():
    calls = []
    joiner = Joiner("root", lambda *call: calls.append(call))
    joiner.ask(MODEL, ["2026-11-20", "2026-11-18", "2026-11-19", "2026-10-01"])
    joiner._pool.submit(lambda: None).result(10)
    assert calls == [("root", MODEL, "2026-11-18", "2026-11-20"), ("root", MODEL, "2026-10-01", "2026-10-01")]
    joiner.ask(MODEL, ["2026-11-20"])  # a moment ago
    joiner._pool.submit(lambda: None).result(10)
    assert len(calls) == 2 and not joiner.is_busy(MODEL)


def test_a_child_that_fails_is_named_and_days_are_grouped_by_so_many():
    joiner = Joiner("root", lambda *_: "no duckdb")
    joiner.ask(MODEL, ["2026-11-20"])
    joiner._pool.submit(lambda: None).result(10)
    assert joiner.failed == {MODEL: "no duckdb"}
    days = [f"2026-11-{n:02d}" for n in range(30, 0, -1)]
    assert group_days(days) == [("2026-11-16", "2026-11-30"), ("2026-11-01", "2026-11-15")]


def test_new_labels_leave_a_day_to_be_joined_with_what_is_known_shown_meanwhile(tmp_path, made):
    shutil.copytree(made[0], tmp_path / "root")
    storage = open_root(str(tmp_path / "root"))
    for entry in list(storage.list(layout.day_folder("labels", DAYS[1]))):
        storage.put(entry.key.replace(".parquet", "x.parquet"), storage.read(entry.key))
    found = find(Search(storage, Settings(), KeptDays(storage, {}, tmp_path)), {"verdict": "wrong"})
    assert found.unjoined == [DAYS[1]] and len(found.rows) == 6
    shutil.rmtree(tmp_path / "root" / "items")
    found = find(Search(storage, Settings(), KeptDays(storage, {}, tmp_path)), {"verdict": "wrong"})
    assert found.unjoined == [DAYS[1], DAYS[0]] and found.rows == []
    shown = find(Search(storage, Settings(), KeptDays(storage, {}, tmp_path)))
    assert len(shown.rows) == 80 and {row["joined"] for row in shown.rows} == {False}


def test_days_are_read_side_by_side_in_growing_groups():
    assert [len(group) for group in searching._group([str(n) for n in range(30)])] == [1, 1, 2, 4, 8, 8, 6]


def test_a_store_that_does_not_answer_says_nothing_of_a_picture(search, monkeypatch):
    similar, sha256 = Similar(search.storage, search, 10**6), find(search).rows[0]["image_sha256"]

    def fail(*_):
        raise RootError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr("inference.pictures.similar.read_picture", fail)
        with pytest.raises(RootError, match="away"):
            similar.hash(sha256)
    assert similar.hash(sha256) is not None
