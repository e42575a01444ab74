"""`trueup evaluate` from a root of raw files to evaluation.json, and what it does not count again."""

import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import counts_store, ids
from contract.clock import to_us
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs import count_window, evaluate
from jobs.engines.embedded import engine as embedded
from jobs.engines.question import Question
from jobs.evaluation_request import Request
from metrics.window import WindowCounts

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")
HERE = {"mapreduce": ("--runner", "inline")}  # its tasks in this process; others are tests/jobs/engines/test_mapreduce.py's
NOW = to_us(datetime(2026, 11, 21, tzinfo=UTC))


def at(day, hours=12):
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hours)


def put(root, day, where, rows, name="a.parquet"):
    path = open_storage(root).path(f"{where}/dt={day}/{name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, (PREDICTION if where == "predictions" else LABEL).arrow()), path)
    return path


@pytest.fixture
def root(tmp_root):
    for day in DAYS:
        put(tmp_root, day, "predictions", [
            {"prediction_id": f"{day}-{n}", "predicted_at": at(day), "model": "m", "model_version": "1",
             "predicted_label": "cat", "confidence": 0.9} for n in range(4)])
        put(tmp_root, day, "labels", [
            {"prediction_id": f"{day}-{n}", "label": "cat" if n else "dog", "labeler": "ann", "labeled_at": at(day, 20)}
            for n in range(3)])
    return tmp_root


@pytest.fixture
def counted(monkeypatch):
    """The days that the engine was asked for."""
    asked, real = [], embedded.count
    monkeypatch.setattr(embedded, "count", lambda s, days, *rest, **kw: asked.extend(d.day for d in days) or real(
        s, days, *rest, **kw))
    return asked


def run(root, capsys, *options, code=0):
    assert evaluate.main(["--root", root, "--model", "m", "--json", *options]) == code
    return json.loads(capsys.readouterr().out)


def test_from_rows_to_the_document(root, capsys):
    document = run(root, capsys)
    assert document["window"] == {"from": DAYS[0], "to": DAYS[2]} and set(document["counts"]) == set(DAYS)
    assert (document["rows"]["predictions"], document["rows"]["vote"]) == (12, 9)
    version = document["versions"]["1"]
    assert (version["predictions"], version["labelled"], version["accuracy"]["value"]) == (12, 9, 6 / 9)
    storage = open_storage(root)
    (key,) = [e.key for e in storage.list("evaluations/m/") if e.key.endswith("evaluation.json")]
    assert json.loads(storage.read(key)) | {"id": key.split("/")[2]} == document
    assert document["id"].startswith(document["as_of"][:10].replace("-", ""))


def test_only_what_changed_is_counted_again(root, capsys, counted):
    first = run(root, capsys)
    run(root, capsys)
    assert counted == list(DAYS)
    put(root, DAYS[1], "labels", [{"prediction_id": f"{DAYS[1]}-3", "label": "cat", "labeler": "bob",
                                   "labeled_at": at(DAYS[2])}], "late.parquet")
    later = run(root, capsys)
    assert counted == [*DAYS, DAYS[1]] and later["versions"]["1"]["labelled"] == 10
    assert [d for d in DAYS if first["counts"][d] != later["counts"][d]] == [DAYS[1]]


def test_full_counts_all_and_finds_the_same(root, capsys, counted):
    first, full = run(root, capsys), run(root, capsys, "--full")
    assert counted == [*DAYS, *DAYS] and full["counts"] == first["counts"] and full["versions"] == first["versions"]


def test_two_runs_at_once_store_the_same_counts_once(root, capsys):
    request = Request(Question("m", NOW))
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(count_window.evaluate, open_storage(root), request) for _ in range(2)]
        (one, folder), (two, same) = (a.result() for a in asked)
    assert one == two and folder == same
    stored = [e.key for e in open_storage(root).list("counts/") if e.key.endswith(".json")]
    assert len(stored) == len(DAYS) and run(root, capsys, "--full")["counts"] == one["counts"]


def test_an_older_run_that_ends_last_does_no_harm(root, capsys, counted, monkeypatch):
    older, newer = embedded.count, []

    def overtaken(storage, days, question, *rest, **options):
        made = list(older(storage, days, question, *rest, **options))
        monkeypatch.setattr(embedded, "count", older)
        put(root, DAYS[1], "labels", [{"prediction_id": f"{DAYS[1]}-3", "label": "cat", "labeler": "bob",
                                       "labeled_at": at(DAYS[1], 20)}], "late.parquet")
        newer.append(run(root, capsys))
        return iter(made)

    monkeypatch.setattr(embedded, "count", overtaken)
    assert run(root, capsys)["versions"]["1"]["labelled"] == 9
    counted.clear()
    after = run(root, capsys)
    assert counted == [] and after["counts"] == newer[0]["counts"] and after["versions"]["1"]["labelled"] == 10


