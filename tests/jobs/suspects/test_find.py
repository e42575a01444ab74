"""What is found in datasets whose wrong labels are known, and by whose answers."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from contract import layout
from contract.documents.erasures import Erasure
from contract.documents.erasures import ask as erase
from contract.documents.manifest import read_index
from contract.errors import UsageError
from contract.registry import Registry
from contract.review.suspects import Suspects, read_newest
from contract.storage import open_root
from jobs.suspects import confident, make, trained
from jobs.suspects.answers import read_logged
from jobs.suspects.make import NO_JUDGE, WEAK_JUDGE, find_suspects
from jobs.suspects.trained import Trainings
from tests.jobs.suspects import planted
from tests.jobs.suspects.planted import (
    MODEL,
    answer,
    describe,
    log_answers,
    make_digits,
    noise_picture,
    publish,
    put_dataset,
)

CLASSES = ["cat", "dog", "eel"]
WRONG = {0: "dog", 7: "eel", 13: "cat", 40: "cat"}  # place -> the label that it was given


def make_rows(storage, n=90, wrong=WRONG, **more):
    """Rows of n pictures, picture k of CLASSES[k % 3] but for the wrong ones, and what each shows."""
    truth = [CLASSES[k % 3] for k in range(n)]
    rows = [describe(storage, noise_picture(k), wrong.get(k, truth[k]), **more) for k in range(n)]
    return rows, truth


def answers_of(truth):
    """What a version says that knows the truth: of wrongly labelled pictures it is sure, of others now and then less."""
    return [answer(label, CLASSES, 0.97 if k in WRONG else 0.8 + 0.001 * k) for k, label in enumerate(truth)]


@pytest.fixture
def storage(tmp_path):
    return open_root(str(tmp_path / "root"), create=True)


def shas(rows, places):
    return {rows[k]["image_sha256"] for k in places}


def test_planted_errors_are_found_with_what_the_pictures_show(storage):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert {one.image_sha256: one.likely for one in found.suspects} == {rows[k]["image_sha256"]: truth[k] for k in WRONG}
    assert {one.given for one in found.suspects} == set(WRONG.values())
    assert [one.score for one in found.suspects] == sorted(one.score for one in found.suspects)
    assert {one.judge for one in found.suspects} == {"version 1"} and found.judged == found.rows == 90
    assert found.judges[0].agree == 90 - len(WRONG) and not found.judges[0].unknown_training_set
    assert {one.split for one in found.suspects} <= {"train", "validation", "holdout"}
    assert read_newest(storage, MODEL) == found and found.suspects[0].why == f"version 1 says {found.suspects[0].likely!r}"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_no_answer_of_a_version_that_trained_on_the_picture_is_used(storage, monkeypatch, split):
    """Half of the pictures were learnt by version 1, with their wrong labels; version 2 descends from it and never saw them."""
    rows, truth = make_rows(storage)
    learnt = rows[:45]
    put_dataset(storage, "d1", [row | {"split": split} for row in learnt], CLASSES)
    put_dataset(storage, "d2", rows[45:60], CLASSES)  # held-out rows of it are not learnt
    publish(storage, CLASSES, "d1")
    publish(storage, CLASSES, "d2", parent="1")
    for version in ("1", "2"):
        log_answers(storage, rows, [answer(row["label"] if k < 45 else truth[k], CLASSES) for k, row in enumerate(rows)], version,
                    "live" if version == "1" else "shadow")
    registry = Registry(storage, MODEL)
    logged = read_logged(storage, MODEL, rows, Trainings(registry).find_all())
    held = {row["image_sha256"] for row in rows[45:60] if row["split"] == "holdout"}
    assert set(logged.answers) == shas(rows, range(45, 90))
    by_version = Counter(one.version for one in logged.answers.values())
    assert by_version == {"1": 15 - len(held), "2": 30 + len(held)}  # of several clean versions the newest
    # Without the rule they would be used: the assertion above can fail.
    monkeypatch.setattr(trained.Training, "is_clean", lambda *_: True)
    assert set(read_logged(storage, MODEL, rows, Trainings(registry).find_all()).answers) == shas(rows, range(90))


def test_what_a_version_learnt_is_judged_otherwise_and_its_wrong_labels_are_found(tmp_path):
    """Version 1 learnt every planted error and repeats it: nothing could be found by its answers."""
    digits = make_digits(str(tmp_path / "root"), "pixels", most=400)
    found = find_suspects(digits.storage, MODEL, digits.made)
    assert [(one.name, one.rows, one.used) for one in found.judges] == [("cross-fitted on pixels", 400, True)]
    hits = [one.image_sha256 in digits.wrong for one in found.suspects]
    assert len(digits.wrong) == 20 and sum(hits[:20]) >= 14 and sum(hits) >= 14


@pytest.mark.parametrize("judge", ["logged", pytest.param("embedding", marks=pytest.mark.slow("digits"))])
def test_planted_errors_of_all_digits_are_found(tmp_path, judge):
    digits = make_digits(str(tmp_path / "root"), judge)
    found = find_suspects(digits.storage, MODEL, digits.made)
    hits = [one.image_sha256 in digits.wrong for one in found.suspects]
    # Its answers name fewer of the labels than heads on what it sees.
    used = {one.name: one.rows for one in found.judges if one.used}
    assert used == {"cross-fitted on version 1": 899, "cross-fitted on pixels": 898}
    assert [one.name for one in found.judges if not one.used] == (["version 1"] if judge == "logged" else [])
    assert len(digits.wrong) == 90 and sum(hits[:50]) >= 0.8 * 50 and sum(hits) >= 0.7 * 90


def test_a_version_of_which_nobody_knows_the_training_set_judges_only_what_came_later(storage):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, None, created_at="2026-11-20T09:00:00.000000Z")
    early, late = rows[:30], rows[30:]
    log_answers(storage, early, [answer(label, CLASSES) for label in truth[:30]], at="2026-11-20T08:00:00Z")
    log_answers(storage, late, [answer(label, CLASSES) for label in truth[30:]], role="batch", at="2026-11-20T10:00:00Z")
    trainings = Trainings(Registry(storage, MODEL)).find_all()
    assert set(read_logged(storage, MODEL, rows, trainings).answers) == shas(rows, range(30, 90))
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert [(one.name, one.unknown_training_set) for one in found.judges if one.used] == [("version 1", True)]
    # A later answer to a picture that was there before does not make it a picture of later.
    log_answers(storage, early, [answer(label, CLASSES) for label in truth[:30]], role="replay", at="2026-11-20T11:00:00Z")
    assert set(read_logged(storage, MODEL, rows, trainings).answers) == shas(rows, range(30, 90))


def test_an_answer_to_another_picture_or_of_another_model_is_none(storage):
    rows, truth = make_rows(storage, 6, {})
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    other = [rows[0] | {"image_sha256": rows[1]["image_sha256"]}, *rows[2:]]
    log_answers(storage, other, [answer("cat", CLASSES)] * len(other))
    logged = read_logged(storage, MODEL, rows, Trainings(Registry(storage, MODEL)).find_all())
    assert set(logged.answers) == shas(rows, range(2, 6))


def test_a_class_that_the_version_does_not_know_is_not_called_wrong_by_it(storage):
    """A new class: the version can only name others, and would call every picture of it wrong."""
    rows, truth = make_rows(storage, wrong={})
    publish(storage, ["cat", "dog"], put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, [answer("cat" if label == "eel" else label, ["cat", "dog"]) for label in truth])
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert found.judges[0].name == "version 1" and found.judges[0].rows == 60
    assert not [one for one in found.suspects if one.judge == "version 1"]


def test_answers_that_agree_with_few_labels_are_not_used(storage):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, [answer("cat", CLASSES)] * 90)
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert [one.used for one in found.judges] == [False, False]  # nor can pixels tell noise from noise
    assert found.suspects == [] and found.judged == 0 and found.not_judged == {WEAK_JUDGE: 90}


def test_a_version_that_heads_on_other_pictures_beat_does_not_judge(tmp_path):
    """After a drift: sure of what it says, and wrong on three of ten classes, it would call their right labels wrong."""
    digits = make_digits(str(tmp_path / "root"), "pixels", most=400)
    rows = read_index(digits.storage, digits.made).to_pylist()
    classes = digits.made.classes
    publish(digits.storage, classes, put_dataset(digits.storage, "d0", [], classes).dataset, live=False)
    wrong = {"7": "8", "3": "9", "2": "1"}
    said = [wrong.get(digits.truth[row["image_sha256"]], digits.truth[row["image_sha256"]]) for row in rows]
    log_answers(digits.storage, rows, [answer(label, classes) for label in said], "2", "shadow")
    found = find_suspects(digits.storage, MODEL, digits.made)
    assert [(one.name, one.used) for one in found.judges] == [("version 2", False), ("cross-fitted on pixels", True)]
    assert 0.6 < found.judges[0].agree / 400 < found.judges[1].agree / 400 and found.judged == 400
    hits = [one.image_sha256 in digits.wrong for one in found.suspects]
    assert sum(hits[:20]) >= 14 and len(hits) < 40


def test_a_version_that_beats_heads_on_other_pictures_judges_alone(storage):
    """It agrees with fewer than 90% of the labels, but pixels cannot tell noise from noise at all."""
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    said = [CLASSES[(k + 1) % 3] if k % 6 == 5 else label for k, label in enumerate(truth)]
    log_answers(storage, rows, [answer(label, CLASSES) for label in said])
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert [(one.name, one.rows, one.used) for one in found.judges] == [("version 1", 90, True)]
    assert 0.6 < found.judges[0].agree / 90 < make.SURE_AGREEMENT


@pytest.mark.parametrize(("classes", "labels"), [(["cat"], ["cat"] * 12), (["cat", "dog"], ["cat"] * 12)])
def test_with_one_class_no_label_can_be_wrong(storage, classes, labels):
    rows = [describe(storage, noise_picture(k), label) for k, label in enumerate(labels)]
    publish(storage, classes, put_dataset(storage, "d0", [], classes).dataset)
    log_answers(storage, rows, [answer("cat", classes)] * 12)
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, classes))
    assert found.suspects == [] and found.judged == 12


def test_a_class_that_the_other_folds_lack_is_not_judged(tmp_path):
    """One picture of a class stands in one fold, so no head that judges it ever learnt the class."""
    digits = make_digits(str(tmp_path / "root"), "pixels", most=200)
    storage = digits.storage
    index = [row for row in read_index(storage, digits.made).to_pylist() if row["label"] != "7"]
    index[0] |= {"label": "7"}
    found = find_suspects(storage, MODEL, put_dataset(storage, "d3", index, digits.made.classes))
    assert found.not_judged == {NO_JUDGE: 1} and index[0]["image_sha256"] not in {one.image_sha256 for one in found.suspects}


def test_a_missing_and_an_erased_picture_stop_nothing(tmp_path):
    digits = make_digits(str(tmp_path / "digits"), "pixels", most=200)
    rows = read_index(digits.storage, digits.made).to_pylist()
    digits.storage.delete(rows[0]["image_uri"])
    digits.storage.put(rows[1]["image_uri"], b"no picture")
    erased = rows[2]["image_sha256"]
    erase(digits.storage, Erasure(image_sha256=erased, at=planted.MADE, by="test", asked=erased))
    found = find_suspects(digits.storage, MODEL, digits.made)
    assert (found.rows, found.judged, found.not_judged) == (199, 197, {NO_JUDGE: 2})
    assert not {row["image_sha256"] for row in rows[:3]} & {one.image_sha256 for one in found.suspects}


def test_nearly_equal_pictures_under_different_labels_are_suspects_both(storage):
    rows, truth = make_rows(storage, wrong={})
    pixels = np.kron(np.random.default_rng(5).integers(0, 255, (8, 8), dtype=np.uint8), np.ones((4, 4), np.uint8))
    brighter = np.asarray(Image.fromarray(pixels).point(lambda v: min(255, v + 1)))
    copy = describe(storage, planted.png(brighter), "cat")  # picture 5 is an eel
    same = describe(storage, planted.png(np.asarray(Image.fromarray(pixels).point(lambda v: max(0, v - 1)))), "eel")
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, [*rows, copy, same], [answer(label, CLASSES) for label in (*truth, "cat", "eel")])
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", [*rows, copy, same], CLASSES))
    pairs = {one.image_sha256: (one.near, one.near_label, one.likely) for one in found.suspects}
    original = rows[5]["image_sha256"]
    assert set(pairs) == {original, copy["image_sha256"], same["image_sha256"]}
    assert pairs[original] == (copy["image_sha256"], "cat", None) and pairs[copy["image_sha256"]][1:] == ("eel", None)
    assert "nearly the same picture" in found.suspects[0].why


def test_killed_and_repeated_it_writes_one_document(storage, monkeypatch):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    made = put_dataset(storage, "d1", rows, CLASSES)
    with monkeypatch.context() as killed:
        killed.setattr(make.NumberedDocuments, "append", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            find_suspects(storage, MODEL, made)
    assert read_newest(storage, MODEL) is None
    first = find_suspects(storage, MODEL, made)
    assert find_suspects(storage, MODEL, made) == first
    assert [entry.key for entry in storage.list(layout.samples(MODEL))] == [layout.suspects(MODEL).format(1)]


def test_of_two_at_once_the_later_one_takes_over_what_the_first_found(storage, monkeypatch):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    one, other = put_dataset(storage, "d1", rows[:45], CLASSES), put_dataset(storage, "d2", rows[45:], CLASSES)
    real, meanwhile = make.NumberedDocuments.append, []

    def append(self, document, after):
        if not meanwhile:
            meanwhile.append(True)
            find_suspects(storage, MODEL, other)
        return real(self, document, after)

    monkeypatch.setattr(make.NumberedDocuments, "append", append)
    find_suspects(storage, MODEL, one)
    assert {s.image_sha256 for s in read_newest(storage, MODEL).suspects} == shas(rows, WRONG)
    assert len(list(storage.list(layout.samples(MODEL)))) == 2


def test_a_suspicion_is_kept_of_a_picture_that_a_later_dataset_lacks_and_ends_with_its_label(storage):
    rows, truth = make_rows(storage)
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    first = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    corrected = rows[7] | {"label": truth[7]}
    later = [row for k, row in enumerate(rows) if k not in (0, 7)] + [corrected]
    found = find_suspects(storage, MODEL, put_dataset(storage, "d2", later, CLASSES))
    assert {one.image_sha256 for one in found.suspects} == shas(rows, (0, 13, 40))
    by_sha = {one.image_sha256: one for one in found.suspects}
    assert by_sha[rows[0]["image_sha256"]].dataset == "d1" and by_sha[rows[13]["image_sha256"]].dataset == "d2"
    assert {one.since for one in found.suspects} == {one.since for one in first.suspects}


def test_without_cleanlab_it_says_what_to_install(storage, monkeypatch):
    rows, _ = make_rows(storage, 6, {})
    made = put_dataset(storage, "d1", rows, CLASSES)
    monkeypatch.setattr(confident, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'trueup\[suspects\]'"):
        find_suspects(storage, MODEL, made)


def test_the_document_reads_back(storage):
    rows, truth = make_rows(storage, 30, {0: "dog"})
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    found = find_suspects(storage, MODEL, put_dataset(storage, "d1", rows, CLASSES))
    assert Suspects.parse(found.to_dict(), "here") == found


def test_an_answer_without_probabilities_says_nothing_of_a_label(storage):
    rows, truth = make_rows(storage, 12, {})
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    publish(storage, CLASSES, "d0")
    log_answers(storage, rows, answers_of(truth))
    log_answers(storage, rows, [answer(label, CLASSES, float("nan")) for label in truth], version="2", role="shadow")
    found = read_logged(storage, MODEL, rows, Trainings(Registry(storage, MODEL)).find_all())
    assert {one.version for one in found.answers.values()} == {"1"} and len(found.answers) == 12
