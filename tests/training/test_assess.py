"""Candidate against live on the same rows; a row that was trained on is leakage, an unknown training set is named."""

import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command.load_settings import load
from contract.documents import manifest
from contract.documents.card import Card
from contract.errors import EmptyData, LeakageFound, TrialFailed
from contract.policy import GatePolicy
from inference.model.predictor import Predictor
from metrics.judging.promotion import compare_by_interval, judge_assessment
from metrics.significance.paired import Paired
from tests.test_docs_commands import problem, words
from tests.training.loop_root import digits, png
from training import compare
from training.assess import Side, assess, list_hashes, main
from training.assess_text import choose_next, write_text
from training.compare import Answers
from training.feed.reader import read_rows
from training.first_version import FirstVersion
from training.train import train
from training.trial import Trial

CLASSES = ["a", "b"]


def answers(named):
    return told(named, np.full(len(named), 0.75))


def told(named, confidence):
    return Answers(np.array(named), np.asarray(confidence), np.array(named), CLASSES)


def figures(truth, answers):
    return compare.measure_version(truth, answers, CLASSES, ["audit"] * len(truth), np.full(len(truth), np.nan), "1")


def test_paired_counts_difference_and_mcnemar():
    truth = np.array([0, 0, 1, 1, 1])
    found = compare.compare_paired(truth, answers([0, 1, 1, 0, 0]), answers([0, 0, 0, 1, 0]))
    assert {k: found[k] for k in ("n", "both", "only_live", "only_candidate", "neither")} == {
        "n": 5, "both": 1, "only_live": 1, "only_candidate": 2, "neither": 1}
    assert found["difference"]["value"] == pytest.approx(0.2)
    assert found["mcnemar"]["two_sided"] == 1.0


def test_counts_of_classes_and_of_the_newest_rows_stand_by_origin():
    truth, origins = np.array([0, 0, 1, 1, 1]), ["audit", "feedback", "audit", "audit", "feedback"]
    live, candidate = answers([0, 1, 1, 0, 0]), answers([0, 0, 0, 1, 0])
    rows = compare.count_by_class_and_origin(truth, live, candidate, CLASSES, origins)
    assert [(r["label"], r["origin"], r["n"]) for r in rows] == [("a", "audit", 1), ("b", "audit", 2), ("a", "feedback", 1),
                                                                ("b", "feedback", 1)]
    newest = compare.compare_groups(truth, live, candidate, origins, np.array([False, False, True, True, False]))
    assert {origin: row["n"] for origin, row in newest.items()} == {"audit": 2}


def test_weights_count_rows_by_their_selection():
    truth, p = np.array([0, 0, 0, 0]), np.array([0.5, 0.5, 0.1, np.nan])
    found = compare.compare_weighted(truth, answers([1, 0, 0, 0]), answers([0, 0, 1, 0]), p)
    assert found["value"] == pytest.approx((2 - 10) / 14) and found["n"] == 3


def test_calibration_error_of_answers_that_are_always_half_sure():
    found = figures(np.array([0, 0, 0, 0]), told([0, 0, 0, 1], np.full(4, 0.5)))
    assert found["calibration"]["ece"] == pytest.approx(0.25)


def test_a_confidence_just_below_an_edge_is_in_the_bin_below_it():
    """Half of the rows say 0.45 and are wrong, half say the double before it and are right: two bins, each 0.5 off."""
    below = np.nextafter(0.45, 0)
    named, confidence = [0] * 100, np.repeat([below, 0.45], 50)
    found = figures(np.repeat([0, 1], 50), told(named, confidence))["calibration"]
    assert found["ece"] == pytest.approx(0.5, abs=1e-8)
    assert found["ece"] == pytest.approx(by_hand(np.repeat([True, False], 50), confidence), abs=1e-8)
    assert [(b["low"], b["accuracy"]["value"]) for b in found["reliability"]] == [(0.4, 1.0), (0.45, 0.0)]


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_that_of_a_count_by_hand(seed):
    rng = np.random.default_rng(seed)
    edges = np.concatenate([[k / 20, np.nextafter(k / 20, 0)] for k in range(1, 21)])
    confidence = np.concatenate([edges, rng.random(60)])
    named = rng.integers(0, 2, len(confidence))
    found = figures(np.zeros(len(confidence), int), told(named, confidence))
    assert found["calibration"]["ece"] == pytest.approx(by_hand(named == 0, confidence), abs=1e-8)


