"""`trueup labelers`: a fit of the votes of a window, its documents, and evaluations by it."""

import json
import math
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from contract import clock, ids, layout
from contract.counts_store import load
from contract.documents.labeler_fit import load_fit, read_fit_table
from contract.errors import CANNOT_TELL, ERROR, USAGE
from contract.evaluations import newest
from contract.records import LABEL, PREDICTION
from contract.rows.items import load_items, read_items
from contract.storage import open_root
from jobs import evaluate, expire, report
from jobs.labelers import command
from jobs.labelers.make import choose_form
from metrics.labelers.gathered import Gathered
from metrics.labelers.votes import Index
from tests.metrics.labelers.crowds import make_crowd
from tests.pipeline.roots import MODEL, put_rows

DAYS = [clock.day_of(clock.now() - timedelta(days=n)) for n in (4, 3)]


def put_crowd(storage, crowd, days=DAYS, extra=()):
    """Its items as predictions of some days, its votes as labels; `extra` label rows of the first day's first prediction."""
    names = []
    for n, day in enumerate(days):
        noon = clock.parse_moment(f"{day}T12:00:00Z")
        some = range(n, len(crowd.truth), len(days))
        made = {i: ids.uuid7(noon + timedelta(milliseconds=i), entropy=f"{i:010d}".encode()) for i in some}
        names += made.values()
        put_rows(storage, PREDICTION, "predictions", [
            {"prediction_id": name, "predicted_at": noon, "model": MODEL, "model_version": "1", "confidence": 0.9,
             "predicted_label": f"c{crowd.truth[i]:03}"} for i, name in made.items()], day)
        labels = [{"prediction_id": made[row["item"]], "label": row["label"], "labeler": row["labeler"], "origin": "review",
                   "label_id": f"{row['item']}-{row['labeler']}", "labeled_at": noon + timedelta(hours=1)}
                  for row in crowd.votes.to_pylist() if row["item"] in made]
        labels += [labels[0] | row for row in extra if not n]
        put_rows(storage, LABEL, "labels", labels, day)
    return names


@pytest.fixture
def crowd(tmp_root):
    """A root with the votes of ten people, four of them careless."""
    made = make_crowd(7, items=240, people=10, votes=4, classes=3, skill=(0.4, 0.97))
    put_crowd(open_root(tmp_root, create=True), made)
    return made


