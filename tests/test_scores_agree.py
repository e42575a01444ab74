"""The consensus by a fit's scores: three engines against the oracle, to the unit, on logs in which scores tie."""

import random

import pytest

from jobs.engines.question import DayFiles, Question, fold_case
from jobs.engines.scores import LabelerScores
from tests import generate, oracle
from tests.engines import counted, differences, embedded, mapreduce, spark_here
from tests.test_engines_agree import AS_OF, DAY, many_days
from tests.test_items_agree import as_rows, embedded_items, listed, mapreduce_items, spark_items_here
from tests.test_oracle import counted as counted_by_hand
from tests.test_oracle import label, prediction, rows

CLASSES = ("Dog", "cat", "dog")  # `é`, `日本`, `≠` and others are no classes of the fit
PEOPLE = (None, "ann", "bob", "cyd", "nobody")  # Bob and dan are not known to it


def make_scores(rng, digest="d"):
    """Random scores from a small pool, so that sums tie; some cells are missing."""
    small = [-3, -2, -1, 0] if rng.random() < 0.7 else [-65536 * 20, -65536, -1, 0]
    cells = {(who, said): tuple(rng.choice(small) for _ in CLASSES) for who in PEOPLE for said in CLASSES if rng.random() < 0.7}
    general = {who: (rng.choice(small), rng.choice(small)) for who in PEOPLE}
    prior = tuple(rng.choice(small) for _ in CLASSES)
    return LabelerScores(CLASSES, prior, min(prior), {who: hit for who, (hit, _) in general.items()},
                         {who: miss for who, (_, miss) in general.items()}, cells, digest)


def as_oracle(scores):
    """The same as the oracle takes it."""
    cells = {(who, said, name): n for (who, said), of in scores.cells.items() for name, n in zip(scores.classes, of, strict=True)}
    return oracle.Scores(dict(zip(scores.classes, scores.prior, strict=True)),
                         {who: (scores.hit[who], scores.miss[who]) for who in scores.hit}, cells)


def check(engine, root, days, scores, as_of=AS_OF):
    roles = {fold_case(word): of for word, of in generate.ROLE_WORDS.items()}
    question = Question("m", as_of, consensus="scores", scores=scores, roles=roles)
    got = counted(engine, root, days, question)
    wrong = [line for c in got for line in differences(c, oracle.count(
        root, c.day, "m", as_of, "live", (), as_oracle(scores), generate.ROLE_WORDS))]
    assert not wrong, "\n".join(wrong)
    return got


@pytest.mark.parametrize("engine, seeds, size", [(embedded(), 12, 50), (spark_here, 12, 50), (mapreduce, 2, 30)])
def test_engines_score_as_the_oracle_does(tmp_path, engine, seeds, size):
    for seed in range(seeds):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        generate.write(generate.log(rng, DAY, predictions=size, labels=4 * size), root, rng)
        check(engine, root, [DAY], make_scores(rng))


@pytest.mark.slow("spark")
def test_spark_scores_as_the_oracle_does(spark, tmp_path):
    from jobs.engines.spark.engine import count

    check(count, tmp_path, many_days(tmp_path, 31, 2, predictions=30, labels=120), make_scores(random.Random(1)))


def test_items_by_scores_are_those_of_the_oracle(tmp_path):
    (day,), scores = many_days(tmp_path, 41, 1, predictions=40, labels=150), make_scores(random.Random(3))
    rows, _ = oracle.list_items(tmp_path, day, "m", AS_OF, "live", as_oracle(scores))
    for engine in (embedded_items, spark_items_here, mapreduce_items):
        (made,) = listed(engine, tmp_path, [day], Question("m", AS_OF, consensus="scores", scores=scores))
        assert as_rows(made.table) == rows


@pytest.mark.parametrize("engine", [embedded_items, spark_items_here, mapreduce_items])
def test_plain_votes_are_scored_as_the_oracle_does(tmp_path, engine):
    """Nothing odd but the scores: different people, different moments, labels and people that the fit does not know."""
    rng = random.Random(9)
    people, labels = ["ann", "bob", "cyd", "dan", None], ["cat", "dog", "Dog", "bird", "日本"]
    votes = [label(rng.choice(labels), who, minute, f"p{n:03}") for n in range(300)
             for minute, who in enumerate(rng.sample(people, rng.choice([2, 3, 4])))]
    rows(tmp_path, "predictions", *(prediction(f"p{n:03}") for n in range(300)))
    rows(tmp_path, "labels", *votes)
    scores = make_scores(rng)
    expected, _ = oracle.list_items(tmp_path, DAY, "m", AS_OF, "live", as_oracle(scores))
    (made,) = listed(engine, tmp_path, [DAY], Question("m", AS_OF, consensus="scores", scores=scores))
    assert as_rows(made.table) == expected
    plain, _ = oracle.list_items(tmp_path, DAY, "m", AS_OF)
    assert sum(one["label"] != other["label"] for one, other in zip(plain, expected, strict=True)) > 50


