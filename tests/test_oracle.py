"""A few counts worked out by hand from docs/design.md#the-rules-of-counting, so that the oracle itself is not taken on trust."""

import math
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.records import LABEL, PREDICTION
from jobs.engines.question import Question
from tests import generate, oracle
from tests.engines import counted as counted_by
from tests.engines import differences, embedded, spark_here

DAY, START = "2026-11-20", 1_795_132_800_000_000
MINUTE = 60_000_000
WRONG = "\u2260"


def rows(root, table, *made):
    folder = root / table / f"dt={DAY}"
    folder.mkdir(parents=True)
    record = {"predictions": PREDICTION, "labels": LABEL}[table]
    pq.write_table(pa.Table.from_pylist(list(made), record.arrow()), folder / "a.parquet")


def prediction(prediction_id="p", minute=0, **more):
    return {"prediction_id": prediction_id, "predicted_at": START + minute * MINUTE, "model": "m", "model_version": "1",
            "predicted_label": "cat", "confidence": 0.5, "role": None, "top_labels": None, "client": None} | more


def label(label_, labeler, minute, prediction_id="p", **more):
    return {"prediction_id": prediction_id, "label": label_, "labeler": labeler, "labeled_at": START + minute * MINUTE,
            "origin": "import", "saw_prediction": None, "shown_label": None, "withdraws": None,
            "label_id": None, "selection_probability": None} | more


def counted(root, predictions, labels, **options):
    rows(root, "predictions", *predictions)
    if labels:
        rows(root, "labels", *labels)
    return count_again(root, **options)


def count_again(root, **options):
    """Counts by the oracle, and by the engines that need no process of their own: they say the same of these logs, too."""
    found = oracle.count(root, DAY, "m", START + oracle.DAY_US, **options)
    roles = {word.lower(): role.lower() for word, role in (options.get("roles") or {}).items()}
    question = Question("m", START + oracle.DAY_US, options.get("role", "live").lower(),
                        labeler_weights=options.get("weights") or {}, roles=roles)
    for engine in (embedded(), spark_here):
        if not options.get("slices"):
            (got,) = counted_by(engine, root, [DAY], question)
            assert differences(got, found) == []
    return found, {name: n for name, n in found["rows"].items() if n}


def find_decision(found):
    """Label, origin, saw_prediction, rank and split of the only cell."""
    ((key, _),) = found["cells"].items()
    return key[3:]


def test_a_tie_goes_to_the_newest_vote_and_an_audit_outranks_feedback(tmp_path):
    votes = [label("cat", "ann", 1), label("dog", "bob", 2), label("cat", "cyd", 3, origin="feedback")]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert found["cells"] == {("1", "cat", 10, "dog", "import", None, None, True): (1, 2**29, 0, 0, 0, 0)}
    assert counts == {"predictions": 1, "labels": 3, "vote": 3}
    assert found["people"] == {("ann",): (1, 0, 2, 1), ("bob",): (1, 1, 2, 0), ("cyd",): (1, 0, 2, 1)}
    assert found["coincidences"] == {("cat", "dog", 2): (1,), ("dog", "cat", 2): (1,)}
    assert found["delays"] == {(0, "import"): (2,), (0, "feedback"): (1,)}


def test_a_person_who_changes_and_withdraws(tmp_path):
    votes = [label("cat", "ann", 1), label("dog", "ann", 2), label(None, "ann", 3, withdraws=True),
             label("cat", "bob", 4, prediction_id="nobody"), label("cat", None, 10_000)]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert counts == {"predictions": 1, "labels": 5, "superseded": 2, "withdrawn": 1, "orphan": 1, "future": 1}
    assert list(found["cells"]) == [("1", "cat", 10, None, None, None, None, None)]
    assert (found["known_through"], found["next_future"]) == (START + 4 * MINUTE, START + 10_000 * MINUTE)


def test_an_audit_that_saw_the_answer_is_a_review_and_the_earliest_vote_weighs(tmp_path):
    votes = [label("cat", "ann", 2, origin="audit", saw_prediction=True, selection_probability=0.5),
             label("cat", "bob", 1, origin="audit", saw_prediction=None, selection_probability=0.25)]
    found, _ = counted(tmp_path, [prediction(confidence=math.nextafter(0.15, 0))], votes)
    ((key, value),) = found["cells"].items()
    assert key == ("1", "cat", 2, "cat", "review", True, None, False)
    assert value[2:] == (1, 2**18, 2**36, 2**18 * 161_061_273)


