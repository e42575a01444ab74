"""`trueup review pick` on a root: who may be picked, that a second run sends nothing twice, and that no estimate moves."""

import hashlib
import json
import shutil
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout, samples
from contract.documents import manifest
from contract.review import listed
from contract.review.listed import ListedItem
from contract.settings import DatasetSettings
from contract.storage import open_root
from inference.model.perceptual_hash import phash
from inference.model.preprocess import decode
from jobs import count_window
from jobs.datasets import plan as dataset_plan
from jobs.datasets.consensus import IMAGE_COLUMNS, find_labelled_here
from jobs.engines.day_files import list_day, read_footers
from jobs.engines.question import Question
from jobs.evaluation_request import Request
from jobs.picking import command, pick
from tests.training.digits_by_hand import MODEL, TRAIN, make_root
from tests.training.loop_root import LoopRoot, digits, png

HELD = 60
LAST = clock.day_of(clock.now())
YESTERDAY = clock.day_of(clock.now() - timedelta(days=1))
FIRST_DIGIT = TRAIN + HELD  # the digits after these are in no dataset


class Root(LoopRoot):
    """A root with a live version of digits; `answer` writes predictions with two logged probabilities."""

    def answer(self, day, pictures, start=0, **more):
        at, rows = clock.parse_moment(f"{day}T00:00:01Z"), []
        for n, data in enumerate(pictures, start):
            sha, key = self.image(data)
            p = 0.5 + 0.4 * np.random.default_rng(n).random()
            rows.append({"prediction_id": ids.uuid7(at, n.to_bytes(10, "big")), "predicted_at": at, "model": MODEL,
                         "model_version": "1", "predicted_label": str(n % 3), "confidence": p, "image_sha256": sha,
                         "image_uri": key, "top_labels": [str(n % 3), str(n % 3 + 1)], "top_probabilities": [p, 1 - p]} | more)
        self.write(layout.PREDICTIONS, day, rows)
        return [row["prediction_id"] for row in rows]

    def label(self, day, names, labels, origin="feedback", **more):
        at = clock.parse_moment(f"{day}T00:00:02Z")
        self.write(layout.LABELS, day, [
            {"label_id": ids.uuid7(at, bytes([self.n]) + n.to_bytes(9, "big")), "prediction_id": name, "label": label,
             "labeler": "ann", "labeled_at": at, "origin": origin, "saw_prediction": False} | more
            for n, (name, label) in enumerate(zip(names, labels, strict=True))])


