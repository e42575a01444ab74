"""Suspects go to people and come back: what ends a suspicion, who is asked, and what a dataset makes of it."""

import json

import pytest

from command.load_settings import load
from contract import clock, ids, layout
from contract.errors import DONE, USAGE
from contract.records import LABEL
from contract.review import listed
from contract.review.send_suspects import send
from contract.review.suspects import Said, Suspects, list_open, read_newest, read_said
from contract.sequence import NumberedDocuments
from contract.settings import DatasetSettings
from contract.storage import open_root
from jobs.datasets.doubted import REASON, ask_about, find_doubted, leave_out_doubted
from jobs.datasets.plan import Plan, make_dataset_id
from jobs.suspects import command
from jobs.suspects.make import find_suspects
from tests.jobs.suspects.planted import DAY, MODEL, describe, log_answers, noise_picture, publish, put_dataset
from tests.jobs.suspects.test_find import CLASSES, WRONG, answers_of, make_rows
from tests.pipeline.roots import put_rows

TRUSTED = ("audit", "import")
FOUND_AT = clock.parse_moment("2026-11-22T08:00:00Z")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root whose suspects were found; now it is some minutes later."""
    monkeypatch.setattr(clock, "now", lambda: FOUND_AT)
    storage = open_root(str(tmp_path / "root"), create=True)
    rows, truth = make_rows(storage)
    storage_rows = [row | ({"split": "holdout"} if k == 13 else {"split": "train"} if k in WRONG else {})
                    for k, row in enumerate(rows)]
    publish(storage, CLASSES, put_dataset(storage, "d0", [], CLASSES).dataset)
    log_answers(storage, rows, answers_of(truth))
    made = put_dataset(storage, "d1", storage_rows, CLASSES)
    found = find_suspects(storage, MODEL, made)
    monkeypatch.setattr(clock, "now", lambda: clock.parse_moment("2026-11-22T09:00:00Z"))
    return storage, storage_rows, made, found


def say(storage, row, label, labeler="ann", at="2026-11-22T08:30:00Z", strategy=None, origin="import", **more):
    moment = clock.parse_moment(at)
    made = {"label_id": ids.uuid7(moment), "prediction_id": row["prediction_id"], "label": label, "labeler": labeler,
            "labeled_at": moment, "origin": origin, "strategy": strategy, "saw_prediction": False, **more}
    put_rows(storage, LABEL, layout.LABELS, [made], DAY, made["label_id"])


def read(storage, found, **more):
    return read_said(storage, found.suspects, TRUSTED, **more)


def pair(row):
    return row["image_sha256"], row["label"]


@pytest.mark.parametrize(("origin", "strategy", "at", "ends"), [
    ("import", None, "2026-11-22T08:30:00Z", True),
    ("audit", "random-audit", "2026-11-22T08:30:00Z", True),
    ("import", None, "2026-11-21T08:30:00Z", False),  # it was known when the label was doubted
    (None, None, "2026-11-22T08:30:00Z", True),  # null counts as import
    ("review", "uncertain-first", "2026-11-22T08:30:00Z", False),  # not trusted
    ("feedback", None, "2026-11-22T08:30:00Z", False),
    ("feedback", "suspects", "2026-11-22T08:30:00Z", True),  # the suspicion asked for it
    ("feedback", "suspects", "2026-11-21T08:30:00Z", True)])  # an earlier one of the same label did
def test_a_newer_trusted_label_equal_to_the_given_one_ends_the_suspicion(root, origin, strategy, at, ends):
    storage, rows, _, found = root
    say(storage, rows[7], rows[7]["label"], at=at, strategy=strategy, origin=origin)
    still = {one.pair for one in list_open(found.suspects, read(storage, found))}
    assert (pair(rows[7]) not in still) == ends and len(still) == len(WRONG) - ends


def test_another_label_confirms_the_suspicion_and_the_newest_word_of_a_person_counts(root):
    storage, rows, _, found = root
    row = rows[7]
    say(storage, row, row["label"], "ann", "2026-11-22T08:30:00Z", "suspects", "feedback")
    say(storage, row, "dog", "ben", "2026-11-22T08:31:00Z", "suspects", "feedback")
    assert read(storage, found)[pair(row)] == Said(1, ("dog",)) and pair(row) in {one.pair for one in list_open(
        found.suspects, read(storage, found))}  # people differ: nobody confirmed
    say(storage, row, row["label"], "ben", "2026-11-22T08:32:00Z", "suspects", "feedback")
    assert read(storage, found)[pair(row)] == Said(2, ()) and read(storage, found)[pair(row)].confirms
    say(storage, row, row["label"], "ben", "2026-11-22T08:33:00Z", "suspects", "feedback", withdraws=True)
    assert read(storage, found)[pair(row)] == Said(1, ())
    say(storage, row, None, "ann", "2026-11-22T08:34:00Z", "suspects", "feedback", withdraws=True)
    assert pair(row) not in read(storage, found)


def test_what_was_said_later_than_a_moment_is_not_known_then(root):
    storage, rows, _, found = root
    say(storage, rows[7], rows[7]["label"])
    assert read(storage, found, as_of="2026-11-22T08:29:00Z") == {} and len(read(storage, found)) == 1
    assert read_newest(storage, MODEL, "2026-11-22T07:00:00.000000Z") is None


def test_what_is_not_recorded_yet_is_not_known_so_that_a_moment_stays_as_it_was(root):
    storage, rows, _, found = root
    say(storage, rows[7], rows[7]["label"], recorded_at=clock.parse_moment("2026-11-22T08:45:00Z"))
    assert read_said(storage, found.suspects, TRUSTED, "2026-11-22T08:40:00.000000Z") == {}
    assert len(read_said(storage, found.suspects, TRUSTED, "2026-11-22T08:45:00.000000Z")) == 1


@pytest.mark.parametrize("saw", [True, None])
def test_an_audit_that_saw_the_answer_is_a_review(root, saw):
    storage, rows, _, found = root
    say(storage, rows[7], rows[7]["label"], origin="audit", saw_prediction=saw)
    assert read(storage, found) == {}
    assert len(read_said(storage, found.suspects, (*TRUSTED, "review"))) == 1


def test_an_audit_that_names_no_class_is_a_review(root):
    storage, rows, _, found = root
    say(storage, rows[7], "≠", origin="audit")
    assert read(storage, found) == {}
    assert read_said(storage, found.suspects, (*TRUSTED, "review")) == {pair(rows[7]): Said(0, ("≠",))}


def test_an_origin_of_somebody_else_is_feedback(root):
    storage, rows, _, found = root
    say(storage, rows[7], rows[7]["label"], origin="customer")
    assert read(storage, found) == {}
    assert read_said(storage, found.suspects, ("feedback",)) == {pair(rows[7]): Said(1, ())}


def test_an_erased_picture_leaves_the_list(root):
    storage, rows, _, found = root
    other = put_dataset(storage, "d2", [row for k, row in enumerate(rows) if k not in WRONG], CLASSES)
    storage.create(layout.erasure(rows[7]["image_sha256"]), b"{}")
    kept = {one.image_sha256 for one in find_suspects(storage, MODEL, other).suspects}
    assert kept >= {rows[k]["image_sha256"] for k in WRONG if k != 7} and rows[7]["image_sha256"] not in kept
    assert len(found.suspects) == len(WRONG)


def test_a_confirmed_label_stays_so_when_it_is_found_again(root):
    storage, rows, made, found = root
    say(storage, rows[7], rows[7]["label"])
    again = find_suspects(storage, MODEL, made)
    assert {one.since for one in again.suspects} == {one.since for one in found.suspects}
    assert pair(rows[7]) not in {one.pair for one in list_open(again.suspects, read(storage, again))}


def test_suspects_are_sent_blind_once_and_those_that_nobody_can_be_asked_about_are_named(root):
    storage, rows, _, found = root
    gone = next(one for one in found.suspects if one.image_sha256 == rows[40]["image_sha256"])
    storage.delete(rows[40]["image_uri"])
    imported = gone.model_copy(update={"prediction_id": None, "image_sha256": "a" * 64})
    asked = [*found.suspects, imported, gone.model_copy(update={"day": "2025-01-01"})]
    sent = send(storage, MODEL, asked, 400, "test")
    assert (sent.new, sent.before) == (3, 0) and sorted(sent.left_out.values()) == [1, 1, 1]
    there = listed.read(storage, MODEL, DAY, blind=True)
    assert set(there) == {rows[k]["prediction_id"] for k in (0, 7, 13)} and {s for s, _ in there.values()} == {"suspects"}
    assert there[rows[13]["prediction_id"]][1].predicted == CLASSES[13 % 3]
    assert listed.read(storage, MODEL, DAY) == {}
    again = send(storage, MODEL, asked, 400, "test")
    assert (again.new, again.before) == (0, 3)


# -- datasets -----------------------------------------------------------------------------------------------------------


def settings(storage, how):
    return load(root=storage.root, model=MODEL, overrides=[f"dataset.suspects={how}"])


def test_drop_leaves_unconfirmed_rows_out_of_train_and_never_out_of_the_holdout(root):
    storage, rows, _, _ = root
    say(storage, rows[0], rows[0]["label"])
    say(storage, rows[7], "dog", strategy="suspects", origin="feedback")
    doubted = find_doubted(storage, settings(storage, "drop"), clock.now())
    kept, gone = leave_out_doubted(rows, [], doubted)
    left_out = {row["image_sha256"] for row in rows} - {row["image_sha256"] for row in kept}
    assert left_out == {rows[k]["image_sha256"] for k in (7, 40)}
    assert {entry["reason"] for entry in gone} == {REASON} and "people said dog" in " ".join(entry["detail"] for entry in gone)
    assert find_doubted(storage, settings(storage, "keep"), clock.now()) == {}
    assert find_doubted(storage, settings(storage, "review"), clock.now()) == {}
    before = clock.parse_moment("2026-11-22T07:00:00Z")
    assert find_doubted(storage, settings(storage, "drop"), before) == {}, "what was not found then changes no dataset of then"


def test_a_corrected_label_is_kept(root):
    storage, rows, _, _ = root
    doubted = find_doubted(storage, settings(storage, "drop"), clock.now())
    corrected = [row | {"label": CLASSES[7 % 3]} if k == 7 else row for k, row in enumerate(rows)]
    kept, _ = leave_out_doubted(corrected, [], doubted)
    assert rows[7]["image_sha256"] in {row["image_sha256"] for row in kept}


def test_the_setting_alone_changes_no_dataset(root):
    _, rows, _, _ = root
    plan = Plan(CLASSES, rows)
    assert len({make_dataset_id(plan, MODEL, None, DatasetSettings(suspects=how)) for how in ("keep", "drop", "review")}) == 1
    assert make_dataset_id(Plan(CLASSES, rows[1:]), MODEL, None, DatasetSettings(suspects="drop")) != make_dataset_id(
        plan, MODEL, None, DatasetSettings())


def test_the_id_of_a_dataset_of_an_earlier_release_stays():
    """Computed by the release before `dataset.suspects` was a setting, of the same row."""
    row = {name: None for name in ("image_sha256", "label", "label_index", "origin", "votes", "agreeing",
                                   "selection_probability", "prediction_id", "day")} | {"split": "train", "file": 0}
    assert make_dataset_id(Plan(["cat"], [row]), MODEL, None, DatasetSettings()) == "bcae3442077aa367"


def test_review_asks_about_the_rows_of_the_dataset_and_keeps_them(root):
    storage, rows, _, found = root
    say(storage, rows[0], rows[0]["label"])
    made = put_dataset(storage, "d2", rows[:20], CLASSES)
    ask_about(storage, settings(storage, "review"), made, clock.now())
    ask_about(storage, settings(storage, "review"), made, clock.now())
    assert set(listed.read(storage, MODEL, DAY, blind=True)) == {rows[k]["prediction_id"] for k in (7, 13)}
    assert len(list(storage.list(layout.picked_folder(MODEL, DAY, "listed")))) == 1


# -- the command --------------------------------------------------------------------------------------------------------


def test_the_command_lists_sends_and_says_what_people_said(root, capsys):
    storage, rows, _, _ = root
    say(storage, rows[0], rows[0]["label"])
    say(storage, rows[40], CLASSES[40 % 3], strategy="suspects", origin="feedback")
    assert command.main(["--root", storage.root, "--model", MODEL, "--dataset", "d1", "--send", "10", "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert [one["rank"] for one in document["suspects"]] == [1, 2, 3, 4] and document["open"] == 3
    states = {one["image_sha256"]: one["state"] for one in document["suspects"]}
    assert states == {rows[0]["image_sha256"]: "confirmed", rows[7]["image_sha256"]: "open",
                      rows[13]["image_sha256"]: "open", rows[40]["image_sha256"]: f"people said {CLASSES[40 % 3]}"}
    assert document["sent"] == {"new": 2, "before": 0, "left_out": {}}
    Suspects.parse(document, "here")
    assert command.main(["--root", storage.root, "--model", MODEL, "--dataset", "d1"]) == DONE
    said = capsys.readouterr().out
    assert "4 suspects, 3 open; 90 of 90 labels judged" in said and rows[7]["image_sha256"][:12] in said
    assert NumberedDocuments(storage, layout.suspects(MODEL)).newest_number() == 1, "the same was found again: no new document"


def test_without_a_dataset_it_is_that_of_the_live_version(root, capsys):
    storage, rows, _, _ = root
    publish(storage, CLASSES, "d1", parent="1")
    assert command.main(["--root", storage.root, "--model", MODEL, "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["dataset"] == "d1" and len(document["suspects"]) == len(WRONG)
    assert [one["name"] for one in document["judges"]] == ["version 1"], "version 2 was trained on it"


def test_a_version_without_a_dataset_is_a_wrong_usage(tmp_path, capsys):
    storage = open_root(str(tmp_path / "root"), create=True)
    publish(storage, CLASSES)
    assert command.main(["--root", storage.root, "--model", MODEL]) == USAGE
    assert "Name one with --dataset" in capsys.readouterr().err


def test_pictures_of_an_imported_folder_are_listed_too(root):
    storage, rows, _, _ = root
    more = [describe(storage, noise_picture(500 + k), CLASSES[k % 3], predicted=False) for k in range(9)]
    found = find_suspects(storage, MODEL, put_dataset(storage, "d3", [*rows, *more], CLASSES))
    assert found.rows == 99 and found.judged == 90 and sum(found.not_judged.values()) == 9
