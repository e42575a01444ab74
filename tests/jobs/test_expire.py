"""Pictures and rows go by age: what is needed stays, counts stay good, and everybody says expired instead of missing."""

import random
import shutil
from datetime import timedelta

import pytest

from command.load_settings import load
from contract import clock, layout
from contract.counts_store import CountsDocument
from contract.documents import expiry
from contract.documents.gold import GoldAnswer, add_gold
from contract.errors import Expired, UsageError
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.rows.listing import list_day
from contract.storage import open_root, open_storage
from jobs import compact, evaluate, expire, lineage, report
from jobs.datasets.images import MISSING, Look, explain_missing
from tests import generate
from tests.faults import AFTER, Died, FaultyStorage, Process
from tests.jobs.two_days import OLD, YOUNG, at_noon, find_id
from tests.pipeline import small_dataset
from tests.pipeline.roots import MODEL, put_rows

SETTINGS = ("--set", "serve.label_days=20", "--set", "retention.rows_days=30", "--set", "retention.pictures_days=10")
HASHES = {name: name * 64 for name in "abc"}  # of the old day alone, of both days, of the young day alone


def make(root):
    """An old and a young day, each with two predictions with pictures and a label; one picture is of both days."""
    storage = open_root(root, create=True)
    for day, names in ((OLD, "ab"), (YOUNG, "bc")):
        predictions, labels = [], []
        for n, name in enumerate(names):
            made, at, key = find_id(day, n), at_noon(day, n), layout.image(HASHES[name], "png")
            predictions.append({"prediction_id": made, "predicted_at": at, "model": MODEL, "model_version": "1",
                                "confidence": 0.9, "predicted_label": "a", "role": ("live", "shadow")[n],
                                "image_sha256": HASHES[name], "image_uri": key})
            labels.append({"label_id": f"{day}-{n}", "prediction_id": made, "label": "a", "labeler": "ana", "origin": "audit",
                           "labeled_at": at + timedelta(hours=1), "saw_prediction": False})
            storage.put(key, name.encode())
        put_rows(storage, PREDICTION, "predictions", predictions, day)
        put_rows(storage, LABEL, "labels", labels[:1], day)
        put_rows(storage, LABEL, "labels", labels[1:], day, "w2")
    return storage


def pictures(storage):
    return {e.key[-68] for e in storage.list("images/")}


def window(*more):
    return ("--model", MODEL, "--from", OLD, "--to", YOUNG, *more)


def figures(document):
    return {k: v for k, v in document.items() if k not in ("id", "as_of", "expired", "report")}


def test_nothing_goes_without_a_setting_and_a_dry_run_changes_nothing(tmp_root, say):
    storage = make(tmp_root)
    before = list(storage.list(""))
    assert not say(expire)["files"]
    assert say(expire, "--dry-run", *SETTINGS) | {"retention": 0} == {
        "dry_run": True, "retention": 0, "pictures": {OLD: 1}, "kept": {OLD: 1}, "files": {OLD: 3}, "late": [], "stays": {}}
    assert list(storage.list("")) == before


def test_old_rows_and_pictures_go_and_the_figures_stay(tmp_root, say, capsys):
    storage = make(tmp_root)
    first = say(evaluate, *window())
    assert say(expire, *SETTINGS)["files"] == {OLD: 3}
    assert pictures(storage) == {"b", "c"} and [d for d in (OLD, YOUNG) if list_day(storage, d).predictions] == [YOUNG]
    again = say(evaluate, *window())
    assert figures(again) == figures(first) and again["expired"] == [OLD] and "expired" not in first
    assert report.main(["--root", tmp_root, "--model", MODEL]) == 0
    page = storage.read(layout.report(MODEL, again["id"])).decode()
    assert f"The rows of 1 of these days expired, {OLD} to {OLD}: their figures rest on the counts that were kept" in page
    capsys.readouterr()
    record = expiry.find_rows(storage, OLD)
    assert {(c.model, c.role) for c in record.counts} == {(MODEL, "live"), (MODEL, "shadow")}
    assert all(CountsDocument.load(storage, layout.counts_document(MODEL, OLD, c.name)) for c in record.counts)
    assert say(evaluate, *window("--role", "shadow"))["rows"]["predictions"] == 2
    assert figures(say(evaluate, *window("--full"))) == figures(first)
    assert say(expire, *SETTINGS)["files"] == {OLD: 0}


