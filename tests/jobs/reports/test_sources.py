"""What a report shows beside its own evaluation, from a real root: last time, lineage, pictures, index, tables, CSV."""

import json
import re
import shutil
from datetime import timedelta
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contract import clock, ids, jsonio, layout
from contract.documents import erasures
from contract.errors import NotFound
from contract.evaluations import list_newest_first, newest, read_evaluation, read_second
from contract.records import LABEL, PREDICTION
from contract.storage import open_root, open_storage
from inference.pages.reports import _list_evaluations
from jobs import evaluate, report
from jobs.reports import index, page, tables
from jobs.reports.compare import compare, read_side
from jobs.reports.sources import find_previous
from metrics.tables import class_trend
from metrics.window import by_class
from tests.figures import cell, day, document
from tests.pipeline.roots import MODEL, make_root, put_rows

DAYS = ("2026-11-10", "2026-11-11")
COMMON = ("--model", MODEL)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two days, each evaluated; on the second, three pictures of `b` taken for `a` are stored."""
    root = f"file://{tmp_path_factory.mktemp('report')}/root"
    make_root(root, right=90, n=100, day=DAYS[0])
    evaluated(root, DAYS[0])
    storage, noon = open_storage(root), clock.parse_moment(f"{DAYS[1]}T12:00:00Z")
    predictions, labels = [], []
    for i in range(30):
        name, sha = ids.uuid7(noon, entropy=f"{i:010d}".encode()), f"{i:064x}"
        predictions.append({"prediction_id": name, "predicted_at": noon, "model": MODEL, "model_version": "1",
                            "predicted_label": "a", "confidence": 0.8, "role": "live", "image_sha256": sha if i < 3 else None,
                            "image_uri": layout.image(sha, "png") if i < 3 else None})
        labels.append({"label_id": ids.uuid7(noon, entropy=f"l{i:09d}".encode()), "prediction_id": name, "labeler": "ana",
                       "label": "b" if i < 3 else "a", "labeled_at": noon + timedelta(hours=1), "origin": "import"})
        if i < 3:
            sink = BytesIO()
            Image.new("RGB", (300, 100), (80 * i, 0, 0)).save(sink, "PNG")
            storage.put(layout.image(sha, "png"), sink.getvalue())
    put_rows(storage, PREDICTION, "predictions", predictions, DAYS[1], "second")
    put_rows(storage, LABEL, "labels", labels, DAYS[1], "second")
    evaluated(root, DAYS[1])
    return root


def evaluated(root, chosen):
    moment = clock.iso(clock.parse_moment(f"{chosen}T20:00:00Z"))
    assert evaluate.main(["--root", root, *COMMON, "--from", chosen, "--to", chosen, "--as-of", moment]) == 0


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made.removeprefix("file://"), tmp_path / "root")
    return f"file://{tmp_path}/root"


def rendered(root, *options, code=0):
    assert report.main(["--root", root, *COMMON, *options]) == code
    storage = open_root(root)
    names = storage.folders(layout.evaluations(MODEL))
    return storage, names, storage.read(layout.evaluation(MODEL, names[-1]) + "report.html").decode()


def test_it_says_what_changed_and_where_the_version_comes_from(root):
    _, names, html = rendered(root)
    assert f'<a href="../{names[0]}/report.html">' in html
    assert "accuracy went from 90%" in html and "Per-class accuracy" in html
    assert 'id="s-lineage"' in html and "its training set is not known" in html


def test_pictures_of_the_worst_cell_are_small_and_erased_ones_left_out(root):
    storage, _, html = rendered(root)
    assert re.findall(r'data-image="(\w+)"', html) == [f"{i:064x}" for i in range(3)]
    assert 'alt="labelled b, predicted a, 2026-11-11"' in html and len(html) < 150_000
    erasures.ask(storage, erasures.Erasure(image_sha256=f"{1:064x}", at="t", by="ana", asked="x"))
    storage.delete(layout.image(f"{2:064x}", "png"))
    assert re.findall(r'data-image="(\w+)"', rendered(root)[2]) == [f"{0:064x}"]


def test_no_pictures_by_setting(root):
    assert "data-image" not in rendered(root, "--set", "report.examples=0")[2]


def test_the_index_lists_every_evaluation(root):
    storage, names, _ = rendered(root)
    shown = storage.read(layout.report_index(MODEL)).decode()
    assert [name in shown for name in names] == [True, True]
    assert shown.index(names[1]) < shown.index(names[0]) and "2 evaluations, newest first." in shown


def test_the_tables_lie_where_sql_looks_for_partitions(root):
    storage, names, _ = rendered(root)
    table = pq.read_table(root.removeprefix("file://") + "/tables/per_class", partitioning="hive")
    assert set(table["evaluation"].to_pylist()) == {names[1]} and table["model"].to_pylist()[0] == MODEL
    assert set(table["label"].to_pylist()) == {"a", "b"}


def test_csv_cannot_smuggle_formulas(root, tmp_path):
    rendered(root, "--csv", str(tmp_path / "csv"))
    head, first = (tmp_path / "csv" / "per_class.csv").read_text().splitlines()[:2]
    assert head.startswith("version,label,support") and first.startswith("1,a,27")
    table = pa.table({"label": ["=1+1", " @x", "-2", "a", None], "n": [-1, 2, 3, 4, 5]})
    sink = BytesIO()
    pq.write_table(table, sink)
    assert tables.convert_to_csv(sink.getvalue()).splitlines()[1:] == ["'=1+1,-1", "' @x,2", "'-2,3", "a,4", ",5"]


def test_two_evaluations_side_by_side(root):
    storage, names, _ = rendered(root)
    assert report.main(["--root", root, *COMMON, names[0], names[1]]) == 0
    key = layout.evaluation(MODEL, names[1]) + f"compare-{names[0]}-version-1.html"
    shown = storage.read(key).decode()
    assert shown.count("<h1>") == 1 and "class mix made" in shown
    with pytest.raises(NotFound, match="has a prediction of version 9"):
        report.command.callback(root=root, config=None, as_json=False, overrides=(), names=("1", "9"), model=MODEL,
                                open_it=False, csv_folder=None)


def test_two_versions_of_one_evaluation(root):
    make_root(root, right=60, n=100, day=DAYS[1], version="2")
    evaluated(root, DAYS[1])
    assert report.main(["--root", root, *COMMON, "1", "2"]) == 0


def test_a_comparison_names_what_is_more_than_chance():
    common = {"version": "1", "window": {"from": "", "to": ""}, "as_of": "", "file": "", "confidence": 0.95}
    sides = [{"id": str(i), **common, "figures": document(day(
        [cell("a", "a", n=90), cell("b", "a", n=10), cell("b", "b", n=right), cell("a", "b", n=100 - right)]
    ))["versions"]["1"]} for i, right in enumerate((90, 40))]
    found = compare(*sides)
    assert found["changed"] == ["b"] and found["classes"][0]["difference"]["value"] == pytest.approx(-0.5)
    text = page.render_template("compare.html", {"c": found, "model": "m", "most": 9})
    assert text.count(">clear</td>") == 1 and text.count(">may be chance</td>") == 1
    assert found["change"]["mix"] + found["change"]["accuracy"] == pytest.approx(-0.25, abs=1e-12)
    assert [o["origin"] for o in found["origins"]] == ["import"]


def test_days_of_a_class_as_a_table():
    days = [day([cell("a", "a", n=2), cell("b", "a", n=1)], "2026-11-11"), day([cell("a", "a")], "2026-11-10")]
    assert class_trend({d.day: by_class(d.tables["cells"]) for d in days}).to_pylist() == [
        {"version": "1", "label": "a", "day": "2026-11-10", "right": 1, "labels": 1},
        {"version": "1", "label": "a", "day": "2026-11-11", "right": 2, "labels": 3}]


@pytest.fixture
def one_second(root):
    """The newest evaluation three times within one second; the names' hashes are in another order than the moments."""
    storage = open_root(root)
    name = storage.folders(layout.evaluations(MODEL))[-1]
    made = json.loads(storage.read(layout.evaluation_document(MODEL, name)))
    later = {"11111111": ".100000", "ffffffff": ".300000", "88888888": ".900000"}
    for digest, fraction in later.items():
        storage.put(layout.evaluation_document(MODEL, f"{read_second(name)}-{digest}"),
                    jsonio.dumps(made | {"as_of": made["as_of"][:19] + fraction + "Z"}))
    return storage, [f"{read_second(name)}-{digest}" for digest in reversed(later)], name


def test_of_evaluations_within_one_second_the_later_one_is_the_newer_one_for_every_reader(one_second):
    storage, newest_first, before = one_second
    assert list_newest_first(storage, MODEL)[:4] == [*newest_first, before]
    assert newest(storage, MODEL) == newest_first[0]
    assert [e["id"] for e in _list_evaluations(storage, MODEL)][:3] == newest_first
    assert read_side(storage, MODEL, "1")["id"] == newest_first[0]
    last = read_evaluation(storage, MODEL, newest_first[0])
    assert find_previous(storage, last, newest_first[0], ["1"])["id"] == newest_first[1]
    index.write(storage, MODEL)
    shown = storage.read(layout.report_index(MODEL)).decode()
    places = [shown.index(name) for name in newest_first]
    assert places == sorted(places)