@pytest.mark.parametrize("confidence, place", [(1.0, 19), (0.0, 0), (0.15, 3), (math.nan, None), (1.01, None)])
def test_bins(confidence, place):
    assert oracle.confidence_bin(confidence) == place


def test_repeated_predictions_and_other_models(tmp_path):
    made = [prediction(minute=1), prediction(minute=0, model="other"), prediction("q"), prediction("q"),
            prediction("s", role="shadow"), prediction("")]
    found, counts = counted(tmp_path, made, [label("dog", "ann", 5), label("dog", "ann", 5, "s")])
    assert counts == {"predictions": 4, "invalid_predictions": 1, "duplicate_predictions": 2, "labels": 1,
                      "other_model": 1, "orphan": 1}
    assert sum(v[0] for v in found["cells"].values()) == 1


# Rule 4a: "≠" says wrong and does not name the class. The predicted label is cat; (label, minute) by ann, bob, cyd, dan, eve.
@pytest.mark.parametrize("said, label_, split", [
    ([(WRONG, 1)], WRONG, False),
    ([(WRONG, 1), (WRONG, 2), (WRONG, 3)], WRONG, False),
    # it counts for the leading named label other than the predicted one, and split looks at what it counts for
    ([(WRONG, 2), ("dog", 1)], "dog", False),
    # none is named but the predicted one: it stands for itself; 1 to 1, and the newest wins
    ([(WRONG, 1), ("cat", 2)], "cat", True),
    ([(WRONG, 2), ("cat", 1)], WRONG, True),
    ([(WRONG, 2), ("cat", 2)], "cat", True),
    ([(WRONG, 1), (WRONG, 2), ("cat", 3)], WRONG, True),
    ([(WRONG, 3), ("cat", 1), ("cat", 2)], "cat", True),
    # dog 2 to cat 2: a vote brings its moment with it
    ([("cat", 2), ("cat", 3), ("dog", 1), (WRONG, 4)], "dog", True),
    ([("cat", 2), ("cat", 4), ("dog", 1), (WRONG, 3)], "cat", True),
    ([("cat", 1), ("cat", 2), ("cat", 3), ("dog", 4), (WRONG, 5)], "cat", True),
    # leading by number, by the newest vote, by bytes; `≠` itself is not yet among them
    ([("dog", 1), ("dog", 2), ("bird", 3), (WRONG, 4)], "dog", True),
    ([("dog", 1), ("bird", 2), (WRONG, 0)], "bird", True),
    ([("dog", 1), ("bird", 1), (WRONG, 2)], "bird", True),
    # bird and dog have one each, bird is newer; the two `≠` make it 3 to 1 and do not first help dog
    ([("dog", 1), (WRONG, 0), ("bird", 2), (WRONG, 9)], "bird", True),
    # what only looks like `≠` names a class
    ([("=\u0338", 1), (WRONG, 2)], "=\u0338", False),
])
def test_wrong_counts_for_the_leading_other_label(tmp_path, said, label_, split):
    votes = [label(what, who, minute) for (what, minute), who in zip(said, ("ann", "bob", "cyd", "dan", "eve"), strict=False)]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert find_decision(found) == (label_, "import", None, None, split)
    assert counts == {"predictions": 1, "labels": len(said), "vote": len(said)}


@pytest.mark.parametrize("weights, label_", [({"ann": 2**17, "cyd": 2**15}, "cat"), ({"ann": 2**17, "cyd": 3 * 2**15}, "dog")])
def test_wrong_brings_the_weight_of_its_labeler(tmp_path, weights, label_):
    """Cat has 2; dog has 1 and a half, or 2 and a half."""
    votes = [label("cat", "ann", 3), label("dog", "bob", 1), label(WRONG, "cyd", 2)]
    assert find_decision(counted(tmp_path, [prediction()], votes, weights=weights)[0])[0] == label_


def test_leading_is_by_weight_too(tmp_path):
    """Dog 2 leads before bird 1.5 although bird has two votes and is newer; with `≠` it is dog 3."""
    votes = [label("dog", "ann", 1), label("bird", "bob", 2), label("bird", "cyd", 3), label(WRONG, "dan", 4)]
    found, _ = counted(tmp_path, [prediction()], votes, weights={"ann": 2**17, "cyd": 2**15})
    assert find_decision(found)[0] == "dog"


