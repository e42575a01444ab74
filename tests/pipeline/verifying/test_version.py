"""`trueup verify VERSION`: card, weights, dataset and the comparison that made it live."""

import json
import random
import shutil
import tempfile
from pathlib import Path

import pytest

from contract import clock, jsonio, layout
from contract.dataset_record import SPLITS
from contract.policy import GatePolicy
from contract.registry import Registry
from contract.runs import Plan
from contract.storage import open_storage
from jobs import forget
from metrics.judging.promotion import judge_assessment
from metrics.significance.paired import Paired
from pipeline.verifying import command as verify
from tests.pipeline import small_dataset
from tests.pipeline.roots import DAY, MODEL, make_root, write_version
from tests.pipeline.verifying.test_verify import flip, states

PAIRS = Paired(100, 2, 60, 5).to_dict()
ASSESSMENT = {
    "model": MODEL, "dataset": "d1", "rows": 167, "overall": PAIRS, "by_origin": {"audit": PAIRS}, "versions": {
        "live": {"accuracy": {"value": 102 / 167}}, "candidate": {"accuracy": {"value": 160 / 167}}},
    "per_class": [{"label": "a", **PAIRS}], "per_class_by_origin": [
        {"label": "a", "origin": "audit", "n": 167, "both": 100, "only_live": 2, "only_candidate": 60, "neither": 5}]}


@pytest.fixture
def root(tmp_root):
    """A root in which version 2 was trained on dataset d1, compared and made live by run 1."""
    make_root(tmp_root, right=1, n=2)
    storage = open_storage(tmp_root)
    made = small_dataset.put(storage, "d1", MODEL)
    folder = layout.dataset_attempt("d1", "attempt-1")
    picture = small_dataset.write(storage, layout.dataset_file(folder, "train", 0), b"pictures")
    file = {"key": picture.key, "sha256": picture.sha256, "split": "train", "rows": 1, "row_groups": 1, "size": 8,
            "row_digest": ""}
    whole = made.model_copy(update={"per_class": {**{s: {} for s in SPLITS}, "train": {"a": 1}}, "label_sources": {"import": 1}})
    storage.put(layout.manifest("d1"), jsonio.dumps(whole.to_dict() | {"files": [file]}))
    registry = Registry(storage, MODEL)
    number = registry.claim(by="train", run=f"{MODEL}/1")
    with tempfile.TemporaryDirectory() as folder:
        write_version(registry, number, Path(folder), dataset="d1", parent="1")
    policy = GatePolicy()
    plan = Plan(model=MODEL, window={"from": DAY, "to": DAY}, as_of=clock.iso(clock.now()), live="1", live_seq=1,
                settings={"gates": policy.model_dump(mode="json")})
    decided = {"evaluation": "20261120T080000Z-0a1b2c3d", "verdict": "fail"}
    documents = {"evaluate": {"id": decided["evaluation"]}, "gate": decided, "dataset": {"dataset": "d1"},
                 "train": {"version": "2"}, "assess": ASSESSMENT, "promotion": judge_assessment(policy, ASSESSMENT)}
    storage.put(layout.runs(MODEL).format(1), plan.to_bytes())
    storage.put(layout.decision(MODEL, decided["evaluation"]), jsonio.dumps(decided))
    for name, document in documents.items():
        storage.put(layout.stage(MODEL, 1, name), jsonio.dumps(document))
    registry.promote(number, by="cycle", reason="better", expected_live="1", run=f"{MODEL}/1")
    return tmp_root


@pytest.fixture
def say(say):
    """Of version 2, unless a test names another."""
    return lambda root, version="2": say(root, version)


def test_a_version_is_what_its_history_says_and_its_comparison_comes_out_the_same(root, say):
    code, document = say(root)
    assert (code, states(document, "differs", "missing", "cannot tell")) == (0, {})
    equal = states(document, "equal")
    assert "figures that follow from its counts equal" in equal[layout.stage(MODEL, 1, "assess")]
    assert "the card says its sha256" in equal[layout.weights(MODEL, "2")]
    assert {layout.card(MODEL, n) for n in "12"} <= equal.keys(), "its parent, too"
    assert "need the pictures and torch" in states(document, "not recomputed")[layout.stage(MODEL, 1, "assess")]


