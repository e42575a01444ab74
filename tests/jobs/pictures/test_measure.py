"""Days and datasets are measured once, go on where they stopped, add up, and survive pictures that are missing or damaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from contract import layout
from contract.documents.manifest import load as load_manifest
from contract.measured.document import Measured, add_histograms, count_values, list_measured, read_pictures
from contract.measured.measures import BY_NAME
from contract.storage import open_root
from jobs import compact, forget
from jobs.engines.question import Question
from jobs.pictures import command
from jobs.pictures.look import Picture, measure, measure_on_spark
from jobs.pictures.measure import Measuring, measure_dataset, measure_day
from tests.jobs.pictures import pictures_root
from tests.jobs.pictures.pictures_root import DAYS, LAST, MODEL, draw, put_day

ASKED = Measuring(Question(MODEL, 0))


@pytest.fixture
def storage(tmp_root, tmp_path):
    return pictures_root.make(tmp_root, trained=40, tmp=tmp_path)


def run(storage, capsys, *more):
    capsys.readouterr()
    assert command.main(["--root", storage.root, "--model", MODEL, "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_was_measured_is_not_read_again_and_of_a_day_that_grew_only_the_new(storage, capsys):
    put_day(storage, LAST, [draw(i) for i in range(10)])
    first = run(storage, capsys)
    assert (first["days"][LAST]["read"], first["dataset"]["read"], first["dataset"]["pictures"]) == (10, 40, 40)
    again = run(storage, capsys)
    assert (again["days"][LAST]["read"], again["dataset"]["read"]) == (0, 0)
    assert again["days"][LAST]["inputs"] == first["days"][LAST]["inputs"]
    put_day(storage, LAST, [draw(i) for i in range(5, 13)], "second")
    grown = run(storage, capsys)["days"][LAST]
    assert (grown["read"], grown["pictures"], grown["predictions"]) == (3, 13, 18)


def test_days_add_up_to_what_all_pictures_together_give(storage):
    for k, day in enumerate(DAYS):
        put_day(storage, day, [draw(100 * k + i) for i in range(6)])
    days = [measure_day(storage, day, ASKED).document for day in DAYS]
    rows = [row for day in days for row in read_pictures(storage, day).to_pylist()]
    assert add_histograms(days) == count_values(rows) and len(rows) == 18
    values = {name: [row[name] for row in rows] for name in BY_NAME}
    for name, measure_ in BY_NAME.items():
        counts = np.histogram(values[name], [-np.inf, *measure_.edges, np.inf])[0]
        assert add_histograms(days)[name].counts == counts.tolist()


def test_a_picture_counts_once_and_the_smallest_id_speaks(storage):
    rows = put_day(storage, LAST, [draw(1), draw(1), draw(2)])
    made = measure_day(storage, LAST, ASKED).document
    assert (made.pictures, made.predictions) == (2, 3)
    ids = set(read_pictures(storage, made)["prediction_id"].to_pylist())
    assert ids == {min(rows[0]["prediction_id"], rows[1]["prediction_id"]), rows[2]["prediction_id"]}


def test_missing_and_damaged_pictures_are_counted_and_stop_nothing(storage, capsys):
    pictures = [draw(i) for i in range(4)]
    rows = put_day(storage, LAST, pictures)
    storage.delete(rows[0]["image_uri"])
    storage.put(rows[1]["image_uri"], pictures[2])
    undecodable, _ = pictures_root.store(storage, b"no picture")
    put_day(storage, LAST, [draw(9)], "odd")
    bad = Picture(undecodable, "x", layout.image(undecodable, "png"))
    assert measure(storage, bad)["reason"] == "image undecodable"
    found = run(storage, capsys)["days"][LAST]
    assert found["missing"] == {"image is not the one that its hash names": 1, "image missing": 1} and found["pictures"] == 5
    made = measure_day(storage, LAST, ASKED).document
    assert sum(made.histograms["brightness"].counts) == 3 and made.histograms["brightness"].none == 2
    assert sum(made.histograms["pixels"].counts) == 5, "its row says how large a picture is that is not there any more"


def test_what_is_forgotten_leaves_no_measure(storage, capsys):
    rows = put_day(storage, LAST, [draw(i) for i in range(4)])
    put_day(storage, DAYS[0], [draw(50)])
    run(storage, capsys)
    other = list_measured(storage, layout.measures(MODEL, day=DAYS[0]))
    gone = rows[0]["image_sha256"]
    assert forget.main(["--root", storage.root, "--image", gone]) == 0
    said = capsys.readouterr().out
    assert said.count(f"measures/{MODEL}/dt={LAST}/") == 2
    left = [e.key for e in storage.list(layout.all_measures()) if gone.encode() in storage.read(e.key)]
    assert left == [] and not list(storage.list(layout.measures(MODEL, day=LAST)))
    assert list_measured(storage, layout.measures(MODEL, day=DAYS[0])) == other
    again = run(storage, capsys)["days"][LAST]
    assert again["missing"] == {"image erased": 1} and again["read"] == 3
    made = measure_day(storage, LAST, ASKED).document
    assert sum(made.histograms["bytes"].counts) == 3, "not even its size is kept"


def test_a_packed_day_is_the_same_day(storage, capsys):
    for n in range(3):
        put_day(storage, DAYS[0], [draw(10 * n + i) for i in range(2)], f"w{n}")
    before = run(storage, capsys)["days"][DAYS[0]]
    assert compact.main(["--root", storage.root, "--day", DAYS[0]]) == 0
    after = run(storage, capsys)["days"][DAYS[0]]
    assert after == before | {"read": 0}


def test_a_damaged_document_is_named_and_made_again(storage, caplog):
    put_day(storage, LAST, [draw(1)])
    made = measure_day(storage, LAST, ASKED).document
    key = layout.measures_document(made.folder, made.inputs)
    storage.put(key, b"{")
    assert measure_day(storage, LAST, ASKED).document == made == Measured.load(storage, key)
    assert key.rpartition("/")[2] in caplog.text


def test_without_a_dataset_it_is_said(tmp_root, tmp_path, capsys):
    storage = pictures_root.make(tmp_root, tmp=tmp_path, dataset=False)
    put_day(storage, LAST, [draw(1)])
    assert run(storage, capsys)["reason"] == "no dataset is known that the live version was trained on"


def test_on_s3_all_is_the_same(s3_root, tmp_root, tmp_path, capsys):
    here, there = (pictures_root.make(root, trained=5, tmp=tmp_path) for root in (tmp_root, s3_root))
    for storage in (here, there):
        put_day(storage, LAST, [draw(i) for i in range(4)])
    made = [measure_day(storage, LAST, ASKED).document for storage in (here, there)]
    assert made[0].histograms == made[1].histograms
    assert read_pictures(here, made[0]).equals(read_pictures(there, made[1]))
    assert run(there, capsys)["days"][LAST]["read"] == 0
    sha256 = read_pictures(there, made[1])["image_sha256"][0].as_py()
    assert forget.main(["--root", s3_root, "--image", sha256]) == 0
    assert not list(there.list(layout.measures(MODEL, day=LAST)))


@pytest.mark.slow("spark")
def test_spark_measures_the_same(spark, storage):
    put_day(storage, LAST, [draw(i) for i in range(7)])
    pictures = [Picture(r["image_sha256"], r["prediction_id"], r["image_uri"])
                for r in read_pictures(storage, measure_day(storage, LAST, ASKED).document).to_pylist()]
    assert measure_on_spark(storage, pictures, {}) == [measure(storage, picture) for picture in pictures]
    asked = Measuring(Question(MODEL, 0), on_spark=True)
    made = load_manifest(storage, pictures_root.DATASET)
    alone = open_root(str(Path(storage.root.removeprefix("file://"))))
    assert measure_dataset(alone, made, asked).document.pictures == 40
