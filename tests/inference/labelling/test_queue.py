"""Batches: nobody gets what somebody else holds, nobody judges twice, probabilities stay with the first opinion."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from contract import clock, jsonio, layout, samples
from contract.counts import UNNAMED
from contract.errors import NotFound, UsageError
from contract.storage import open_root
from inference.labelling.answers import parse_answers
from inference.labelling.documents import BatchHolder
from inference.labelling.queue import HOLD_MINUTES, SECOND_OPINION, Queue
from tests.inference.small_service import CLASSES, DAY, MODEL, ship

ADA, BOB, CY, DEE = (BatchHolder(actor=f"{n}-000001", labeler=n) for n in ("ada", "bob", "cy", "dee"))


@pytest.fixture
def storage(tmp_root):
    return open_root(tmp_root, create=True)


def queue(storage, kind="audit", **options):
    sample = samples.read(storage, MODEL, DAY, kind)
    if sample is None:
        sample = samples.draw(MODEL, DAY, kind, samples.Design("random-audit", "salt", p=options.pop("p", 1.0), **options))
        samples.write(storage, sample)
    return Queue(storage, sample)


def answer(q, holder, label="cat", size=100):
    n, batch = q.hand_out(holder, size)
    q.save_answers(n, {i.prediction_id: label for i in batch.items})
    return batch


def ids_of(batch):
    return [i.prediction_id for i in batch.items]


def test_what_is_handed_out_is_what_the_rule_draws(storage):
    ids = ship(storage, 40)
    q = queue(storage, p=0.4)
    _, batch = q.hand_out(ADA, 100)
    assert set(ids_of(batch)) == {i for i in ids if samples.is_asked("salt", i, 0.4)} and len(batch.items) > 5
    assert {i.p for i in batch.items} == {0.4} and batch.predicted is None


@pytest.mark.parametrize("replicas", [1, 2])
def test_people_at_once_never_get_the_same_items(storage, replicas):
    ship(storage, 60)
    queues = [queue(open_root(storage.root)) for _ in range(replicas)] * 6
    people = [BatchHolder(actor=f"key-{i:06x}", labeler=f"p{i}") for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        batches = list(pool.map(lambda q, h: q.hand_out(h, 10), queues, people))
    given = [i for _, b in batches for i in ids_of(b)]
    assert len(given) == len(set(given)) == 60 and len({n for n, _ in batches}) == 6


def test_an_expired_batch_comes_back_and_its_answers_do_not(storage, monkeypatch, tmp_path):
    ship(storage, 10)
    q = queue(storage)
    n, batch = q.hand_out(ADA, 10)
    q.save_answers(n, dict.fromkeys(ids_of(batch)[:4], "cat"))
    assert q.hand_out(BOB, 10) is None
    (tmp_path / "clock").write_text(str(60 * HOLD_MINUTES + 1))
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "clock"))
    assert set(ids_of(q.hand_out(BOB, 10)[1])) == set(ids_of(batch)[4:])


def test_one_goes_on_where_one_stopped(storage):
    ship(storage, 10)
    q = queue(storage)
    n, batch = q.hand_out(ADA, 5)
    q.save_answers(n, {ids_of(batch)[0]: "cat"})
    assert q.find_open_batch(ADA) == (n, batch) and q.find_open_batch(BOB) is None
    q.save_answers(n, dict.fromkeys(ids_of(batch), "cat"))
    assert q.find_open_batch(ADA) is None


def test_second_opinions_go_to_others_without_a_probability(storage):
    ids = ship(storage, 40)
    q = queue(storage, judges=3, second_share=0.5)
    chosen = {i for i in ids if samples.is_asked("second:salt", i, 0.5)}
    assert set(ids_of(answer(q, ADA))) == set(ids)
    assert q.hand_out(ADA, 100) is None  # nobody is asked twice
    second = answer(q, BOB)
    assert set(ids_of(second)) == chosen and {i.p for i in second.items} == {None}
    assert set(ids_of(answer(q, CY))) == chosen and q.hand_out(DEE, 100) is None


def test_a_split_gets_a_third_opinion_and_no_fourth(storage):
    ship(storage, 4)
    q = queue(storage, judges=2, second_share=1.0)
    answer(q, ADA, "cat"), answer(q, BOB, "dog")
    answer(q, CY, "eel")
    assert q.hand_out(DEE, 10) is None
    assert q.count_progress() == {"asked": 4, "answered": 4, "waiting": 0}


def test_who_cannot_tell_passes_the_item_on(storage):
    ship(storage, 4)
    q = queue(storage)
    answer(q, ADA, None)
    assert q.count_progress() == {"asked": 4, "answered": 0, "waiting": 4}
    assert q.hand_out(ADA, 10) is None
    assert {i.p for i in answer(q, BOB).items} == {1.0}  # the first opinion is the weighted one


def test_a_review_batch_has_one_predicted_label(storage):
    ship(storage, 40)
    n, batch = queue(storage, "review").hand_out(ADA, 25)
    assert batch.predicted in CLASSES and len(batch.items) == 10


def test_what_was_called_wrong_comes_back_first_for_its_class(storage):
    """Once to whoever called it wrong, with its probability: the answer replaces their own. To others without one."""
    ship(storage, 12)
    q = queue(storage, kind="review")
    _, first = q.hand_out(ADA, 3)
    q.save_answers(1, {i.prediction_id: UNNAMED for i in first.items})
    n, again = q.hand_out(ADA, 3)
    assert ids_of(again) == ids_of(first) and again.naming and {i.p for i in again.items} == {1.0}
    one, two, three = ids_of(again)
    q.save_answers(n, {one: CLASSES[0] if again.predicted != CLASSES[0] else CLASSES[1], two: UNNAMED, three: None})
    _, other = q.hand_out(BOB, 3)
    assert other.naming and ids_of(other) == [two] and other.items[0].p is None
    _, fresh = q.hand_out(ADA, 12)
    assert not fresh.naming and not set(ids_of(fresh)) & set(ids_of(first))


def test_a_class_that_is_named_ends_the_asking(storage):
    ship(storage, 3)
    q = queue(storage, kind="review")
    n, batch = q.hand_out(ADA, 100)
    q.save_answers(n, {i.prediction_id: UNNAMED for i in batch.items})
    n, batch = q.hand_out(BOB, 100)
    q.save_answers(n, {i.prediction_id: next(c for c in CLASSES if c != batch.predicted) for i in batch.items})
    named = {i for other in q.list_batches().values() for i in ids_of(other)}
    _, rest = q.hand_out(CY, 100)
    assert not rest.naming and not set(ids_of(rest)) & named


@pytest.mark.parametrize("answer", [{"label": "3", "wrong": True}, {"wrong": "yes"}])
def test_an_answer_says_one_thing(answer):
    with pytest.raises(UsageError, match="expected a label or wrong"):
        parse_answers([{"prediction_id": "x", **answer}])
    assert parse_answers([{"prediction_id": "x", "wrong": True}, {"prediction_id": "y"}]) == {"x": UNNAMED, "y": None}


def test_an_answer_sent_twice_is_written_once_and_a_correction_once_more(storage):
    ship(storage, 3)
    q = queue(storage)
    n, batch = q.hand_out(ADA, 3)
    first, second = ids_of(batch)[:2]
    [group] = q.group_judgements(n, {first: "cat", second: None})
    assert (group.p, group.strategy, group.judgements) == (1.0, "random-audit", [{"prediction_id": first, "label": "cat"}])
    q.save_answers(n, {first: "cat", second: None})
    assert q.group_judgements(n, {first: "cat", second: None}) == []
    assert q.group_judgements(n, {first: "dog"})[0].judgements[0]["label"] == "dog"


def test_a_second_opinion_is_named_as_one(storage):
    ship(storage, 2)
    q = queue(storage, judges=2, second_share=1.0)
    answer(q, ADA)
    n, batch = q.hand_out(BOB, 2)
    [group] = q.group_judgements(n, dict.fromkeys(ids_of(batch), "cat"))
    assert (group.p, group.strategy) == (None, SECOND_OPINION)


def test_foreign_items_and_batches_are_refused(storage):
    ship(storage, 2)
    q = queue(storage)
    n, _ = q.hand_out(ADA, 2)
    with pytest.raises(UsageError, match="does not hold the prediction 'x'"):
        q.group_judgements(n, {"x": "cat"})
    with pytest.raises(NotFound, match="audit batch 7 .* was never handed out"):
        q.find_batch(7)
    with pytest.raises(UsageError, match='expected "answers" as a list'):
        parse_answers({"a": "b"})


def test_erased_and_unstored_pictures_are_not_shown(storage):
    ship(storage, 3, images=False, writer="none")
    ship(storage, 4)
    q = queue(storage)
    erased = q.list_waiting()[0][0].image_sha256
    storage.create(layout.erasure(erased), jsonio.dumps({"schema": "1"}))
    _, batch = q.hand_out(ADA, 10)
    assert len(batch.items) == 3 and erased not in {i.image for i in batch.items}


def test_replicas_agree_through_the_bucket(s3_root):
    storage = open_root(s3_root, create=True)
    ship(storage, 12, images=False)
    ship(storage, 6, writer="v")
    assert len(queue(storage).list_waiting()) == 6
    one, two = queue(storage), queue(open_root(s3_root))
    first = answer(one, ADA, size=4)
    _, second = two.hand_out(BOB, 10)
    assert len(first.items) == 4 and len(second.items) == 2
    assert not set(ids_of(first)) & set(ids_of(second))