def test_wrong_looks_for_a_name_in_its_own_class_only(tmp_path):
    votes = [label("dog", "ann", 1, origin="feedback"), label(WRONG, "bob", 2, origin="review")]
    found, _ = counted(tmp_path, [prediction()], votes)
    assert find_decision(found) == (WRONG, "review", None, None, False)
    assert found["people"] == {("ann",): (1, 0, 1, 1), ("bob",): (1, 1, 1, 1)}
    assert found["coincidences"] == {}


def test_wrong_of_a_lower_class_has_no_say(tmp_path):
    votes = [label("cat", "ann", 1, origin="review"), label(WRONG, "bob", 2), label(WRONG, "cyd", 3, origin="feedback")]
    found, _ = counted(tmp_path, [prediction()], votes)
    assert find_decision(found) == ("cat", "review", None, None, False)
    assert found["people"] == {("ann",): (1, 1, 2, 0), ("bob",): (1, 0, 2, 1), ("cyd",): (1, 0, 2, 1)}


def test_wrong_in_an_audit_is_a_review(tmp_path):
    unseen = {"origin": "audit", "saw_prediction": False}
    found, _ = counted(tmp_path, [prediction()], [label("cat", "ann", 1, **unseen), label(WRONG, "bob", 2, **unseen)])
    assert find_decision(found) == ("cat", "audit", False, None, False)
    assert found["delays"] == {(0, "audit"): (1,), (0, "review"): (1,)}
    assert found["coincidences"] == {}


def test_wrong_in_an_audit_alone_decides_as_a_review(tmp_path):
    found, _ = counted(tmp_path, [prediction()], [label(WRONG, "ann", 1, origin="audit", saw_prediction=False)])
    assert find_decision(found) == (WRONG, "review", False, None, False)


def test_wrong_in_an_audit_does_not_replace_the_persons_audit(tmp_path):
    unseen = {"origin": "audit", "saw_prediction": False}
    found, counts = counted(tmp_path, [prediction()], [label("cat", "ann", 1, **unseen), label(WRONG, "ann", 2, **unseen)])
    assert counts == {"predictions": 1, "labels": 2, "vote": 2}
    assert find_decision(found) == ("cat", "audit", False, None, False)
    assert found["people"] == {("ann",): (2, 1, 0, 0)}


def test_wrong_in_an_audit_replaces_the_persons_review(tmp_path):
    votes = [label("dog", "ann", 1, origin="review"), label(WRONG, "ann", 2, origin="audit", saw_prediction=False)]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert counts == {"predictions": 1, "labels": 2, "superseded": 1, "vote": 1}
    assert find_decision(found) == (WRONG, "review", False, None, False)


@pytest.mark.parametrize("said, shown, fate", [
    (WRONG, None, "vote"), (WRONG, "cat", "vote"), (WRONG, "dog", "other_answer"), (WRONG, "Cat", "other_answer"),
    (WRONG, "", "other_answer"), (WRONG, WRONG, "other_answer"), ("dog", "dog", "vote"), ("dog", "", "vote")])
def test_wrong_judges_the_answer_that_was_shown(tmp_path, said, shown, fate):
    found, counts = counted(tmp_path, [prediction()], [label(said, "ann", 7, shown_label=shown)])
    assert counts == {"predictions": 1, "labels": 1, fate: 1}
    assert found["known_through"] == START + 7 * MINUTE


def test_another_answer_comes_after_orphans_and_replaces_nothing(tmp_path):
    votes = [label("dog", "ann", 1), label(WRONG, "ann", 2, shown_label="dog"),
             label(WRONG, "ann", 3, "nobody", shown_label="dog"),
             label(WRONG, "ann", 4, shown_label="dog", withdraws=True)]
    found, counts = counted(tmp_path, [prediction()], votes)
    assert counts == {"predictions": 1, "labels": 4, "orphan": 1, "other_answer": 2, "vote": 1}
    assert find_decision(found)[0] == "dog"


def test_duplicates_come_before_another_answer(tmp_path):
    """With a label_id the null comes first and is kept; without one, rows that differ in `shown_label` are no duplicates."""
    votes = [label(WRONG, "ann", 1, shown_label="dog", label_id="x"), label(WRONG, "ann", 1, label_id="x"),
             label(WRONG, "bob", 1), label(WRONG, "bob", 1, shown_label="cat"), label(WRONG, "bob", 1, shown_label="cat")]
    _, counts = counted(tmp_path, [prediction()], votes)
    assert counts == {"predictions": 1, "labels": 5, "duplicate": 2, "superseded": 1, "vote": 2}