def test_strata_of_the_rows_are_kept_by_class_and_bin():
    """A version that nobody labelled yet is estimated from them; feedback is no sample, here as there."""
    named, truth, confidence = [0, 0, 0, 1, 1], np.array([0, 1, 0, 1, 1]), np.array([0.97, 0.96, 0.4, 0.97, np.nan])
    assert figures(truth, told(named, confidence))["strata"] == [
        {"predicted": CLASSES[0], "bin": 8, "n": 1, "right": 1}, {"predicted": CLASSES[0], "bin": 19, "n": 2, "right": 1},
        {"predicted": CLASSES[1], "bin": None, "n": 1, "right": 1}, {"predicted": CLASSES[1], "bin": 19, "n": 1, "right": 1}]
    found = compare.measure_version(truth, told(named, confidence), CLASSES, ["feedback"] * 4 + ["review"],
                                    np.full(5, np.nan), "1")
    assert found["strata"] == [{"predicted": CLASSES[1], "bin": None, "n": 1, "right": 1}]


def by_hand(right, confidence):
    """Expected calibration error (Naeini et al. 2015), bin by bin, each bin found by comparing with the doubles k/20."""
    gaps = 0.0
    for k in range(20):
        mine = [(r, c) for r, c in zip(right, confidence, strict=True)
                if max(j for j in range(20) if j / 20 <= c) == k]
        gaps += abs(sum(bool(r) for r, _ in mine) - sum(c for _, c in mine))
    return gaps / len(right)


def test_both_versions_are_asked_the_same_rows(world):
    live, candidate = world.train(epochs=1), world.train(parent="1", epochs=2)
    found = assess(world.storage, world.registry, candidate.version, live.version)
    counts = [found["overall"][k] for k in ("both", "only_live", "only_candidate", "neither")]
    assert sum(counts) == found["rows"] == world.made.rows["holdout"]
    assert sum(row["n"] for row in found["per_class"]) == found["rows"]
    assert sum(row["n"] for row in found["per_class_by_origin"]) == found["rows"]
    assert found["window"]["by_origin"] == found["by_origin"]  # no row was replayed from an earlier window
    assert found["versions"]["candidate"]["weights_sha256"] == candidate.weights_sha256
    assert {c["version"] for c in found["leakage"]["checked"]} == {"1", "2"}
    assert found["trial"]["images"] == 5 and found["trial"]["largest_difference"] < 1e-4
    for side, figures in found["versions"].items():
        assert figures["accuracy"] == found["overall"][side]
        assert figures["macro"]["f1"]["value"] > 0 and {"f1"} <= figures["per_class"][0].keys()
        assert figures["calibration_error"] == figures["calibration"]["ece"]
        recalls = {row["label"]: row["recall"] for row in figures["per_class"]}
        assert all(recalls[row["label"]] == row[side] for row in found["per_class"])


def test_a_version_is_assessed_and_served_in_the_number_format_of_its_card(world):
    card = world.train(epochs=1)
    half = Card(**card.model_dump() | {"number_format": "bfloat16", "schema": "1"})
    world.storage.put("models/digits/versions/1/card.json", half.to_bytes())
    candidate = world.train(parent="1", epochs=1)
    assert candidate.number_format == "bfloat16"

    def first(of):
        side = Side(of, world.registry.weights("2"), world.made.classes)
        side.ask([png(pixels) for pixels in digits()[0][:8]])
        return side.first

    assert first(candidate) != first(candidate.model_copy(update={"number_format": "float32"}))
    # The trial's service process answers with the probabilities that were assessed.
    assert assess(world.storage, world.registry, "2", "1")["trial"]["largest_difference"] < 1e-4


