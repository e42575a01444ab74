"""Recounts by the only sure way: take one person's raw rows out of the log, evaluate what is left, and judge it again."""

import numpy as np
import pytest

from pipeline import gate
from tests.by_text.log import evaluate, run, write_log
from tests.by_text.random_log import make_rows

NOT_JUDGED = ("no data", "uneven")


def leave_out(predictions, labels, kind, name):
    if kind == "labeler":
        return predictions, [row for row in labels if row["labeler"] != name]
    sent = {row["prediction_id"] for row in predictions if row["client"] == name}
    under = [row for row in labels if row["labeler"] is None or row["labeler"].split("/")[0] != name]
    return ([row for row in predictions if row["prediction_id"] not in sent],
            [row for row in under if row["prediction_id"] not in sent])


def compare_figures(capsys, folder, seed, n, step=1):
    """Evaluates without each person, or every step-th of them; returns how many were compared."""
    predictions, labels = make_rows(seed, n)
    write_log(folder / "all", predictions, labels)
    whole = evaluate(capsys, folder / "all", "recounts")
    people = whole["evidence"]["recounts"]["people"][::step]
    for k, person in enumerate(people):
        of_all = whole["versions"][person["version"]]["estimate"]
        write_log(folder / f"{k}", *leave_out(predictions, labels, person["kind"], person["name"]))
        left = evaluate(capsys, folder / f"{k}")["versions"].get(person["version"], {}).get("by_origin", {}).get(of_all["origin"])
        wanted = {"value": None, "low": None, "high": None} if left is None else left["accuracy"]
        if left is not None and of_all["weighted"] and left["weighted"]["value"] is not None:  # else no weight is left
            wanted = left["weighted"]
        assert [person["accuracy"][name] for name in ("value", "low", "high")] == pytest.approx(
            [wanted[name] for name in ("value", "low", "high")]), person
    return len(people)


def test_figures_without_a_person_are_those_of_the_log_without_their_rows(capsys, tmp_path):
    assert compare_figures(capsys, tmp_path, seed=3, n=90, step=4) >= 3


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", range(10, 20))
def test_figures_without_a_person_on_more_logs(capsys, tmp_path, seed):
    assert compare_figures(capsys, tmp_path, seed, n=120) > 8


def is_flipped(whole, left):
    """Whether the gate's verdict turns without somebody, by docs/gates.md; `left` is the same gate of the log without them."""
    own = whole.get("verdict_of_the_gate", whole["verdict"])
    if own not in ("pass", "fail"):
        return False
    if whole["gate"] == "accuracy":
        if left["origin"] != whole["origin"] or left["n"] < 50 or left.get("reason") in NOT_JUDGED:
            return False
        return left["p"] > 0.05 if own == "fail" else left["value"] < whole["bound"]
    rows = {row["label"]: row for row in left["classes"] if row["verdict"] != "not judged"}
    mine = [row["label"] for row in whole["classes"] if row["verdict"] == own]
    if own == "fail":
        return all(label in rows and rows[label]["p"] > 0.05 for label in mine)
    return any(label in rows and rows[label]["value"] < whole["bound"] for label in mine)


def compare_verdicts(capsys, folder, seed, offsets, n=500, most=100):
    """Judges under bounds around the accuracy; returns (gate, own verdict, whether it is fragile) of each.

    `most`: only so many of the largest people are compared.
    """
    rng, found = np.random.default_rng(seed), set()
    rest = np.array([0.3, 0.2, 0.1, 0.05, 0.05]) / 0.7
    share = rng.uniform(0.12, 0.4)
    people = np.insert(rest * (1 - share), 4, share)  # K2 is the poisoner
    predictions, labels = make_rows(seed, n, rng.uniform(0.85, 0.95), 1.6, people, "K2", uneven=seed % 3 == 0)
    write_log(folder / "all", predictions, labels)
    whole, left = evaluate(capsys, folder / "all", "recounts"), {}
    people = sorted((p for p in whole["evidence"]["recounts"]["people"] if p["version"] == "1"), key=lambda p: -p["share"])
    for k, person in enumerate(people[:most]):
        left[person["kind"], person["name"]] = folder / f"{k}"
        write_log(folder / f"{k}", *leave_out(predictions, labels, person["kind"], person["name"]))
        evaluate(capsys, folder / f"{k}")

    def judge(root, bound):
        policy = {"min_accuracy": bound, "min_class_recall": bound - 0.1, "min_class_precision": bound}
        options = [word for name, value in policy.items() for word in ("--set", f"gates.{name}={value:.3f}")]
        made = run(capsys, gate.main, root, "--version", "1", "--dry-run", *options)["gates"]
        return {row["gate"]: row for row in made}

    value = judge(folder / "all", 0.9)["accuracy"]["value"]
    for bound in (value + offset for offset in offsets):
        ours, theirs = judge(folder / "all", bound), {who: judge(root, bound) for who, root in left.items()}
        for name in ("accuracy", "class_recall", "class_precision"):
            named = {(who["kind"], who["name"]) for who in ours[name].get("fragile") or ()}
            assert named & set(left) == {who for who, rows in theirs.items() if is_flipped(ours[name], rows[name])}, (bound, name)
            assert (ours[name].get("reason") == "fragile") == bool(named)
            found.add((name, ours[name].get("verdict_of_the_gate", ours[name]["verdict"]), bool(named)))
    return found


def test_a_verdict_is_fragile_when_the_log_without_a_person_turns_it(capsys, tmp_path):
    found = compare_verdicts(capsys, tmp_path, seed=2, offsets=(0.12,), most=4)
    assert any(fragile for _, _, fragile in found), found


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", range(20, 28))
def test_verdicts_on_more_logs(capsys, tmp_path, seed):
    compare_verdicts(capsys, tmp_path, seed, offsets=(-0.06, -0.04, 0.06, 0.1, 0.15))