def picture(n):
    return png(digits()[0][FIRST_DIGIT + n])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A root with a live version, made once."""
    folder = tmp_path_factory.mktemp("trained") / "root"
    make_root(str(folder), held_out=HELD)
    return folder


@pytest.fixture
def root(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "root")
    return Root(str(tmp_path / "root"), MODEL)


def run(root, capsys, *options):
    assert command.main(["--root", root.root, "--model", MODEL, "--by", "ada", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def names_of(found):
    return [item["prediction_id"] for item in found["items"]]


def test_picks_are_sent_as_a_list_that_is_named_and_a_second_run_sends_nothing(root, capsys):
    today, before = root.answer(LAST, map(picture, range(30))), root.answer(YESTERDAY, map(picture, range(30, 60)), 30)
    found = run(root, capsys, "--items", "12")
    assert len(set(names_of(found))) == 12 == found["sent"] and found["look"] == "embedding" and found["candidates"] == 60
    assert set(names_of(found)) <= {*today, *before} and {item["day"] for item in found["items"]} == {LAST, YESTERDAY}
    sent = {name: of for day in (LAST, YESTERDAY) for name, of in listed.read(root.storage, MODEL, day).items()}
    assert set(sent) == set(names_of(found)) and {strategy for strategy, _ in sent.values()} == {"diverse"}
    again = run(root, capsys, "--items", "12")
    assert (again["sent"], again["items"]) == (0, found["items"])


def test_a_run_that_was_killed_between_two_days_sends_the_rest(root, capsys, monkeypatch):
    root.answer(LAST, map(picture, range(20)))
    root.answer(YESTERDAY, map(picture, range(20, 40)), 20)
    whole = run(root, capsys, "--items", "10", "--dry-run")
    assert whole["sent"] == 0 and not any(listed.read(root.storage, MODEL, day) for day in (LAST, YESTERDAY))
    first = [item for item in whole["items"] if item["day"] == whole["items"][0]["day"]]
    listed.send(root.storage, MODEL, "diverse", "ada", [ListedItem.of(item) for item in first])
    again = run(root, capsys, "--items", "10")
    assert again["items"] == whole["items"] and again["sent"] == 10 - len(first) > 0


def test_who_may_not_be_picked(root, capsys):
    made = manifest.load(root.storage, "d1")
    trained = [bytes(row["image"]) for row in read_rows(root, made)[:1]]
    free = root.answer(LAST, map(picture, range(5)))
    labelled = root.answer(LAST, map(picture, range(5, 8)), 5)
    root.label(LAST, labelled, ["1", "2", "3"])
    root.answer(LAST, [picture(5)], 8)  # the same picture, judged by another of its predictions
    root.answer(LAST, map(picture, range(9, 11)), 9, model_version="2")
    root.answer(LAST, map(picture, range(11, 13)), 11, role="shadow")
    root.answer(LAST, map(picture, range(13, 15)), 13, model="other")
    root.answer(LAST, map(picture, range(15, 17)), 15, image_uri=None)
    root.answer(LAST, trained, 17)
    marked, blind = root.answer(LAST, [picture(18)], 18), root.answer(LAST, [picture(19)], 19)
    for names, of_blind in ((marked, False), (blind, True)):
        item = {"day": LAST, "prediction_id": names[0], "predicted": "0", "confidence": 0.5, "image_sha256": "0" * 64}
        listed.send(root.storage, MODEL, "picked" if not of_blind else "suspects", "bob", [ListedItem.of(item)], of_blind)
    root.storage.put(layout.erasure(hash_of(picture(20))), b'{"schema": "1"}')
    root.answer(LAST, [picture(20)], 20)
    found = run(root, capsys, "--items", "99")
    assert sorted(names_of(found)) == sorted(free)
    assert found["left_out"] == {"asked by a sample": 2, "erased": 1, "in the dataset": 1, "labelled": 3, "picture not stored": 2}


def read_rows(root, made):
    return pq.read_table(root.storage.path(made.split("train")[0].key)).to_pylist()


def hash_of(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", samples.KINDS)
def test_what_a_sample_asks_stays_out_so_that_an_audit_is_blind(root, capsys, kind):
    names = root.answer(LAST, map(picture, range(40)))
    samples.write(root.storage, samples.draw(MODEL, LAST, kind, samples.Design("random-audit", "salt", p=0.4)))
    asked = {name for name in names if samples.is_asked("salt", name, 0.4)}
    assert 5 < len(asked) < 35
    assert set(names_of(run(root, capsys, "--items", "99"))) == set(names) - asked


def test_what_thresholds_leave_over_is_asked_by_a_sample_too(root, capsys):
    names = root.answer(LAST, map(picture, range(20)))
    samples.write(root.storage, samples.draw_rest(MODEL, LAST, samples.Design("below-thresholds", "salt", p=0.4), {}, "e1"))
    asked = {name for name in names if samples.is_asked("salt", name, 0.4)}
    assert asked and set(names_of(run(root, capsys, "--items", "99", "--dry-run"))) == set(names) - asked


def test_a_confidence_that_is_no_number_is_none_and_leaves_the_others_their_weights(root, capsys):
    root.answer(LAST, map(picture, range(20)))
    odd = root.answer(LAST, [picture(20)], 20, confidence=float("nan"), top_labels=None, top_probabilities=None)
    found = run(root, capsys, "--items", "99", "--no-embeddings")
    unsure = {item["prediction_id"]: item["margin"] for item in found["items"]}
    assert len(unsure) == 21 and unsure[odd[0]] == 0 and all(0 <= margin <= 1 for margin in unsure.values())


def test_near_copies_of_judged_pictures_and_of_each_other_stay_out(root, capsys):
    pixels = digits()[0][FIRST_DIGIT:FIRST_DIGIT + 8]
    copies = [np.clip(p.astype(int) + 1, 0, 255).astype(np.uint8) for p in pixels]
    near = [phash(decode(png(p))) for p in (*pixels, *copies)]
    assert all(bin((near[n] ^ near[n + 8]) & (2**64 - 1)).count("1") <= 2 for n in range(8))
    judged = root.answer(LAST, map(png, pixels[:3]))
    root.label(LAST, judged, ["1", "2", "3"])
    others = root.answer(LAST, map(png, (*copies[:3], *pixels[3:6], *copies[3:6])), 3)
    found = run(root, capsys, "--items", "99")
    assert found["left_out"] == {"labelled": 3, "nearly a picture that has a label": 3}
    assert len(found["items"]) == 3 and set(names_of(found)) <= set(others[3:])


@pytest.mark.parametrize("how", [[], ["--no-embeddings"]])
def test_pictures_that_look_like_labelled_ones_come_after_others(root, capsys, how):
    """Of two digits, each drawn 15 times, all equally unsure; 30 more of the one that came first are then labelled."""
    pixels, kinds = digits()
    of = {kind: [n for n in range(FIRST_DIGIT, len(kinds)) if kinds[n] == kind] for kind in "07"}
    kind_of = {hash_of(png(pixels[n])): kind for kind in of for n in of[kind][:15]}
    root.answer(LAST, [png(pixels[n]) for kind in of for n in of[kind][:15]], top_probabilities=[0.6, 0.4])
    first = kind_of[run(root, capsys, "--items", "1", "--dry-run", *how)["items"][0]["image_sha256"]]
    root.label(LAST, root.answer(LAST, [png(pixels[n]) for n in of[first][15:45]], 100), [first] * 30)
    assert kind_of[run(root, capsys, "--items", "1", "--dry-run", *how)["items"][0]["image_sha256"]] != first


def test_pictures_with_labels_stand_for_others_whichever_version_answered_and_those_of_the_dataset(root, capsys, monkeypatch):
    looked = []
    real = pick.look_at
    monkeypatch.setattr(pick, "look_at", lambda storage, named, *by: looked.append({sha for sha, _ in named}) or real(
        storage, named, *by))
    trained = bytes(read_rows(root, manifest.load(root.storage, "d1"))[0]["image"])
    root.answer(LAST, map(picture, range(5)))
    root.label(LAST, root.answer(LAST, [picture(5)], 5), ["1"])
    root.answer(LAST, [trained], 6)
    root.label(LAST, root.answer(LAST, [picture(7)], 7, model_version="0"), ["1"])
    root.answer(LAST, [picture(8)], 8, model_version="0")
    run(root, capsys, "--items", "2")
    assert looked[1] == {hash_of(trained), hash_of(picture(5)), hash_of(picture(7))}


def test_doubt_counts_once_the_version_learnt_from_a_picture_of_the_window(root, capsys, monkeypatch):
    weights = []
    real = pick.choose
    monkeypatch.setattr(pick, "choose", lambda look, weight, *more: weights.append(weight.tolist()) or real(look, weight, *more))
    root.answer(LAST, map(picture, range(3)), top_probabilities=[0.8, 0.2])
    run(root, capsys, "--dry-run")
    root.answer(LAST, [bytes(read_rows(root, manifest.load(root.storage, "d1"))[0]["image"])], 3, model_version="0")
    run(root, capsys, "--dry-run")
    assert weights == [[1] * 3, pytest.approx([0.4] * 3)]


def test_without_torch_pictures_are_told_apart_by_their_hashes_and_it_is_said(root, capsys, monkeypatch):
    root.answer(LAST, map(picture, range(20)))
    plain = run(root, capsys, "--items", "8", "--no-embeddings")
    monkeypatch.setattr("jobs.pictures.embed.find_spec", lambda name: None)
    found = run(root, capsys, "--items", "8")
    assert found["look"] == "perceptual hash" and "torch" in found["reason"] and len(found["items"]) == 8
    assert found["items"] == plain["items"]


def test_no_more_pictures_are_looked_at_than_asked_and_each_label_has_its_part(root, capsys, monkeypatch):
    looked = []
    real = pick.look_at
    monkeypatch.setattr(pick, "look_at", lambda storage, named, *by: looked.append(len(named)) or real(storage, named, *by))
    root.answer(LAST, map(picture, range(30)))
    rare = root.answer(LAST, [picture(30)], 30, predicted_label="9", top_labels=["9"], top_probabilities=[0.99])
    found = run(root, capsys, "--items", "8", "--pictures", "8")
    assert looked[0] == 8 == found["looked_at"] and found["candidates"] == 31
    assert rare[0] in names_of(found)


def test_pictures_that_are_gone_or_damaged_are_counted(root, capsys):
    root.answer(LAST, map(picture, range(6)))
    gone, damaged = hash_of(picture(0)), hash_of(picture(1))
    root.storage.delete(layout.image(gone, "png"))
    root.storage.put(layout.image(damaged, "png"), b"no picture")
    found = run(root, capsys, "--items", "9")
    assert len(found["items"]) == 4 and found["left_out"] == {"picture missing or damaged": 2}


def test_nothing_to_pick_is_said(root, capsys):
    names = root.answer(LAST, map(picture, range(3)))
    root.label(LAST, names, ["1", "2", "3"])
    assert command.main(["--root", root.root, "--model", MODEL]) == 0
    assert "nothing to pick" in capsys.readouterr().out


def test_labels_of_picks_move_no_audit_and_are_trained_on(root, capsys):
    """Half of a day is audited. The picks are answered as the page of reviews writes it: all wrong."""
    names = root.answer(YESTERDAY, map(picture, range(60)))
    samples.write(root.storage, samples.draw(MODEL, YESTERDAY, "audit", samples.Design("random-audit", "salt", p=0.5)))
    asked = [name for name in names if samples.is_asked("salt", name, 0.5)]
    root.label(YESTERDAY, asked, [str(n % 3) for n in range(len(asked))], "audit", selection_probability=0.5,
               strategy="random-audit")
    before = evaluate(root)
    found = run(root, capsys, "--items", "10")
    assert len(found["items"]) == 10
    root.label(YESTERDAY, names_of(found), ["9"] * 10, listed.ORIGIN, strategy="diverse", saw_prediction=True)
    after = evaluate(root)
    assert after["estimate"] == before["estimate"] and before["estimate"]["origin"] == "audit"
    assert after["by_origin"]["audit"] == before["by_origin"]["audit"] and after["labelled"] == before["labelled"] + 10
    taught = {row["prediction_id"]: row for row in find_dataset_rows(root)}
    assert {taught[name]["label"] for name in names_of(found)} == {"9"}
    assert {taught[name]["origin"] for name in names_of(found)} == {"feedback"}


def evaluate(root):
    request = Request(Question(MODEL, clock.now_us()), first=YESTERDAY, last=YESTERDAY)
    document, _, _ = count_window.make(open_root(root.root), request)
    return document["versions"]["1"]


def find_dataset_rows(root):
    days, _ = read_footers(root.storage, [list_day(root.storage, YESTERDAY)], IMAGE_COLUMNS, quarantine=True)
    labelled = list(find_labelled_here(root.storage, days[0], Question(MODEL, clock.now_us())))
    return dataset_plan.choose_candidates(labelled, [], DatasetSettings(), set())[0]