def test_as_of_after_late_labels_says_what_was_said_then(root, capsys):
    then = run(root, capsys, "--as-of", "2026-11-21T00:00:00Z")
    row = {"prediction_id": f"{DAYS[0]}-3", "label": "dog", "labeler": "bob", "labeled_at": at(DAYS[0]),
           "recorded_at": datetime(2026, 11, 21, 1, tzinfo=UTC)}  # judged early, became known late
    put(root, DAYS[0], "labels", [row], "late.parquet")
    again = run(root, capsys, "--as-of", "2026-11-21T00:00:00Z")
    assert again["versions"] == then["versions"] and again["rows"]["future"] == 1
    assert run(root, capsys, "--as-of", "2026-11-21T01:00:00Z")["versions"]["1"]["labelled"] == 10


def test_as_of_shows_what_was_known_then(root, capsys, counted):
    now = run(root, capsys)
    then = run(root, capsys, "--as-of", "2026-11-19T15:00:00Z", "--to", DAYS[2])
    assert now["versions"]["1"]["labelled"] == 9 and then["versions"]["1"]["labelled"] == 3
    assert (then["rows"]["future"], then["rows"]["future_predictions"]) == (6, 4)
    again = run(root, capsys, "--as-of", "2026-11-19T15:30:00Z", "--to", DAYS[2])
    assert counted == [*DAYS, *DAYS[1:]] and again["counts"] == then["counts"]


def test_counts_say_how_long_they_are_good(root, capsys):
    document = run(root, capsys, "--as-of", "2026-11-19T15:00:00Z")
    stored = counts_store.load(open_storage(root), "m", DAYS[1], document["counts"][DAYS[1]])
    assert (stored.known_through, stored.next_future) == (to_us(at(DAYS[1])), to_us(at(DAYS[1], 20)))


def test_days_are_held_one_by_one(root, capsys, monkeypatch):
    """However long the window, few days are in memory: of those that are read ahead, and of those just counted."""
    first, made, most = datetime.fromisoformat(DAYS[0]), [], []
    for n in range(1, 40):
        day = (first - timedelta(n)).date().isoformat()
        put(root, day, "predictions", [{"prediction_id": day, "predicted_at": at(day), "model": "m", "model_version": "1",
                                        "predicted_label": "cat", "confidence": 0.9}])
    real_add, real_read = WindowCounts.add, counts_store.read

    def read(*given):
        made.append(weakref.ref(counts := real_read(*given)))
        return counts

    def add(window, counts):
        made.append(weakref.ref(counts))
        most.append(len({id(held) for one in made if (held := one()) is not None}))
        real_add(window, counts)

    monkeypatch.setattr(count_window, "READS_AT_ONCE", 3)
    monkeypatch.setattr(counts_store, "read", read)
    monkeypatch.setattr(WindowCounts, "add", add)
    window = ("--from", (first - timedelta(39)).date().isoformat(), "--to", DAYS[-1])
    for allowed in (2, 4):  # counted by the engine, one beside the next; then read
        most.clear()
        assert run(root, capsys, *window)["rows"]["predictions"] == 39 + 12
        assert len(most) == 42 and max(most) <= allowed


def test_a_window_without_rows(root, capsys):
    document = run(root, capsys, "--from", "2020-01-01", "--to", "2020-01-02")
    assert document["versions"] == {} and document["reason"] == "no data" and document["models_with_rows"] == ["m"]


def test_a_foreign_file_stops_the_run_or_makes_it_partial(root, capsys):
    put(root, DAYS[0], "labels", [], "zero.parquet").write_bytes(b"")
    failed = run(root, capsys, code=1)
    assert "zero.parquet: expected a Parquet file, got 0 bytes" in failed["error"]["message"]
    for _ in range(2):
        document = run(root, capsys, "--quarantine")
        assert [p["file"] for p in document["partial"]] == [f"labels/dt={DAYS[0]}/zero.parquet"]
        assert document["versions"]["1"]["labelled"] == 9


def test_quarantine_of_data_that_cannot_be_read_through(root, capsys):
    path = put(root, DAYS[1], "labels", [{"prediction_id": "x" * 99, "label": "cat", "labeler": "ann",
                                          "labeled_at": at(DAYS[1])}] * 9, "torn.parquet")
    path.write_bytes(b"PAR1" + b"\xff" * 300 + path.read_bytes()[304:])
    assert "torn.parquet: expected a Parquet file that can be read through" in run(root, capsys, code=1)["error"]["message"]
    document = run(root, capsys, "--quarantine")
    assert [p["file"] for p in document["partial"]] == [f"labels/dt={DAYS[1]}/torn.parquet"]
    assert document["versions"]["1"]["labelled"] == 9


