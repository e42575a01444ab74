"""`trueup verify` makes sections of evidence again from raw rows, and reads the fit that votes were weighed by."""

import hashlib
import random
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout
from contract.documents.gold import GoldAnswer, add_gold
from contract.documents.repeat import BlindRepeat
from contract.documents.verification import STATES
from contract.records import LABEL
from contract.registry import Registry
from contract.sequence import NumberedDocuments
from contract.storage import open_root, open_storage, read_json
from jobs import evaluate, expire
from jobs.labelers import command as labelers
from metrics.held_out import HeldOutRows, cells
from metrics.strata.assessed import list_rows
from pipeline import gate
from tests.jobs.evidence.test_combined import write_assessment, write_day
from tests.jobs.labelers.test_labelers import put_crowd
from tests.metrics.labelers.crowds import make_crowd
from tests.pipeline.roots import MODEL, make_root, put_rows, write_version
from tests.pipeline.verifying.test_verify import find_missed, flip, list_files, rename, states

DAYS = [clock.day_of(clock.now() - timedelta(days=n)) for n in (4, 3)]
SECTIONS = ["anchoring", "combined", "cost", "noise", "recounts"]
GATES = ("--set", "gates.estimate=combined", "--set", "gates.window_days=[2]", "--set", "gates.costs={a: {b: 7}}", "--set",
         "gates.max_cost_per_1000=900")
NOON = clock.parse_moment(f"{DAYS[0]}T12:00:00Z")
NAMES = [ids.uuid7(NOON + timedelta(milliseconds=n), entropy=f" 1{n:08d}".encode()) for n in range(60)]  # as write_day does


def judge(root, *options, sections=SECTIONS, engine="embedded"):
    """Evaluates with sections of evidence and gates on them; the id of the evaluation."""
    before = set(open_storage(root).folders(layout.evaluations(MODEL)))
    asked = [word for name in sections for word in ("--evidence", name)]
    assert evaluate.main(["--root", root, "--model", MODEL, "--no-report", "--engine", engine, *GATES, *asked, *options]) == 0
    (made,) = set(open_storage(root).folders(layout.evaluations(MODEL))) - before
    assert gate.main(["--root", root, "--model", MODEL, "--evaluation", made, *GATES]) in (0, 3, 4)
    return made


def publish(storage, folder):
    registry = Registry(storage, MODEL)
    write_version(registry, registry.claim(by="test"), folder)
    registry.promote("1", by="test", reason="first", expected_live=None)