def test_other_rules_for_an_expired_day_are_refused_in_words(tmp_root, say):
    make(tmp_root)
    say(expire, *SETTINGS)
    error = say(evaluate, *window("--slice", "who=client"), code=1)["error"]
    assert error["code"] == "Expired" and f"the rows of {OLD} expired on" in error["message"]
    assert "Ask with the settings of then, or leave the day out (--from)" in error["message"]
    assert say(evaluate, "--model", MODEL, "--from", YOUNG, "--to", YOUNG, "--slice", "who=client")["rows"]["predictions"] == 1


def test_lineage_says_expired_and_not_missing(tmp_root, say, capsys):
    make(tmp_root)
    say(expire, *SETTINGS)
    found = say(lineage, find_id(OLD, 0))
    assert found["expired"]["day"] == OLD and not found["versions"]
    assert lineage.main(["--root", tmp_root, find_id(OLD, 0)]) == 0
    assert f"expired; the rows of {OLD} expired on" in capsys.readouterr().out
    assert say(lineage, find_id(YOUNG, 0))["picture"] == {"state": "stored"}


def test_of_a_day_whose_pictures_alone_went_the_rows_are_as_before(tmp_root, say, capsys):
    storage = make(tmp_root)
    first = say(evaluate, *window())
    only = ("--set", "retention.pictures_days=10")
    assert say(expire, *only)["pictures"] == {OLD: 1}
    assert pictures(storage) == {"b", "c"} and figures(say(evaluate, *window())) == figures(first)
    assert say(lineage, find_id(OLD, 0))["picture"]["sentence"].startswith(f"the pictures of {OLD} expired on")
    assert lineage.main(["--root", tmp_root, find_id(OLD, 0)]) == 0
    assert "its picture: the pictures of" in capsys.readouterr().out
    assert say(expire, *only)["pictures"] == {}


def test_a_packed_day_goes_as_well(tmp_root, say):
    storage = make(tmp_root)
    first = say(evaluate, *window())
    for _ in range(2):
        say(compact, "--day", OLD, "--set", "compact.files=2", "--set", "compact.grace_hours=0")
        assert figures(say(evaluate, *window())) == figures(first)
    say(expire, *SETTINGS)
    assert figures(say(evaluate, *window())) == figures(first)
    assert all("_expired" in e.key for t in ("predictions", "labels") for e in storage.list(layout.day_folder(t, OLD)))
    assert say(compact, "--day", OLD)["done"] == []


def test_files_that_come_later_stay_are_named_and_not_counted(tmp_root, say):
    storage = make(tmp_root)
    first = say(evaluate, *window())
    say(expire, *SETTINGS)
    put_rows(storage, LABEL, "labels", [{"label_id": "l", "prediction_id": "p", "label": "a", "labeler": "z",
                                         "labeled_at": clock.now()}], OLD, "late")
    assert figures(say(evaluate, *window())) == figures(first)
    (late,) = say(expire, *SETTINGS)["late"]
    assert storage.exists(late)


@pytest.mark.parametrize("what", ["unreadable", "future"])
def test_a_day_that_cannot_be_counted_for_good_stays(tmp_root, say, what):
    storage = make(tmp_root)
    if what == "unreadable":
        storage.put(f"labels/dt={OLD}/broken.parquet", b"none")
    else:
        put_rows(storage, LABEL, "labels", [{"label_id": "l", "prediction_id": find_id(OLD, 0), "label": "a", "labeler": "z",
                                             "labeled_at": clock.now() + timedelta(days=9)}], OLD, "late")
    why = say(expire, *SETTINGS, code=1)["stays"][OLD]
    assert {"unreadable": "a file cannot be counted", "future": "it has rows that are not known before"}[what] in why
    assert list_day(storage, OLD).predictions and expiry.find_rows(storage, OLD) is None


def test_pictures_that_a_dataset_has_stay(tmp_root, say):
    """The next dataset takes over the rows of the one before, and reads their pictures again."""
    storage = make(tmp_root)
    small_dataset.put(storage, "d1", MODEL)
    assert say(expire, *SETTINGS)["kept"] == {OLD: 2} and pictures(storage) == set("abc")
    assert say(lineage, "--dataset", "d1")["expired_days"] == []
    shutil.rmtree(f"{tmp_root}/datasets")
    say(expire, *SETTINGS)
    assert pictures(storage) == set("abc"), "what was needed once stays when its day has gone"


