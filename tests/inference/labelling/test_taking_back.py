"""What was said can be taken back, skipped, changed and sent twice: what is counted, who is asked again, in what order."""

from datetime import timedelta

import pytest

from contract import clock, ids
from contract.counts import UNNAMED
from contract.errors import UsageError
from contract.storage import open_root
from inference.auth import NoAuth
from inference.labelling.answers import order_classes, parse_said
from inference.labelling.history import count_days, recall_answers
from inference.labelling.holding import list_held, release_settled
from inference.labelling.judgements import make_label_row
from inference.labelling.queue import HOLD_MINUTES
from tests.inference.labelling.test_queue import ADA, BOB, ids_of, queue
from tests.inference.small_service import DAY, MODEL, ship


@pytest.fixture
def storage(tmp_root):
    made = open_root(tmp_root, create=True)
    ship(made, 6)
    return made


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Moves the clock on by so many minutes."""
    (tmp_path / "clock").write_text("0")
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "clock"))
    return lambda minutes: (tmp_path / "clock").write_text(str(60 * minutes))


def test_an_answer_that_is_taken_back_is_a_withdrawal_and_asked_again(storage):
    q = queue(storage)
    n, batch = q.hand_out(ADA, 3)
    one, two, three = ids_of(batch)
    for i, label in ((one, "cat"), (two, None), (three, "dog")):
        q.save_answers(n, {i: label})
    assert q.find_last_answer(ADA) == (n, three) and q.find_last_answer(BOB) is None
    [group] = q.group_judgements(n, {}, [three, two])  # nothing was written of what one could not tell
    assert group.judgements == [{"prediction_id": three, "label": None, "withdraws": True}]
    assert (group.p, group.strategy, group.origin) == (1.0, "random-audit", "audit")
    q.save_answers(n, {}, [three])
    assert q.find_answers(n) == {one: "cat", two: None} and q.find_last_answer(ADA) == (n, two)
    assert q.find_open_batch(ADA)[0] == n and q.group_judgements(n, {}, [three]) == []  # twice is once
    assert recall_answers(q.list_answers(), n)[three] == "dog"
    assert q.group_judgements(n, {three: "dog"})[0].p == 1.0  # and said again it is the first opinion


def test_what_was_a_class_and_is_none_any_more_is_withdrawn(storage):
    q = queue(storage)
    n, batch = q.hand_out(ADA, 1)
    q.save_answers(n, {ids_of(batch)[0]: "cat"})
    [group] = q.group_judgements(n, {ids_of(batch)[0]: None})
    assert group.judgements[0]["withdraws"] is True


@pytest.mark.parametrize("skips", [True, False])
def test_what_was_skipped_comes_back_to_the_same_person_but_not_at_once(storage, later, skips):
    """Neither is a response: no label, not counted as answered, and others are asked."""
    q = queue(storage)
    n, batch = q.hand_out(ADA, 6)
    said = parse_said([{"prediction_id": i, "label": None, "skips": skips} for i in ids_of(batch)])
    assert q.group_judgements(n, said.labels) == []
    q.save_answers(n, said.labels, said.withdrawn, said.skipped)
    assert q.count_progress() == {"asked": 6, "answered": 0, "waiting": 6} and q.hand_out(ADA, 6) is None
    later(HOLD_MINUTES + 1)
    again = q.hand_out(ADA, 6)
    assert set(ids_of(again[1]) if again else []) == (set(ids_of(batch)) if skips else set())
    if again:
        assert {i.p for i in again[1].items} == {1.0}
        q.save_answers(again[0], dict.fromkeys(ids_of(again[1]), "cat"))
        later(3 * HOLD_MINUTES)
        assert q.hand_out(ADA, 6) is None


def test_the_days_of_a_person_count_each_prediction_once(storage):
    q = queue(storage)
    n, batch = q.hand_out(ADA, 3)
    one, two, three = ids_of(batch)
    q.save_answers(n, {one: "cat", two: None, three: "cat"})
    q.save_answers(n, {one: "dog"}, [three])
    today = clock.iso(clock.now())[:10]
    assert count_days(q.list_answers(), ADA) == {(today, True): 1, (today, False): 1}
    assert count_days(q.list_answers(), BOB) == {}


def test_whoever_changes_wrong_to_right_is_not_asked_for_the_class(storage):
    q = queue(storage, kind="review")
    n, batch = q.hand_out(ADA, 3)
    q.save_answers(n, dict.fromkeys(ids_of(batch), UNNAMED))
    m, naming = q.hand_out(ADA, 3)
    assert naming.naming and release_settled(q, ADA) == []
    q.save_answers(n, {ids_of(batch)[0]: batch.predicted})
    assert release_settled(q, ADA) == [m]
    _, rest = q.hand_out(ADA, 3)  # the others wait for their class still
    assert rest.naming and set(ids_of(rest)) == set(ids_of(batch)[1:])


def test_a_held_batch_is_found_from_the_bucket_alone(storage, later):
    queue(storage).hand_out(ADA, 2)
    other = open_root(storage.root)
    assert list(list_held(other, [MODEL, "another"], ADA)) == [(MODEL, DAY, "audit", "live")]
    assert list(list_held(other, [MODEL], BOB)) == []
    later(HOLD_MINUTES + 1)
    assert list(list_held(other, [MODEL], ADA)) == []


def test_the_confidence_bin_travels_with_the_item(storage):
    assert {i.bin for i in queue(storage, kind="review").hand_out(ADA, 3)[1].items} == {17}  # 0.87


def test_classes_stand_in_one_order_for_a_person_and_batch():
    names = list("0123456789")
    first = order_classes(names, ADA, "m/d/audit/1")
    assert sorted(first) == names and first == order_classes(reversed(names), ADA, "m/d/audit/1")
    assert len({tuple(order_classes(names, who, b)) for who in (ADA, BOB) for b in ("1", "2")}) == 4


@pytest.mark.parametrize("answer, message", [
    ({"withdraws": True, "label": "cat"}, "withdraws: true without a label"), ({"withdraws": 1}, "withdraws: true"),
    ({"skips": True, "wrong": True}, "skips: true without a label"), ({"label": "cat", "label_id": "7"}, "UUIDv7 as label_id"),
    ({"label": "cat", "label_id": 7}, "UUIDv7 as label_id")])
def test_an_answer_says_one_thing(answer, message):
    with pytest.raises(UsageError, match=message):
        parse_said([{"prediction_id": "x"} | answer])


def test_answers_are_parsed_with_their_ids():
    own = ids.uuid7()
    said = parse_said([{"prediction_id": "a", "label": " cat ", "label_id": own.upper()},
                       {"prediction_id": "b", "withdraws": True}, {"prediction_id": "c", "skips": True},
                       {"prediction_id": "d", "wrong": True}])
    assert said == ({"a": "cat", "c": None, "d": UNNAMED}, {"b"}, {"c"}, {"a": own})


@pytest.mark.parametrize("origin", ["audit", None])
def test_only_a_page_brings_its_own_label_id(origin):
    """A row of the real service: an API's caller could otherwise hide a later row behind an earlier id."""
    own, of = ids.uuid7(), ids.uuid7()
    row = make_label_row({"prediction_id": of, "label": None, "withdraws": True, "label_id": own}, "label 1",
                         caller=NoAuth.everyone, now=clock.now(), oldest=timedelta(days=1), origin=origin,
                         labeler_default="ada", saw_prediction=False)
    assert (row["label_id"] == own) is (origin == "audit")
    assert (row["label"], row["withdraws"], row["labeler"], row["prediction_id"]) == (None, True, "ada", of)