@pytest.mark.parametrize("role, shown, fate", [
    ("live", None, "vote"), ("live", "cat", "vote"), ("live", "dog", "other_answer"),
    ("shadow", None, "other_answer"), ("shadow", "cat", "other_answer"), ("shadow", "dog", "vote"),
    ("Shadow", "dog", "vote"), ("LIVE", None, "vote"), ("batch", None, "orphan")])
def test_wrong_without_a_shown_label_judges_the_live_answer(tmp_path, role, shown, fate):
    """The live row says cat and the shadow row dog."""
    made = [prediction(role="production"), prediction(role="SHADOW", predicted_label="dog")]
    _, counts = counted(tmp_path, made, [label(WRONG, "ann", 1, shown_label=shown)], role=role, roles={"production": "live"})
    counts.pop("predictions", None)
    assert counts == {"labels": 1, fate: 1}


@pytest.mark.parametrize("said, top, place", [
    ([WRONG], ["cat", "dog"], -1), ([WRONG], ["cat"], -1), ([WRONG], ["cat", WRONG], -1), ([WRONG], [], None),
    ([WRONG], None, None), ([WRONG, "dog"], ["cat", "dog"], 2), ([WRONG, "bird"], ["cat", "dog"], -2)])
def test_rank_of_wrong(tmp_path, said, top, place):
    votes = [label(what, f"{i}", i) for i, what in enumerate(said)]
    assert find_decision(counted(tmp_path, [prediction(top_labels=top)], votes)[0])[3] == place


@pytest.mark.parametrize("confidence, sums", [(0.5, (1, 2**29, 1, 2**17, 2**34, 2**46)), (1.5, (1, 0, 1, 2**17, 2**34, 0))])
def test_the_earliest_vote_and_what_was_seen_are_of_the_rows_as_they_are(tmp_path, confidence, sums):
    votes = [label("dog", "ann", 2, selection_probability=0.25, saw_prediction=False),
             label(WRONG, "bob", 1, selection_probability=0.5, saw_prediction=True)]
    found, _ = counted(tmp_path, [prediction(confidence=confidence, client="k")], votes, slices=[("c", "client")])
    assert find_decision(found) == ("dog", "import", True, None, False)
    assert list(found["cells"].values()) == [sums]
    assert found["slices"] == {("c", "k", "1", "import", "cat", "dog"): (1, 1, 2**17, 2**34)}


def test_the_earliest_of_one_moment_is_by_the_label_that_was_said(tmp_path):
    """By bytes "dog" comes before "≠", which comes before "日本"; the weights are 1, 1/2, 1/4."""
    votes = [label(WRONG, "ann", 1, selection_probability=0.5), label("日本", "bob", 1, selection_probability=0.25)]
    found, _ = counted(tmp_path, [prediction()], votes)
    assert list(found["cells"].values()) == [(1, 2**29, 1, 2**17, 2**34, 2**46)]


def test_agreements_and_pairs_with_wrong(tmp_path):
    """`≠` counts for dog, which is newer than bird, and 2 beat 1 and 1."""
    votes = [label(WRONG, "ann", 0), label("dog", "bob", 3), label("cat", "cyd", 2), label("bird", "dan", 1)]
    found, _ = counted(tmp_path, [prediction()], votes)
    assert find_decision(found) == ("dog", "import", None, None, True)
    assert found["people"] == {("ann",): (1, 1, 3, 2), ("bob",): (1, 1, 3, 1), ("cyd",): (1, 0, 3, 0),
                               ("dan",): (1, 0, 3, 1)}
    names = (WRONG, "dog", "cat", "bird")
    assert found["coincidences"] == {(a, b, 4): (1,) for a in names for b in names if a != b}


def test_two_that_say_wrong_agree(tmp_path):
    found, _ = counted(tmp_path, [prediction()], [label(WRONG, "ann", 0), label(WRONG, "bob", 1)])
    assert found["people"] == {("ann",): (1, 1, 1, 1), ("bob",): (1, 1, 1, 1)}
    assert found["coincidences"] == {(WRONG, WRONG, 2): (2,)}


def test_wrong_disagrees_with_a_consensus_that_was_predicted(tmp_path):
    votes = [label("cat", "ann", 1), label("cat", "bob", 2), label(WRONG, "cyd", 3)]
    found, _ = counted(tmp_path, [prediction()], votes)
    assert found["people"] == {("ann",): (1, 1, 2, 1), ("bob",): (1, 1, 2, 1), ("cyd",): (1, 0, 2, 0)}