@pytest.mark.parametrize("published", [True, False])
def test_pictures_that_a_gold_item_has_stay_whether_its_model_was_published_or_not(tmp_root, say, published):
    storage = make(tmp_root)
    if published:
        Registry(storage, MODEL).claim(by="test")
    add_gold(storage, GoldAnswer(model=MODEL, prediction_id=find_id(OLD, 0), label="a", predicted="a", bin=18,
                                 image_sha256=HASHES["a"], at="", by="ana"))
    assert say(expire, *SETTINGS)["kept"] == {OLD: 2} and pictures(storage) == set("abc")


def test_a_row_of_an_expired_day_is_left_out_of_a_dataset_by_that_name(tmp_root, say):
    storage = make(tmp_root)
    say(expire, *SETTINGS)
    rows = [{"image_sha256": HASHES["a"], "day": OLD}, {"image_sha256": HASHES["c"], "day": YOUNG}]
    looks = explain_missing(storage, rows, {row["image_sha256"]: Look(reason=MISSING) for row in rows})
    assert [looks[HASHES[name]].reason for name in "ac"] == ["image expired", MISSING]


def test_unreadable_predictions_stop_pictures_from_going(tmp_root, say):
    storage = make(tmp_root)
    storage.put(f"predictions/dt={YOUNG}/broken.parquet", b"none")
    assert say(expire, *SETTINGS, code=1)["error"]["message"].startswith("nothing was removed: which pictures are needed")
    assert pictures(storage) == set("abc")


def test_settings_that_contradict_are_refused():
    for overrides, words in ((("retention.rows_days=500",), "pictures are found"), (
            ("retention.rows_days=30", "retention.pictures_days=30"), "expected more than serve.label_days")):
        with pytest.raises(UsageError, match=words):
            load(overrides=overrides)


def test_a_death_at_any_write_leaves_the_figures_and_the_next_run_finishes(tmp_path, monkeypatch, say, tmp_root):
    monkeypatch.setattr("jobs.expiring.rows.AT_ONCE", 1)
    monkeypatch.setattr("jobs.expiring.pictures.AT_ONCE", 1)
    settings = load(overrides=[s for s in SETTINGS if s != "--set"])
    make(str(tmp_path / "start"))

    def run(storage):
        gone = expire.Gone()
        expire.expire_pictures(storage, settings, gone, False)
        expire.expire_rows(storage, settings, gone, False)
        assert not gone.stays

    process = Process()
    shutil.copytree(tmp_path / "start", tmp_root)
    wanted = figures(say(evaluate, *window()))
    run(FaultyStorage(open_storage(tmp_root), process))
    assert len(process.writes) > 8
    for n in range(len(process.writes)):
        shutil.rmtree(tmp_root)
        shutil.copytree(tmp_path / "start", tmp_root)
        count = iter(range(1000))
        dying = Process(lambda name, count=count, n=n: AFTER if next(count) == n else None)
        with pytest.raises(Died):
            run(FaultyStorage(open_storage(tmp_root), dying))
        assert figures(say(evaluate, *window())) == wanted, dying.writes[-1]
        run(open_storage(tmp_root))
        assert pictures(open_storage(tmp_root)) == {"b", "c"} and expiry.find_rows(open_storage(tmp_root), OLD)
        assert not [e for t in ("predictions", "labels") for e in open_storage(tmp_root).list(layout.day_folder(t, OLD))
                    if layout.holds_rows(e.key)], dying.writes[-1]


def test_a_day_of_every_oddity_is_evaluated_from_what_was_kept(tmp_root, say):
    """Doubts look for rows as examples, and there are none any more."""
    generate.write(generate.seeded(3, day=OLD, predictions=30, labels=30), tmp_root, random.Random(1))
    open_root(tmp_root, create=True)
    options = ("--model", "m", "--from", OLD, "--to", OLD)
    first = say(evaluate, *options)
    say(expire, *SETTINGS)
    again = say(evaluate, *options)
    assert figures(again) | {"doubts": 0} == figures(first) | {"doubts": 0}


def test_a_request_for_an_expired_day_is_an_error_of_its_own():
    assert Expired.error_code == "Expired" and Expired.exit_code == 1