@pytest.mark.parametrize("engine", ["embedded", "mapreduce", "spark"])
def test_every_engine_stops_at_a_bad_file_or_goes_on_without_it(root, capsys, engine, request):
    if engine == "spark":
        request.getfixturevalue("spark")
    put(root, DAYS[0], "predictions", [{"prediction_id": DAYS[1], "predicted_at": at(DAYS[0]), "model": "m",
                                        "model_version": "1", "predicted_label": "cat"}], "without a confidence.parquet")
    path = put(root, DAYS[1], "labels", [{"prediction_id": f"{n:99}", "label": "cat", "labeler": "ann",
                                          "labeled_at": at(DAYS[1])} for n in range(9)], "torn.parquet")
    path.write_bytes(b"PAR1" + b"\xff" * 300 + path.read_bytes()[304:])
    foreign = put(root, DAYS[2], "labels", [], "foreign.parquet")
    foreign.write_bytes(b"no Parquet")
    assert "foreign.parquet: expected a Parquet file" in run(root, capsys, "--engine", engine, code=1)["error"]["message"]
    foreign.unlink()
    assert "torn.parquet" in run(root, capsys, "--engine", engine, code=1)["error"]["message"]
    document = run(root, capsys, "--engine", engine, "--quarantine", *HERE.get(engine, ()))
    assert [p["file"] for p in document["partial"]] == [f"labels/dt={DAYS[1]}/torn.parquet"]
    assert (document["rows"]["predictions"], document["versions"]["1"]["labelled"]) == (13, 9)


@pytest.mark.parametrize("engine", ["embedded", "mapreduce", "spark"])
def test_every_engine_counts_misfiled_rows(root, capsys, engine, request):
    if engine == "spark":
        request.getfixturevalue("spark")
    other = ids.uuid7(at(DAYS[0]))
    put(root, DAYS[1], "predictions", [{"prediction_id": other, "predicted_at": at(DAYS[1]), "model": "m",
                                        "model_version": "1", "predicted_label": "cat", "confidence": 0.5}], "misfiled.parquet")
    put(root, DAYS[1], "labels", [{"prediction_id": other, "label": "cat", "labeler": "ann", "labeled_at": at(DAYS[1])}],
        "misfiled.parquet")
    document = run(root, capsys, "--engine", engine, *HERE.get(engine, ()))
    assert (document["rows"]["misfiled_predictions"], document["rows"]["misfiled"], document["rows"]["vote"]) == (1, 1, 9)


@pytest.mark.parametrize("options, message", [
    (["--engine", "abacus"], "'abacus' is not one of"), (["--runner", "local"], "--runner local is for --engine mapreduce"),
    (["--from", "yesterday"], "expected YYYY-MM-DD"), (["--as-of", "noon"], "'noon' is no moment"),
    (["--slice", "x=width"], "slice x=width: expected a text column"),
    (["--slice", "x"], "--slice 'x': expected NAME=EXPRESSION"),
    (["--from", "2026-11-20", "--to", "2026-11-19"], "ends on or after its first day")])
def test_wrong_usage(root, capsys, options, message):
    assert message in run(root, capsys, *options, code=2)["error"]["message"]


def test_slices_and_the_terminal(root, capsys):
    assert run(root, capsys, "--slice", "hour=hour")["slices"][0]["value"] == "12"
    assert evaluate.main(["--root", root, "--model", "m"]) == 0
    text = capsys.readouterr().out
    assert "67% (35 to 88%)" in text and "predictions 12, labels 9, vote 9" in text


def test_two_files_without_a_root(tmp_path, capsys):
    (tmp_path / "p.csv").write_text("prediction_id,predicted_at,predicted_label,confidence\n"
                                    "a,2020-01-01,cat,0.9\nb,2020-06-01,cat,0.8\n")
    (tmp_path / "l.csv").write_text("prediction_id,label,labeler,labeled_at\na,cat,ann,2020-01-02\nb,dog,,2020-06-02\n")
    options = ["--predictions", str(tmp_path / "p.csv"), "--labels", str(tmp_path / "l.csv"), "--json"]
    assert evaluate.main(options) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["versions"]["1"]["accuracy"]["value"] == 0.5 and document["model"] == "model"
    for option in (("--from", "2020-02-01"), ("--to", "2020-02-01"), ("--runner", "inline"), ("--quarantine",)):
        assert evaluate.main([*options, *option]) == 2  # not left out silently
        assert f"{option[0]} needs a root" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_labelers_weigh_as_the_named_fit_says(root, capsys, counted):
    put(root, DAYS[0], "labels", [{"prediction_id": f"{DAYS[0]}-0", "label": "cat", "labeler": who, "labeled_at": at(DAYS[1])}
                                  for who in ("bob", "cyd")], "two more.parquet")
    plain = run(root, capsys)
    assert plain["consensus"] == {"rule": "majority", "fit": None, "labeler_weights": {}}
    fit = ("--set", "evaluate.labeler_fit=of-november", "--set", "evaluate.labeler_weights={ann: 2.5, bob: 1}")
    found = run(root, capsys, *fit)
    assert found["consensus"] == {"rule": "majority", "fit": "of-november", "labeler_weights": {"ann": 2.5}}
    assert [d["versions"]["1"]["accuracy"]["value"] for d in (plain, found)] == [7 / 9, 6 / 9]
    assert counted == [*DAYS, *DAYS] and not set(found["counts"].values()) & set(plain["counts"].values())
    assert "labeler_weights together with labeler_fit" in run(root, capsys, *fit[2:], code=2)["error"]["message"]