def put_what_sections_read(storage):
    """Second opinions, gold items, a repeat, and a version without labels that a run assessed."""
    second = [{"label_id": f"s{name}", "prediction_id": name, "label": "ab"[n % 2] if n % 9 else "c", "labeler": f"key/p{n % 3}",
               "labeled_at": NOON + timedelta(minutes=5), "origin": "audit", "saw_prediction": False,
               "selection_probability": 0.4} for n, name in enumerate(NAMES)]
    put_rows(storage, LABEL, "labels", second, DAYS[0], "second")
    for n, name in enumerate(NAMES[:6]):
        add_gold(storage, GoldAnswer(model=MODEL, prediction_id=name, label="ab"[n % 2], predicted="ab"[n % 2], bin=10,
                                     image_sha256="0" * 64, at=clock.iso(clock.now()), by="eve"))
    at = clock.iso(NOON + timedelta(hours=1))
    repeat = BlindRepeat(model=MODEL, role="live", day=DAYS[0], prediction_id=NAMES[0], predicted="a", image_sha256="0" * 64,
                         labeler="ada", share=0.05, at=at, seen="a", seen_at=at, blind="b", blind_at=at)
    NumberedDocuments(storage, layout.repeat(MODEL, "p", NAMES[0])).add(repeat.to_dict())
    write_day(storage, DAYS[1], np.random.default_rng(3), count=40, asked=0.0, sample=False, version="2", feedback=0.0)
    truth = ["a"] * 54 + ["b"] * 66
    held_out = HeldOutRows(["a"] * 60 + ["b"] * 60, np.full(120, 0.9), truth, ["audit"] * 120, np.full(120, 0.5))
    write_assessment(storage, list_rows(cells(held_out, "2")))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two audited days with feedback, and all that sections read; its path and the id of the evaluation."""
    folder = tmp_path_factory.mktemp("judged")
    root, rng = str(folder / "root"), np.random.default_rng(1)
    storage = open_root(root, create=True)
    publish(storage, folder)
    for day in DAYS:
        write_day(storage, day, rng, count=250, feedback=0.5)
    put_what_sections_read(storage)
    return root, judge(root)


@pytest.fixture
def say(say):
    """By the embedded engine, the quicker one, unless a test wants another."""
    return partial(say, engine="embedded")


def said_of(document, name):
    """What was found of a section: its finding."""
    (found,) = [f for f in document["findings"] if f["said"].startswith(f"evidence.{name}:")]
    return found


def figures(document):
    """Figure -> (told, recomputed) of all that differ."""
    return {f["figure"]: (f["told"], f["recomputed"]) for found in document["findings"] for f in found.get("differ", [])}


def test_every_section_is_made_again_from_items_of_the_other_engine(judged, say):
    code, document = say(*judged, engine=None)
    assert (code, states(document, *set(STATES) - {"equal", "not recomputed"})) == (0, {})
    told = read_json(open_storage(judged[0]), layout.evaluation_document(MODEL, judged[1]))["evidence"]
    assert sorted(told) == SECTIONS and told["recounts"]["people"] and told["combined"]["windows"]
    assert told["combined"]["versions"]["2"]["origin"] == "assessment" and told["noise"]["versions"]["1"]["gold"]["right"]
    assert told["anchoring"]["pairs"] == 1 and told["cost"]["default"] == 1
    by = {name: said_of(document, name) for name in SECTIONS}
    assert all(f["state"] == "equal" and f["equal"] > 5 for f in by.values())
    assert {name for name, f in by.items() if f["said"].endswith("from items by mapreduce")} == {*SECTIONS} - {"cost"}


def test_what_sections_read_beside_rows_is_named(judged):
    named = read_json(open_storage(judged[0]), layout.evaluation_document(MODEL, judged[1]))["rests_on"]
    kinds = (layout.gold(MODEL, "known"), layout.repeats(MODEL), layout.stage(MODEL, 1, "assess"), layout.samples(MODEL))
    assert all(any(key.startswith(kind) for key in named) for kind in kinds)
    assert not any(key.startswith((layout.items(MODEL), "labels/")) for key in named)


CHANGED = {"recounts": ("people", 0, "votes"), "combined": ("windows", 0, "versions", "1", "low"),
           "cost": ("versions", "1", "per_1000", "high"), "anchoring": ("both",), "noise": ("versions", "1", "raw", "value")}


def test_a_figure_of_a_section_that_somebody_wrote_anew_is_named(copied, say):
    root, name = copied

    def change(document):
        for section, (*path, last) in CHANGED.items():
            inner = document["evidence"][section]
            for step in path:
                inner = inner[step]
            inner[last] += 1 if isinstance(inner[last], int) else 1e-6

    code, document = say(root, rename(root, name, change))
    for section, path in CHANGED.items():
        found = said_of(document, section)
        (figure,) = found["differ"]
        assert found["state"] == "differs" and figure["figure"].endswith(f".{path[-1]}")
    assert code == 3


def test_a_decision_rests_on_the_sections_that_were_made_again(copied, say):
    """Somebody who rewrites evaluation, recounts and decision so that all their names fit is told by what comes out."""
    root, name = copied
    table = Path(root, layout.evaluation_table(MODEL, name, "recounts"))
    rows = pq.read_table(table)
    pq.write_table(rows.slice(0, 0), table)

    def change(document):
        document["evidence"]["combined"]["windows"][0]["versions"]["1"].update(value=0.99, low=0.98, high=0.995)
        document["tables"]["recounts"] = hashlib.sha256(table.read_bytes()).hexdigest()

    made = rename(root, name, change)
    Path(root, layout.decision(MODEL, made)).unlink(missing_ok=True)
    assert gate.main(["--root", root, "--model", MODEL, "--evaluation", made, *GATES]) in (0, 3, 4)
    code, document = say(root, made)
    differ = figures(document)
    assert code == 3 and differ["evidence.combined.windows[2].versions.1.value"][0] == 0.99
    assert differ["gates[accuracy].value"][0] == 0.99 and differ["gates[accuracy].value"][1] < 0.95
    assert states(document, "differs").keys() >= {layout.evaluation_table(MODEL, made, "recounts"), layout.decision(MODEL, made),
                                                  layout.evaluation_document(MODEL, made)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # sums in a damaged table may be beyond what has an interval
def test_a_byte_of_what_sections_read_is_found_and_named(copied, say):
    root, name = copied
    named = read_json(open_storage(root), layout.evaluation_document(MODEL, name))["rests_on"]
    table = layout.evaluation_table(MODEL, name, "recounts")
    kinds = {key.split("/")[0] + key.split("/")[2]: key for key in named if key.startswith(("samples/", "runs/"))}
    assert len(kinds) >= 4
    changed = [table, *kinds.values()]
    for key in changed:
        flip(root, key, Path(root, key).stat().st_size // 2)
    code, document = say(root, name)
    assert code == 3 and states(document, "differs").keys() >= {*changed}


@pytest.mark.slow("seeds")
def test_each_byte_of_what_evidence_rests_on_is_found_and_named(copied, say):
    """Of every raw file, count, sample, gold item, repeat and assessment, and of the evaluation with its tables."""
    root, name = copied
    named = read_json(open_storage(root), layout.evaluation_document(MODEL, name))["rests_on"]
    mine = ("counts/", "labels/", "predictions/", layout.evaluation(MODEL, name))
    keys = [key for key in list_files(root) if key.startswith(mine) and not key.endswith("html")]
    keys = sorted({*keys, *(key for key in named if not key.startswith("models/"))})
    for seed in range(2):
        assert find_missed(root, name, say, keys, random.Random(seed)) == []
    assert len(keys) >= 30 and say(root, name)[0] == 0


def test_what_came_later_and_items_that_lie_there_change_no_section(copied, say):
    root, name = copied
    storage = open_storage(root)
    at = clock.iso(clock.now())
    repeat = BlindRepeat(model=MODEL, role="live", day=DAYS[0], prediction_id=NAMES[1], predicted="a", image_sha256="0" * 64,
                         labeler="ada", share=0.05, at=clock.iso(NOON), seen="a", seen_at=at, blind="b", blind_at=at)
    NumberedDocuments(storage, layout.repeat(MODEL, "p", NAMES[1])).add(repeat.to_dict())
    add_gold(storage, GoldAnswer(model=MODEL, prediction_id=NAMES[9], label="b", predicted="b", bin=10, image_sha256="0" * 64,
                                 at=at, by="eve"))
    items = [path for path in Path(root, layout.items(MODEL)).rglob("*") if path.is_file()]
    for path in items:
        path.write_bytes(b"nothing that could be read")
    code, document = say(root, name)
    assert items and (code, states(document, "differs", "missing", "cannot tell")) == (0, {})


def test_rows_that_are_gone_leave_sections_as_they_were_told(copied, say):
    root, name = copied
    for path in Path(root, "labels", f"dt={DAYS[0]}").glob("*.parquet"):
        path.unlink()
    code, document = say(root, name)
    assert code == 3 and said_of(document, "cost")["state"] == "equal"
    assert "are gone" in said_of(document, "recounts")["said"] and said_of(document, "recounts")["state"] == "cannot tell"


def test_days_whose_rows_had_expired_are_left_out_again(tmp_root, say):
    old = clock.day_of(clock.now() - timedelta(days=50))
    for day, n in ((DAYS[1], 200), (old, 20)):
        make_root(tmp_root, right=n - 5, n=n, day=day)
    before = judge(tmp_root, "--from", old)
    kept = ("--set", "serve.label_days=20", "--set", "retention.rows_days=30", "--set", "retention.pictures_days=30")
    assert expire.main(["--root", tmp_root, *kept]) == 0
    code, document = say(tmp_root, judge(tmp_root, "--from", old))
    assert code == 4 and not states(document, "differs", "missing")
    assert {said_of(document, name)["state"] for name in SECTIONS} == {"equal"}
    code, document = say(tmp_root, before)
    assert code == 4 and not states(document, "differs", "missing")
    assert {name for name in SECTIONS if said_of(document, name)["state"] == "equal"} == {"cost"}


def test_an_evaluation_that_named_nothing_is_told_by_what_there_is_today(copied, say):
    root, name = copied
    made = rename(root, name, lambda document: (document.pop("rests_on"), document.pop("tables")))
    assert say(root, made)[0] == 0
    add_gold(open_storage(root), GoldAnswer(model=MODEL, prediction_id=NAMES[9], label="b", predicted="b", bin=10,
                                            image_sha256="0" * 64, at=clock.iso(clock.now()), by="eve"))
    code, document = say(root, made)
    assert code == 4 and "that of today was taken" in said_of(document, "noise")["said"]


def test_a_bundle_has_what_sections_read(judged, say, tmp_path):
    root, name = judged
    file = tmp_path / "audit.zip"
    assert say(root, name, "--bundle", str(file))[0] == 0
    code, document = say(None, str(file))
    assert (code, states(document, "differs", "missing", "cannot tell")) == (0, {})
    assert all(said_of(document, section)["state"] == "equal" for section in SECTIONS)


def test_rows_of_gold_items_of_other_days_are_read_as_they_lie(copied, say, tmp_path):
    root, _ = copied
    made = judge(root, "--from", DAYS[1], sections=["noise"])
    file, bundle = Path(root, layout.row_file("labels", DAYS[0], "testsecond", 1, len(NAMES))), tmp_path / "audit.zip"
    assert say(root, made, "--bundle", str(bundle))[0] == 0
    assert said_of(say(None, str(bundle))[1], "noise")["state"] == "equal"
    file.unlink()
    code, document = say(root, made)
    assert code == 4 and f"of gold items that these counts do not name, of {DAYS[0]}" in said_of(document, "noise")["said"]


def fit(root, form, name, *options):
    assert labelers.main(["fit", "--root", root, "--model", MODEL, "--form", form, "--name", name, *options]) == 0


@pytest.fixture(scope="module")
def weighed(tmp_path_factory):
    """The votes of six people of several skills, three fits of which the last goes on from the second, and evaluations by two;
    its path, and name of the fit -> id of the evaluation."""
    folder = tmp_path_factory.mktemp("weighed")
    root = str(folder / "root")
    storage = open_root(root, create=True)
    publish(storage, folder)
    put_crowd(storage, make_crowd(7, items=90, people=6, votes=4, classes=3, skill=(0.4, 0.97)), DAYS)
    made = {}
    fit(root, "full", "scores")
    fit(root, "one-coin", "first", "--no-warm-start")
    made["scores"] = judge(root, "--fit", "scores", sections=["recounts"])
    fit(root, "one-coin", "weights")
    made["weights"] = judge(root, "--fit", "newest", sections=["recounts"])
    fit(root, "one-coin", "later")
    return root, made


@pytest.fixture
def crowd(weighed, tmp_path):
    root = str(tmp_path / "copy")
    shutil.copytree(weighed[0], root)
    return root, weighed[1]


def find_again(document):
    """What was found of the fit when it was made again, or why it was not."""
    (found,) = [f for f in document["findings"] if f["said"].startswith("the fit of labelers")]
    return found


@pytest.mark.parametrize(("name", "engine", "parts"), [("scores", None, 3), ("weights", "embedded", 2)])
def test_an_evaluation_with_a_fit_is_counted_again_by_it(crowd, say, name, engine, parts):
    root, made = crowd
    code, document = say(root, made[name], engine=engine)
    assert (code, states(document, "differs", "missing", "cannot tell")) == (0, {})
    again, folder = find_again(document), layout.fit(MODEL, name)
    assert (again["of"], again["state"]) == (layout.fit_document(MODEL, name), "equal") and again["equal"] > 50, again["said"]
    assert said_of(document, "recounts")["said"].endswith(f"by {engine or 'mapreduce'}")
    mine = [of for of in states(document, "equal") if of.startswith(folder)]
    named = read_json(open_storage(root), layout.evaluation_document(MODEL, made[name]))["rests_on"]
    assert len(mine) == parts and sorted(mine) == [key for key in named if key.startswith(layout.fits(MODEL))]
    for of in mine:
        flip(root, of, 60)
    code, document = say(root, made[name])
    assert code == 3 and states(document, "differs").keys() >= {*mine}


def test_a_fit_that_its_votes_do_not_make_is_named(crowd, say):
    """Somebody writes a heavier weight into a fit before the evaluation by it, so that all hashes are right."""
    root, made = crowd
    key = layout.fit_document(MODEL, "weights")
    document = read_json(open_storage(root), key)
    assert document["parameters"]["start"] == "first"
    path = Path(root, layout.fit(MODEL, "weights"), document["tables"]["labelers"])
    table, data = pq.read_table(path), path.read_bytes()
    who, weight = table["labeler"].to_pylist()[1], table["weight"].to_pylist()
    heavier = pa.array([weight[0], weight[1] + 1, *weight[2:]], pa.int64())
    pq.write_table(table.set_column(table.schema.get_field_index("weight"), "weight", heavier), path)
    code, document = say(root, judge(root, "--fit", "weights", sections=[]))
    assert code == 3 and [f["figure"] for f in find_again(document)["differ"]] == [f"labelers[{who}].weight"]
    path.write_bytes(data)
    shutil.rmtree(Path(root, layout.items(MODEL)))
    code, document = say(root, made["weights"])
    assert code == 0 and "taken as it is, hash equal; not made again: " in find_again(document)["said"]


def test_weights_that_somebody_made_larger_are_named(crowd, say):
    root, made = crowd

    def change(document):
        who = next(iter(document["consensus"]["labeler_weights"]))
        document["consensus"]["labeler_weights"][who] *= 2

    code, document = say(root, rename(root, made["weights"], change))
    assert code == 3 and layout.fit_document(MODEL, "weights") in states(document, "differs")