def test_each_byte_that_changes_is_found_and_named(root, say):
    rng, missed = random.Random(3), []
    wanted = [layout.card(MODEL, "1"), layout.card(MODEL, "2"), layout.weights(MODEL, "2"), layout.manifest("d1"),
              *(e.key for e in open_storage(root).list("datasets/")), *(e.key for e in open_storage(root).list("runs/")),
              layout.history(MODEL).format(1), layout.history(MODEL).format(2), layout.live(MODEL)]
    for key in wanted:
        at = rng.randrange(Path(root, key).stat().st_size)
        flip(root, key, at)
        code, document = say(root)
        flip(root, key, at)
        names = {key, layout.live(MODEL)} if key.endswith("00000002.json") else {key}
        if code != 3 or not names & states(document, "differs").keys():
            missed.append((key, at, code))
    assert missed == [] and len(wanted) >= 15


def test_each_file_that_is_gone_is_named(root, say):
    for key in (layout.card(MODEL, "1"), layout.weights(MODEL, "2"), layout.manifest("d1"), layout.stage(MODEL, 1, "assess")):
        data = Path(root, key).read_bytes()
        Path(root, key).unlink()
        code, document = say(root)
        assert code == 3 and key in states(document, "missing"), key
        Path(root, key).write_bytes(data)


def test_pictures_that_were_erased_are_told_from_pictures_that_were_taken(root, say):
    assert forget.main(["--root", root, "--image", small_dataset.SHA256, "--by", "ana"]) == 0
    code, document = say(root)
    assert code == 4 and not states(document, "differs", "missing")
    (said,) = states(document, "erased").values()
    assert "removed on request with 1 pictures" in said
    assert "erased on request since" in states(document, "equal")[layout.manifest("d1")]


def test_a_comparison_that_somebody_made_better_is_computed_again(root, say):
    """With every hash put right: then the figures speak."""
    storage = open_storage(root)
    key = layout.stage(MODEL, 1, "assess")
    document = json.loads(storage.read(key))
    document["overall"]["difference"]["value"] = 0.5
    storage.put(key, jsonio.dumps(document))
    code, said = say(root)
    found = next(f for f in said["findings"] if f["of"] == key and f.get("differ"))
    assert code == 3 and [f["figure"] for f in found["differ"]] == ["overall.difference.value"]
    assert found["differ"][0]["recomputed"] == pytest.approx(58 / 167)


def test_a_promotion_that_somebody_turned_is_decided_again(root, say):
    storage = open_storage(root)
    document = json.loads(storage.read(layout.stage(MODEL, 1, "assess")))
    worse = Paired(100, 60, 2, 5).to_dict()
    storage.put(layout.stage(MODEL, 1, "assess"), jsonio.dumps(document | {"overall": worse, "by_origin": {"audit": worse}}))
    _, said = say(root)
    found = next(f for f in said["findings"] if f["of"] == layout.stage(MODEL, 1, "promotion") and f.get("differ"))
    assert {"figure": "promote", "told": True, "recomputed": False} in found["differ"]


def test_a_version_that_was_never_live_has_nobody_who_vouches_for_its_card(root, say):
    registry = Registry(open_storage(root), MODEL)
    number = registry.claim(by="ana")
    with tempfile.TemporaryDirectory() as folder:
        write_version(registry, number, Path(folder))
    code, document = say(root, number)
    assert code == 4 and "never live" in states(document, "cannot tell")[layout.card(MODEL, number)]


def test_weights_that_were_deleted_are_told(root, say):
    Registry(open_storage(root), MODEL).delete("1", by="ana", reason="old")
    code, document = say(root, "1")
    assert code == 0 and "deleted, as the history says" in states(document, "not recomputed")[layout.weights(MODEL, "1")]


def test_a_version_goes_into_a_bundle_with_its_dataset(root, tmp_path, capsys):
    file = tmp_path / "version.zip"
    assert verify.main(["2", "--root", root, "--model", MODEL, "--in-process", "--bundle", str(file)]) == 0
    shutil.rmtree(root)
    capsys.readouterr()
    assert verify.main([str(file), "--in-process", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["version"] == "2" and layout.weights(MODEL, "2") in states(document, "equal")