def test_a_candidate_that_no_service_can_answer_with_is_not_assessed(world, monkeypatch):
    """Weights that fit the network here and not there: the service's process lacks the module that builds it."""
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[tests, nobody_has_this]")
    card = world.train(epochs=1)
    weights = world.registry.weights("1")
    absent = card.model_copy(update={"network": "nobody_has_this:build"})
    with pytest.raises(TrialFailed, match="(?s)version 1, tried in a service process: .* 503.*nobody_has_this"), \
            Trial(absent, weights) as trial:
        trial.check([png(digits()[0][0])], [("0", 1.0)])
    with pytest.raises(TrialFailed, match="as assessed, the service said"), Trial(card, weights) as trial:
        trial.check([png(digits()[0][0])], [("0", -0.5)])


def test_a_held_out_row_that_an_ancestor_was_trained_on_is_leakage(world):
    """A grandparent's dataset that trained on what is held out now."""
    world.train(epochs=1)
    swapped = leaking_manifest(world)
    card = world.registry.card("1")
    world.storage.put("models/digits/versions/1/card.json",
                      Card(**card.model_dump() | {"dataset": swapped, "schema": "1"}).to_bytes())
    world.train(parent="1", epochs=1)
    with pytest.raises(LeakageFound, match="are training rows of version 1"):
        assess(world.storage, world.registry, "2", "1", world.made.dataset)


def leaking_manifest(world):
    held = sorted(list_hashes(world.storage, world.made, "holdout"))
    out = io.BytesIO()
    pq.write_table(pa.table({"image_sha256": held, "split": ["train"] * len(held)}), out)
    world.storage.put("datasets/leaking/rows.parquet", out.getvalue())
    index = world.made.index.model_copy(update={"key": "datasets/leaking/rows.parquet",
                                                "sha256": hashlib.sha256(out.getvalue()).hexdigest()})
    made = world.made.model_copy(update={"dataset": "leaking", "index": index})
    world.storage.put("datasets/leaking/manifest.json", made.to_bytes())
    return manifest.load(world.storage, "leaking").dataset


def test_a_version_from_outside_has_an_unknown_training_set_and_the_document_says_so(world):
    card = world.train(epochs=1)
    outside = Card(**card.model_dump() | {"dataset": None, "schema": "1"})
    world.storage.put("models/digits/versions/1/card.json", outside.to_bytes())
    with pytest.raises(EmptyData, match="names no dataset"):
        assess(world.storage, world.registry, "1", "1")
    found = assess(world.storage, world.registry, "1", "1", world.made.dataset)
    assert found["leakage"] == {"rows_in_training": 0, "checked": [], "unknown_training_set": ["1"]}


def test_rows_that_somebody_alone_labelled_are_left_out_person_by_person():
    truth, origins = np.array([0, 0, 1, 1, 1]), ["audit", "audit", "audit", "import", "audit"]
    live, candidate = answers([0, 1, 1, 0, 0]), answers([0, 0, 0, 1, 0])
    alone, window = ["ann", "ann", None, "bob", "ann"], np.array([True, True, True, True, False])
    found = compare.leave_out_each(truth, live, candidate, origins, window, alone)
    assert [(row["labeler"], row["rows"]) for row in found] == [("ann", 3), ("bob", 1)]
    assert {o: row["n"] for o, row in found[0]["by_origin"].items()} == {"audit": 1, "import": 1}
    assert {o: row["n"] for o, row in found[1]["window"]["by_origin"].items()} == {"audit": 3}
    rest = [0, 1, 2, 4]
    by_hand = compare.compare_paired(truth[rest], answers([0, 1, 1, 0]), answers([0, 0, 0, 0]))
    assert found[1]["by_origin"]["audit"] == by_hand