def test_the_oracle_by_hand():
    """Two that mistake cat for dog are outvoted by one who never does; a lone vote decides whatever the scores."""
    general = {None: (-1, -9), "ann": (-1, -9)}
    cells = {("ann", "cat", "cat"): -1, ("ann", "cat", "dog"): -30, (None, "dog", "cat"): -4, (None, "dog", "dog"): -3}
    scores = oracle.Scores({"cat": -2, "dog": -5}, general, cells)
    votes = [("cat", {"labeler": "ann", "labeled_at": 1}), ("dog", {"labeler": "bob", "labeled_at": 2}),
             ("dog", {"labeler": None, "labeled_at": 3})]
    assert oracle.order_labels(votes, scores) == ["cat", "dog"]  # -2 -1 -4 -4 = -11, and -5 -30 -3 -3 = -41
    assert oracle.order_labels(votes[1:], scores) == ["dog"]
    # bird is no class of the fit: its prior is dog's; ann's other answers are by hit and miss
    votes = [("bird", {"labeler": "ann", "labeled_at": 1}), ("dog", {"labeler": "bob", "labeled_at": 2})]
    assert oracle.order_labels(votes, scores) == ["bird", "dog"]  # -5 -1 -9 = -15; -5 -9 -3 = -17
    tied = oracle.Scores({"cat": 0, "dog": 0}, {None: (-1, -1)}, {})
    assert oracle.order_labels([("cat", {"labeler": None, "labeled_at": 1}), ("dog", {"labeler": None, "labeled_at": 2})],
                               tied) == ["dog", "cat"]


def test_scores_tie_and_win_often_enough_to_tell():
    """Of such logs many have ties at the top, and many decide otherwise than the majority would."""
    ties = others = 0
    for seed in range(25):
        rng = random.Random(seed)
        made = generate.log(rng, DAY, predictions=40, labels=160)
        scores, groups = as_oracle(make_scores(rng)), {}
        for row in made.labels:
            if row["label"] and row["labeled_at"] is not None and row["label"] != oracle.WRONG:
                groups.setdefault(row["prediction_id"], []).append((row["label"], row))
        for counted_for in groups.values():
            names = oracle.order_labels(counted_for, scores)
            total = {n: sum((scores.of(v["labeler"], s, n) for s, v in counted_for),
                            scores.prior.get(n, min(scores.prior.values()))) for n in names}
            ties += len(names) > 1 and total[names[0]] == total[names[1]]
            others += names[0] != oracle.order_labels(counted_for, {})[0]
    assert ties > 20 and others > 20


@pytest.mark.parametrize("said, expected", [
    # ann's cat is worth much; without her, bob and cyd say dog. The predicted label is cat.
    ([("cat", "ann", 1), ("dog", "bob", 2), ("dog", "cyd", 3)], "cat"),
    ([("cat", "dan", 1), ("dog", "bob", 2)], "dog"),
    # `≠` counts for the leading other label, dog, with its labeler's score
    ([("cat", "dan", 4), (oracle.WRONG, "ann", 1), ("dog", "bob", 2)], "dog"),
    # nothing else is named: it stands for itself, and ann's miss for cat is worse than dan's for `≠`
    ([("cat", "dan", 4), (oracle.WRONG, "ann", 1)], oracle.WRONG)])
def test_scores_and_wrong(tmp_path, said, expected):
    scores = LabelerScores(("cat", "dog"), (-1, -1), -1, {None: -5, "ann": 0}, {None: -6, "ann": -50},
                           {("ann", "cat"): (0, -40)}, "d")
    votes = [label(what, who, minute) for what, who, minute in said]
    counted_by_hand(tmp_path, [prediction()], votes)  # writes the files
    (got,) = check(embedded(), tmp_path, [DAY], scores)
    assert got.tables["cells"]["label"].to_pylist() == [expected]
    check(spark_here, tmp_path, [DAY], scores)


def test_a_fit_is_part_of_what_counts_are_named_by():
    day = DayFiles(DAY, (), ())
    plain = Question("m", AS_OF).inputs(day)
    one, other = (Question("m", AS_OF, consensus="scores", scores=make_scores(random.Random(1), d)).inputs(day) for d in "ab")
    assert len({plain, one, other}) == 3