@pytest.fixture
def say(tmp_root, capsys):
    """Runs a command on the root; returns its document."""

    def run(main, *options, code=0):
        assert main([*options, "--root", tmp_root, "--model", MODEL, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def fit(say, *options, code=0):
    return say(command.main, "fit", "--from", DAYS[0], "--to", DAYS[-1], *options, code=code)


def count(say, *options):
    return say(evaluate.main, "--from", DAYS[0], "--to", DAYS[-1], "--no-report", *options)


def test_a_fit_knows_the_people_better_than_agreement_with_the_majority_does(crowd, say):
    found = fit(say, "--form", "full")
    right = {row["labeler"]: row["accuracy"] for row in found["people"]}
    true = [crowd.confusion[n].diagonal().mean() for n in range(10)]
    assert np.abs(np.array([right[f"p{n:05}"] for n in range(10)]) - true).max() < 0.12
    assert (found["votes"], found["predictions"], found["labelers"]) == (960, 240, 10)
    assert found["converged"] and found["parameters"]["start"] is None
    assert sum(c["prior"] for c in found["classes"]) == pytest.approx(1)


def test_what_a_fit_says_adds_up_and_is_stored(crowd, say, tmp_root):
    found = fit(say, "--name", "first", "--form", "full")
    storage = open_root(tmp_root)
    stored = load_fit(storage, MODEL, "newest")
    assert stored.name == "first" and found["form"] == "full"
    assert {day: load_items(storage, MODEL, day, name).day for day, name in stored.inputs.items()} == {d: d for d in DAYS}
    people, confusion = (read_fit_table(storage, stored, name).to_pylist() for name in ("labelers", "confusion"))
    given = Counter(crowd.votes["labeler"].to_pylist())
    assert {row["labeler"]: row["votes"] for row in people} == {None: 960} | given
    for row in people:
        cells = [c for c in confusion if c["labeler"] == row["labeler"]]
        assert sum(c["count"] for c in cells) == pytest.approx(row["votes"])
        assert sum(c["count"] for c in cells if c["truth"] == c["said"]) == pytest.approx(row["right"])
        assert row["accuracy"] == pytest.approx((row["right"] + 0.01) / (row["votes"] + 0.03))
        assert row["hit"] == math.floor(math.log(row["accuracy"]) * 65536)
        assert row["miss"] == pytest.approx(math.log((1 - row["accuracy"]) / 2) * 65536, abs=1)
        for truth in ("c000", "c001", "c002"):
            column = [c for c in cells if c["truth"] == truth]
            assert sum(c["probability"] for c in column) == pytest.approx(1)
            total = sum(c["count"] for c in column)
            assert all(c["probability"] == pytest.approx((c["count"] + 0.01) / (total + 0.03)) for c in column)
    assert all(c["score"] == math.floor(math.log(c["probability"]) * 65536) for c in confusion)


def test_a_fit_finds_more_of_the_true_labels_than_the_majority(crowd, say):
    """Evaluated by a fit, each form labels more pictures right; the counts have names of their own."""
    fit(say, "--name", "full", "--form", "full")
    fit(say, "--name", "coin", "--form", "one-coin")
    plain, full, coin = count(say), count(say, "--fit", "full"), count(say, "--fit", "coin")
    assert len({document["counts"][DAYS[0]] for document in (plain, full, coin)}) == 3
    right = [document["versions"]["1"]["accuracy"]["value"] for document in (plain, full, coin)]  # predicted: the truth
    assert min(right[1:]) > right[0] + 0.02
    assert (full["consensus"]["rule"], full["consensus"]["fit"]) == ("scores", "full")
    assert (coin["consensus"]["rule"], coin["consensus"]["fit"]) == ("majority", "coin")
    assert coin["consensus"]["labeler_weights"].keys() == {f"p{n:05}" for n in range(10)}


@pytest.mark.parametrize("form", ["full", "one-coin"])
def test_engines_count_alike_by_a_stored_fit(crowd, say, tmp_root, form):
    fit(say, "--form", form)
    storage = open_root(tmp_root)
    found = [count(say, "--fit", "newest", "--engine", "embedded"),
             count(say, "--full", "--fit", "newest", "--engine", "mapreduce", "--runner", "inline")]
    assert found[0]["versions"] == found[1]["versions"]
    assert found[0]["counts"] == found[1]["counts"]  # written twice: a difference would be an error
    assert load(storage, MODEL, DAYS[0], found[0]["counts"][DAYS[0]]).rows["vote"] == 480


def test_items_follow_the_fit_and_a_fit_follows_no_fit(crowd, say, tmp_root):
    first = fit(say, "--name", "one", "--form", "full")
    document = count(say, "--fit", "one", "--items")
    storage = open_root(tmp_root)
    items = load_items(storage, MODEL, DAYS[0], document["counts"][DAYS[0]])
    assert items.consensus == "scores" and read_items(storage, items).num_rows == 120
    again = fit(say, "--no-warm-start", "--name", "two", "--form", "full", "--set", "evaluate.labeler_fit=one")
    assert again["inputs"] == first["inputs"] and again["people"] == first["people"]


def test_a_report_names_the_fit_and_does_without_it(crowd, say, tmp_root, caplog):
    fit(say, "--name", "one", "--form", "full")
    say(evaluate.main, "--from", DAYS[0], "--to", DAYS[-1], "--fit", "one")
    storage = open_root(tmp_root)
    page = layout.report(MODEL, newest(storage, MODEL))
    assert "votes weighted by labeler (fit “one”)" in storage.read(page).decode()
    assert "pictures are left out" not in caplog.text
    storage.delete(layout.fit_document(MODEL, "one"))
    storage.delete(page)
    assert report.main(["--root", tmp_root, "--model", MODEL]) == 0
    assert storage.exists(page) and "pictures are left out: expected a fit" in caplog.text


def test_rows_stay_until_they_can_be_counted_by_the_fit_that_settings_name(tmp_root, capsys):
    old = clock.day_of(clock.now() - timedelta(days=50))
    put_crowd(open_root(tmp_root, create=True), make_crowd(3, items=30, people=4, votes=3), [old])
    options = ["--root", tmp_root, "--json"]
    settings = ["--set", "evaluate.labeler_fit=newest", "--set", "serve.label_days=20", "--set", "retention.rows_days=30",
                "--set", "retention.pictures_days=30"]
    assert expire.main([*options, *settings]) == ERROR
    assert "expected a fit of the labelers" in json.loads(capsys.readouterr().out)["stays"][old]
    assert command.main(["fit", *options, "--model", MODEL, "--from", old, "--to", old, "--form", "full"]) == 0
    capsys.readouterr()
    assert expire.main([*options, *settings]) == 0
    assert json.loads(capsys.readouterr().out)["stays"] == {}
    window = ["--model", MODEL, "--from", old, "--to", old, "--no-report"]
    assert evaluate.main([*options, *window, "--fit", "newest"]) == 0
    assert json.loads(capsys.readouterr().out)["consensus"]["rule"] == "scores"


def test_a_warm_start_comes_to_the_same_in_fewer_iterations(crowd, say):
    cold = fit(say, "--name", "cold", "--form", "full", "--tolerance", "1e-9", "--iterations", "1000")
    warm = fit(say, "--name", "warm", "--form", "full", "--tolerance", "1e-9", "--iterations", "1000")
    assert warm["parameters"]["start"] == "cold" and warm["iterations"] < cold["iterations"] / 2
    for before, after in zip(cold["people"], warm["people"], strict=True):
        assert after["accuracy"] == pytest.approx(before["accuracy"], abs=1e-3)
    coin = fit(say, "--form", "one-coin")
    assert coin["parameters"]["start"] == "warm" and set(coin["tables"]) == {"labelers"}


def test_votes_that_tell_nothing_are_left_out(tmp_root, say):
    crowd = make_crowd(3, items=60, people=6, votes=3, classes=2, skill=(0.7, 0.9))
    more = [{"labeler": None, "label_id": "x"}, {"label": "≠", "label_id": "y", "labeler": "zoe"},
            {"origin": "feedback", "label": "c001", "label_id": "z"}]
    storage = open_root(tmp_root, create=True)
    put_crowd(storage, crowd, extra=more)
    alone = ids.uuid7(clock.parse_moment(f"{DAYS[1]}T13:00:00Z"), entropy=b"alone-----")
    at = clock.parse_moment(f"{DAYS[1]}T13:00:00Z")
    prediction = {"prediction_id": alone, "predicted_at": at, "model": MODEL, "model_version": "1", "confidence": 1.0,
                  "predicted_label": "c000"}
    label = {"prediction_id": alone, "label": "c000", "labeler": "hermit", "labeled_at": at}
    put_rows(storage, PREDICTION, "predictions", [prediction], DAYS[1], "x")
    put_rows(storage, LABEL, "labels", [label], DAYS[1], "x")
    found = fit(say)
    assert found["left_out"] == {"unnamed": 1, "nobody": 1, "again": 1, "alone": 1}
    assert (found["votes"], found["predictions"]) == (180, 60)
    assert "hermit" not in {row["labeler"] for row in found["people"]}


def test_nothing_can_be_told_of_people_who_judge_alone(tmp_root, say):
    put_crowd(open_root(tmp_root, create=True), make_crowd(3, items=20, people=6, votes=1))
    found = fit(say, code=CANNOT_TELL)
    assert found["fit"] is None and "two or more named people judged, found none (20 alone)" in found["reason"]
    put_crowd(open_root(tmp_root), make_crowd(3, items=20, people=6, votes=3, classes=2, skill=(1, 1), prior=[1, 0]), DAYS[1:])
    assert "'c000' alone" in say(command.main, "fit", "--from", DAYS[1], "--to", DAYS[1], code=CANNOT_TELL)["reason"]


@pytest.mark.parametrize("form, size", [
    ("full", {"items": 110, "people": 3, "classes": 2}),  # 110 votes each, 100 are enough
    ("one-coin", {"items": 90, "people": 3, "classes": 2}),
    ("one-coin", {"items": 1050, "people": 3, "classes": 21})])
def test_the_form_is_chosen_by_classes_and_votes(form, size):
    votes = make_crowd(3, votes=3, skill=(0.6, 0.9), **size).votes
    index = Index.of([votes])
    block = index.encode(votes)
    given = np.bincount(index.labeler[block.pair])
    assert choose_form(Gathered(index, given, block.items, {}, lambda form, parameters: None)) == form


def test_who_is_no_better_than_chance_weighs_nothing(tmp_root, say):
    crowd = make_crowd(8, items=160, people=8, votes=4, classes=2, skill=(0.85, 0.95))
    said = [label if who != "p00003" else "c001" if label == "c000" else "c000"
            for who, label in zip(crowd.votes["labeler"].to_pylist(), crowd.votes["label"].to_pylist(), strict=True)]
    crowd.votes = crowd.votes.set_column(2, "label", [said])
    put_crowd(open_root(tmp_root, create=True), crowd)
    people = {row["labeler"]: row for row in fit(say, "--form", "one-coin")["people"]}
    assert people["p00003"]["weight"] == 0 and people["p00003"]["accuracy"] < 0.2
    assert min(row["weight"] for who, row in people.items() if who != "p00003") > 0.3


def test_fits_are_listed_shown_and_never_changed(crowd, say, tmp_root, capsys):
    assert say(command.main, "list")["fits"] == []
    assert "none" in say(command.main, "show", code=ERROR)["error"]["message"]
    fit(say, "--name", "a", "--form", "full")
    fit(say, "--name", "b", "--form", "one-coin")
    assert [found["name"] for found in say(command.main, "list")["fits"]] == ["b", "a"]
    assert say(command.main, "show")["name"] == "b"
    assert "choose another --name" in fit(say, "--name", "a", code=ERROR)["error"]["message"]
    assert "There are: b, a" in say(command.main, "show", "c", code=ERROR)["error"]["message"]
    assert "expected up to 100 letters" in fit(say, "--name", "newest", code=USAGE)["error"]["message"]
    assert command.main(["show", "a", "--root", tmp_root, "--model", MODEL]) == 0
    shown = capsys.readouterr().out
    assert "p00003" in shown and "everybody" in shown and "err independently" in shown
    storage = open_root(tmp_root)
    storage.delete(layout.fit(MODEL, "a") + load_fit(storage, MODEL, "a").tables["confusion"])
    message = say(command.main, "show", "a", code=ERROR)["error"]["message"]
    assert "expected the table of a fit that its document names" in message


def test_a_fit_that_is_not_there_or_not_needed_is_refused(crowd, say, tmp_path):
    where = ("--from", DAYS[0], "--to", DAYS[-1])
    assert "expected a fit" in say(evaluate.main, *where, "--fit", "newest", code=ERROR)["error"]["message"]
    weights = ("--set", "evaluate.labeler_fit=x", "--set", "evaluate.labeler_weights={ann: 2}")
    message = say(evaluate.main, *where, "--fit", "y", *weights, code=USAGE)["error"]["message"]
    assert "expected no evaluate.labeler_weights" in message
    files = ("--predictions", str(tmp_path / "p.csv"))
    assert "--fit needs a root" in say(evaluate.main, *where, "--fit", "y", *files, code=USAGE)["error"]["message"]
    assert "embedded or spark" in fit(say, "--set", "evaluate.engine=mapreduce", code=USAGE)["error"]["message"]


@pytest.mark.slow("spark")
@pytest.mark.parametrize("form", ["full", "one-coin"])
def test_spark_fits_what_one_process_fits(spark, crowd, say, tmp_root, form):
    options = ("--form", form, "--no-warm-start", "--iterations", "12", "--tolerance", "0")
    here, there = fit(say, *options, "--name", "here"), fit(say, *options, "--name", "there", "--engine", "spark")
    assert (there["engine"], there["iterations"], there["left_out"]) == ("spark", here["iterations"], here["left_out"])
    assert there["log_likelihood"] == pytest.approx(here["log_likelihood"], abs=1e-9 * 960)
    storage = open_root(tmp_root)
    for name in here["tables"]:
        one, other = (read_fit_table(storage, load_fit(storage, MODEL, n), name) for n in ("here", "there"))
        for column in one.column_names:
            if one.schema.field(column).type == "double":
                assert np.abs(one[column].to_numpy() - other[column].to_numpy()).max() < 1e-9
            elif column in ("labeler", "truth", "said", "votes"):
                assert one[column].equals(other[column])
