import numpy as np
import pyarrow as pa
import pytest

from contract.confidence import NO_BIN, confidence_bin
from contract.counts import WEIGHT_SCALE
from contract.errors import Mismatch
from contract.rows.items import make_schema
from metrics.strata.make import find_feedback, make_strata
from metrics.strata.strata import FEEDBACK, RIGHT, SILENT, WRONG

VERSIONS, NAMES = ("1", "2"), ("cat", "dog", "owl")


def make_rows(seed=3, count=3000):
    """Predictions with what happened to each: an audit with its probability, another label, votes of feedback."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(count):
        predicted, truth = (NAMES[k] for k in rng.integers(0, 3, 2))
        audited, votes = rng.random() < 0.2, []
        said = [str(rng.choice([predicted, truth, "≠"])) for _ in range(rng.choice(4, p=[0.6, 0.2, 0.1, 0.1]))]
        votes += [("feedback", label) for label in said]
        origin, label = (said and "feedback") or None, said[-1] if said else None
        if rng.random() < 0.2:
            origin, label = "import", truth
            votes.append((origin, label))
        if audited:
            origin, label = "audit", truth
            votes.append((origin, label))
        p = float(rng.choice([0.1, 0.3])) if audited and rng.random() < 0.9 else None
        confidence = None if rng.random() < 0.05 else float(rng.random())
        rows.append({"prediction_id": f"{i:05d}", "model_version": VERSIONS[int(rng.integers(2))], "predicted": predicted,
                     "confidence": confidence, "label": label, "origin": origin, "split": False, "selection_probability": p,
                     "votes": [{"labeler": "x", "label": x, "labeled_at": k, "origin": o, "saw_prediction": None}
                               for k, (o, x) in enumerate(votes)]})
    return rows


def as_items(rows):
    return pa.Table.from_pylist([row for row in rows if row["label"] is not None], schema=make_schema())


def as_predictions(rows):
    columns = {"model_version": [r["model_version"] for r in rows], "predicted": [r["predicted"] for r in rows],
               "confidence_bin": pa.array([confidence_bin(r["confidence"]) for r in rows], pa.int32()), "n": [1] * len(rows)}
    return pa.table(columns)


def say(row):
    """What feedback says of a row, written out."""
    said = [v["label"] == row["predicted"] for v in row["votes"] if v["origin"] == "feedback"]
    if not said:
        return SILENT
    balance = sum(said) - (len(said) - sum(said))
    return RIGHT if balance > 0 or (balance == 0 and said[-1]) else WRONG


def expect(rows, version):
    """Stratum -> its figures, row by row in plain Python."""
    found = {}
    for row in (r for r in rows if r["model_version"] == version):
        place = confidence_bin(row["confidence"])
        key = (row["predicted"], NO_BIN if place is None else place, say(row))
        sums = found.setdefault(key, dict.fromkeys(("size", "n", "right", "weight", "weight_squared", "other", "other_right"), 0))
        right = row["label"] == row["predicted"]
        sums["size"] += 1
        if row["origin"] == "audit" and row["selection_probability"]:
            weight = int(WEIGHT_SCALE / row["selection_probability"])
            for name, value in (("n", 1), ("right", right), ("weight", weight), ("weight_squared", weight**2)):
                sums[name] += value
        if row["origin"] == "import":
            sums["other"] += 1
            sums["other_right"] += right
    return found


def as_dict(strata):
    names = ("size", "n", "right", "weight", "weight_squared", "other", "other_right")
    keys = zip([strata.names[i] for i in strata.predicted], strata.bin.tolist(), strata.feedback.tolist(), strict=True)
    return {key: {name: int(getattr(strata, name)[i]) for name in names} for i, key in enumerate(keys)}


def test_strata_are_those_of_the_rows_taken_one_by_one():
    rows = make_rows()
    made = make_strata(as_predictions(rows), [as_items(rows[:1000]), as_items(rows[1000:]), as_items([])])
    assert sorted(made) == list(VERSIONS)
    for version, strata in made.items():
        assert as_dict(strata) == expect(rows, version) and len(strata) == len(as_dict(strata)), "each stratum once"


def test_feedback_is_taken_by_most_votes_and_then_by_the_newest():
    def item(*votes):
        return {"prediction_id": "x", "predicted": "cat", "votes": [{"origin": o, "label": x} for o, x in votes]}

    said = [item(), item(("feedback", "cat")), item(("feedback", "≠")), item(("feedback", "dog"), ("feedback", "cat")),
            item(("feedback", "cat"), ("feedback", "dog")), item(("feedback", "cat"), ("feedback", "cat"), ("feedback", "dog")),
            item(("feedback", "cat"), ("review", "dog"), ("audit", "dog"))]
    found = find_feedback(pa.Table.from_pylist(said, schema=make_schema()))
    assert [FEEDBACK[i] for i in found] == ["none", "right", "wrong", "right", "wrong", "right", "right"]


@pytest.mark.parametrize("change", ["predicted", "model_version"])
def test_items_of_other_rows_are_refused(change):
    rows = make_rows(count=50)
    odd = as_items([dict(row, **{change: "9"}) for row in rows])
    with pytest.raises(Mismatch, match="not of the same rows"):
        make_strata(as_predictions(rows), [odd])


def test_more_items_than_predictions_are_refused():
    rows = make_rows(count=50)
    with pytest.raises(Mismatch, match="got more"):
        make_strata(as_predictions(rows), [as_items(rows)] * 9)
