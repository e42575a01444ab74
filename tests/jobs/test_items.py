"""`trueup items`: a day's items are made once, named as its counts, and go where its rows and pictures go."""

from datetime import timedelta

import pytest

from contract import layout
from contract.errors import USAGE
from contract.records import LABEL, PREDICTION
from contract.rows.items import load_items, read_items
from contract.settings import ReportSettings
from contract.storage import open_root
from jobs import evaluate, expire, forget
from jobs.engines.embedded import engine
from jobs.labelled import items
from jobs.reports import examples
from tests.jobs.two_days import OLD, YOUNG, at_noon, find_id
from tests.pipeline.roots import MODEL, put_rows

SETTINGS = ("--set", "serve.label_days=20", "--set", "retention.rows_days=30")
WINDOW = ("--model", MODEL, "--from", OLD, "--to", YOUNG)


def label(day, n, writer="w1"):
    return {"label_id": f"{day}-{n}-{writer}", "prediction_id": find_id(day, n), "label": "a", "labeler": writer,
            "origin": "audit", "labeled_at": at_noon(day, n) + timedelta(hours=1), "saw_prediction": False}


@pytest.fixture
def storage(tmp_root):
    """Two days with three predictions each, the first two of them labelled."""
    storage = open_root(tmp_root, create=True)
    for day in (OLD, YOUNG):
        predictions = [{"prediction_id": find_id(day, n), "predicted_at": at_noon(day, n), "model": MODEL, "model_version": "1",
                        "confidence": 0.9, "predicted_label": "ab"[n % 2], "image_sha256": f"{n}" * 64,
                        "image_uri": layout.image(f"{n}" * 64, "png")} for n in range(3)]
        put_rows(storage, PREDICTION, "predictions", predictions, day)
        put_rows(storage, LABEL, "labels", [label(day, n) for n in range(2)], day)
    return storage


def test_items_have_the_names_of_the_counts_and_are_made_once(storage, say, monkeypatch):
    first = say(items, *WINDOW)
    assert first["items"] == 4 and {day: of["made"] for day, of in first["days"].items()} == {OLD: True, YOUNG: True}
    assert {day: of["name"] for day, of in first["days"].items()} == say(evaluate, *WINDOW)["counts"]
    kept, there = engine.list_items, list(storage.list(layout.all_items()))
    monkeypatch.setattr(engine, "list_items", lambda *_, **__: pytest.fail("made again"))
    again = say(items, *WINDOW)
    assert [of["made"] for of in again["days"].values()] == [False, False]
    assert list(storage.list(layout.all_items())) == there
    monkeypatch.setattr(engine, "list_items", kept)
    put_rows(storage, LABEL, "labels", [label(OLD, 2, "w2")], OLD, "w2")
    late = say(items, *WINDOW)
    assert late["items"] == 5 and {day: of["made"] for day, of in late["days"].items()} == {OLD: True, YOUNG: False}


def test_evaluate_writes_them_when_asked(storage, say, tmp_root, capsys):
    document = say(evaluate, *WINDOW)
    assert not list(storage.list(layout.all_items()))
    assert say(evaluate, *WINDOW, "--items", "--as-of", document["as_of"])["counts"] == document["counts"]
    for day, name in document["counts"].items():
        found = read_items(storage, load_items(storage, MODEL, day, name)).to_pylist()
        assert [(row["prediction_id"], row["predicted"], row["label"]) for row in found] == [
            (find_id(day, 0), "a", "a"), (find_id(day, 1), "b", "a")]
    assert evaluate.main(["--items", "--predictions", "p.csv"]) == USAGE
    assert "--items needs a root" in capsys.readouterr().err
    assert items.main(["--root", tmp_root, *WINDOW]) == 0
    assert "4 labelled ones on 2 days; 0 days made now" in capsys.readouterr().out
    assert items.main(["--root", tmp_root, "--model", MODEL, "--from", OLD, "--to", OLD]) == 0
    assert "2 labelled ones on 1 day; " in capsys.readouterr().out


def test_items_go_with_the_rows_of_their_day(storage, say):
    say(items, *WINDOW)
    say(expire, *SETTINGS, "--set", "retention.pictures_days=10")
    left = {entry.key.split("/")[2] for entry in storage.list(layout.all_items())}
    assert left == {f"dt={YOUNG}"}
    after = say(items, *WINDOW)
    assert after["expired"] == [OLD] and list(after["days"]) == [YOUNG]


def test_a_forgotten_picture_has_no_place_among_the_items(storage, say):
    name = say(items, *WINDOW)["days"][YOUNG]["name"]
    before = storage.read(layout.items_document(MODEL, YOUNG, name))
    say(forget, find_id(YOUNG, 0))
    table = read_items(storage, load_items(storage, MODEL, YOUNG, name))
    assert table["image_uri"].to_pylist() == [None, layout.image("1" * 64, "png")]
    assert storage.read(layout.items_document(MODEL, YOUNG, name)) == before


def test_a_report_shows_the_same_pictures_from_items_and_without_them(storage, say, monkeypatch):
    for n in range(3):
        storage.put(layout.image(f"{n}" * 64, "png"), b"no picture: what is looked at is which one is asked for")
    document, settings = say(evaluate, *WINDOW), ReportSettings()
    asked = []
    monkeypatch.setattr(examples, "make_thumbnail", lambda _, row: asked.append((row["day"], row["prediction_id"])))
    examples.find_examples(storage, document, "1", settings)
    joined, asked[:] = list(asked), []
    say(items, *WINDOW, "--as-of", document["as_of"])
    monkeypatch.setattr(examples, "find_labelled_here", lambda *_: pytest.fail("joined"))
    examples.find_examples(storage, document, "1", settings)
    assert asked == joined == [(day, find_id(day, 1)) for day in (YOUNG, OLD)]