def test_nobody_pairs_with_themselves(tmp_path):
    votes = [label("dog", "ann", 1), label(WRONG, "ann", 2, origin="feedback"), label("dog", "bob", 3)]
    votes += [label(what, None, 1, "q", origin=origin) for what, origin in (("cat", "import"), (WRONG, "feedback"))]
    found, _ = counted(tmp_path, [prediction(), prediction("q")], votes)
    assert found["people"] == {("ann",): (2, 2, 2, 2), ("bob",): (1, 1, 2, 2), (None,): (2, 1, 0, 0)}


def test_a_prediction_of_wrong_is_invalid(tmp_path):
    made = [prediction(predicted_label=WRONG), prediction("q", predicted_label="=\u0338")]
    found, counts = counted(tmp_path, made, [label(WRONG, "ann", 1)])
    assert counts == {"predictions": 2, "invalid_predictions": 1, "labels": 1, "orphan": 1}
    assert list(found["cells"]) == [("1", "=\u0338", 10, None, None, None, None, None)]


@pytest.mark.parametrize("word, role, fate", [
    (None, "live", "predictions"), ("live", "live", "predictions"), ("LiVe", "live", "predictions"),
    ("BATCH", "batch", "predictions"), ("Canary", "canary", "predictions"), ("replay", "Replay", "predictions"),
    ("shadow", "live", None), ("Shadow", "batch", None), (None, "shadow", None),
    ("production", "live", "unknown_role"), ("production", "shadow", "unknown_role"), ("", "live", "unknown_role"),
    ("live ", "live", "unknown_role"), ("l\u0131ve", "live", "unknown_role")])
def test_roles(tmp_path, word, role, fate):
    _, counts = counted(tmp_path, [prediction(role=word)], [], role=role)
    assert counts == ({fate: 1} if fate else {})


@pytest.mark.parametrize("word, roles, fate", [
    ("production", {"production": "live"}, "predictions"), ("PRODUCTION", {"Production": "Live"}, "predictions"),
    ("production", {"production": "shadow"}, None), ("prod", {"production": "live"}, "unknown_role"),
    ("batch", {"batch": "live"}, None), ("live", {"live": "shadow"}, "predictions")])
def test_other_words_are_mapped_to_roles(tmp_path, word, roles, fate):
    _, counts = counted(tmp_path, [prediction(role=word)], [], roles=roles)
    assert counts == ({fate: 1} if fate else {})


def test_unknown_roles_count_under_their_own_model_and_matter_no_further(tmp_path):
    other = {"role": "production"}
    made = [prediction(minute=5, **other), prediction(minute=5, **other), prediction("", **other),
            prediction(predicted_at=None, **other), prediction(minute=10_000, **other), prediction("q", model="other", **other),
            prediction("r", model="", **other), prediction("s", model=None, **other), prediction("t")]
    found, counts = counted(tmp_path, made, [label("dog", "ann", 1), label("dog", "ann", 2, "q")])
    assert counts == {"predictions": 1, "unknown_role": 5, "labels": 2, "orphan": 2}
    assert (found["known_through"], found["next_future"]) == (START + 2 * MINUTE, None)


def test_spellings_of_a_role_are_one_role_and_tie_by_what_is_written(tmp_path):
    made = [prediction(role="live", client="a"), prediction(role="LIVE", client="b")]
    found, counts = counted(tmp_path, made, [], slices=[("c", "client")])
    assert counts == {"predictions": 2, "duplicate_predictions": 1}
    assert [key[1] for key in found["slices"]] == ["b"]


def test_random_logs_hold_what_rule_4a_is_about(tmp_path):
    """Often enough: each fate, a consensus `≠` in each class but audit, some split and some not."""
    cells, fates = set(), dict.fromkeys(oracle.ROWS, 0)
    for seed in range(20):
        rng, root = random.Random(seed), tmp_path / str(seed)
        generate.write(generate.log(rng, DAY, predictions=40, labels=100), root, rng)
        found = oracle.count(root, DAY, "m", START + 2 * oracle.DAY_US, roles=generate.ROLE_WORDS)
        cells |= {(key[4], key[7]) for key in found["cells"] if key[3] == WRONG}
        fates = {name: n + found["rows"][name] for name, n in fates.items()}
    assert {origin for origin, _ in cells} == {"review", "import", "feedback"}
    assert {split for _, split in cells} == {True, False}
    assert min(fates.values()) >= 20