def test_two_architectures_stand_in_one_table_with_the_f1_of_scikit_learn(world):
    from sklearn.metrics import f1_score

    networks = {"live": "resnet18", "candidate": "mobilenet_v3_small"}
    cards = {side: train(world.storage, world.registry, world.settings(epochs=1, lr=0.003), world.made.dataset, None,
                         first=FirstVersion(network, 32)) for side, network in networks.items()}
    found = assess(world.storage, world.registry, cards["candidate"].version, cards["live"].version)
    rows = list(read_rows(world.storage, world.made.split("holdout"), 0, world.made.rows["holdout"]))
    truth, lines = [world.made.classes[row.label_index] for row in rows], write_text(found).splitlines()
    for side, card in cards.items():
        predictor = Predictor(card, world.registry.weights(card.version))
        answered = predictor.probabilities(predictor.stack([predictor.prepare(bytes(row.image)) for row in rows])).argmax(1)
        predicted, figures = [card.classes[k] for k in answered], found["versions"][side]
        assert (figures["network"], figures["weights_bytes"]) == (networks[side], card.weights_bytes)
        for average in ("macro", "weighted"):
            assert figures[average]["f1"]["value"] == pytest.approx(f1_score(truth, predicted, average=average), abs=1e-9)
        (line,) = (line for line in lines if networks[side] in line)
        assert f"{100 * figures['macro']['f1']['value']:.0f}%" in line and f"{card.weights_bytes / 2**20:.1f}" in line
    assert len({found["versions"][side]["macro"]["f1"]["value"] for side in networks}) == 2
    assert found["overall"]["n"] == len(rows) and found["leakage"]["rows_in_training"] == 0


@pytest.mark.parametrize(("settings", "verdict", "expected"), [
    ([], "pass", "trueup model promote 2"), ([], "fail", "trueup dataset"), ([], "cannot tell", "trueup review sample"),
    (["promotion.how=canary"], "pass", "trueup model canary start 2"),
    (["gates.shadow_labels=200"], "pass", "trueup model alias shadow 2"),
    (["gates.shadow_labels=200"], "fail", "trueup dataset")])
def test_the_next_command_is_one_that_the_command_line_takes(settings, verdict, expected):
    found = {"model": "my digits", "versions": {"live": {"version": "1"}, "candidate": {"version": "2"}}}
    told = choose_next(load(env={"TRUEUP_ROOT": "/a/folder"}, overrides=settings), found, verdict, "1")
    assert told.startswith(expected) and "--model 'my digits'" in told and "--root" not in told
    assert problem(words(told.removeprefix("trueup "))) is None
    told = choose_next(load(root="/a folder", env={}, overrides=settings), found, verdict, None)
    assert told.startswith(expected) and "--root '/a folder' --model 'my digits'" in told
    assert problem(words(told.removeprefix("trueup "))) is None


@pytest.mark.parametrize(("serving", "verdict", "expected"), [
    ("7", "pass", "trueup assess --model m --candidate 2   # against version 7, which is live"),
    ("7", "fail", "trueup dataset"), ("2", "pass", "trueup status --model m   # version 2 is live already"),
    ("2", "fail", "trueup status")])
def test_better_than_a_version_that_is_not_live_is_no_reason_to_promote(serving, verdict, expected):
    found = {"model": "m", "versions": {"live": {"version": "1"}, "candidate": {"version": "2"}}}
    told = choose_next(load(env={"TRUEUP_ROOT": "/a/folder"}), found, verdict, serving)
    assert told.startswith(expected) and problem(words(told.removeprefix("trueup "))) is None


@pytest.mark.parametrize(("counts", "expected"), [((100, 5, 60, 20), "better"), ((100, 60, 5, 20), "worse"),
                                                  ((100, 5, 7, 20), "cannot tell"), ((0, 0, 0, 0), "cannot tell")])
def test_which_is_better_follows_from_the_interval_of_the_difference(counts, expected):
    assert compare_by_interval(Paired(*counts).to_dict()["difference"]) == expected


def test_the_command_says_what_the_promotion_gate_makes_of_it_and_a_run_decides_for_itself(world, capsys):
    for parent in (None, "1"):
        world.train(parent=parent, epochs=1)
    world.registry.promote("1", by="test", reason="first", expected_live=None)
    argv = ["--root", world.root, "--model", "digits", "--candidate", "2", "--set", "gates.min_held_out=10"]
    assert main([*argv, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    decision = judge_assessment(GatePolicy(min_held_out=10), document)
    assert document["judged"]["decision"] == json.loads(json.dumps(decision)) and decision["overall"]["n"] > 0
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"promotion gate: {decision['verdict']}. {decision['sentence']}" in lines
    assert f"next: {document['judged']['next']}" in lines
    assert main([*argv, "--json", "--run", "digits/3"]) == 0
    assert "judged" not in json.loads(capsys.readouterr().out)
    assert main([*argv[:-3], "1"]) == 2
    assert "expected another version than the one it is compared with" in capsys.readouterr().err
