"""Accuracy behind label noise on logs that hold exactly what is expected: the figures are the planted ones, and the interval
is that of rows drawn by chance, whatever order they lie in (docs/label-noise.md)."""

import math
from itertools import product

import pytest

from tests.by_text.log import evaluate, write_log

CLASSES = "abcd"


def write_exact(root, answers, wrong, judges):
    """`answers`: (truth, answer) -> predictions; a vote on a picture of class t is another class with the chance wrong[t].

    Each combination of votes comes exactly as often as it is expected, in blocks, so the log is sorted by what it shows.
    """
    classes, predictions, labels = len(wrong), [], []
    for (truth, answer), n in answers.items():
        for votes in product(range(classes), repeat=judges):
            chance = math.prod(1 - wrong[truth] if v == truth else wrong[truth] / (classes - 1) for v in votes)
            assert n * chance == pytest.approx(round(n * chance))
            for _ in range(round(n * chance)):
                predictions.append({"prediction_id": f"p{len(predictions):06d}", "predicted_label": CLASSES[answer],
                                    "confidence": [0.55, 0.65, 0.75, 0.85, 0.95][len(predictions) % 5]})
                labels += [{"prediction_id": predictions[-1]["prediction_id"], "label": CLASSES[v], "labeler": f"judge {j}",
                            "origin": "import", "saw_prediction": False} for j, v in enumerate(votes)]
    write_log(root, predictions, labels)


def spread(classes, right, wrong):
    return {(t, s): right if t == s else wrong for t in range(classes) for s in range(classes)}


@pytest.mark.parametrize(("classes", "right", "wrong", "error"), [(2, 900, 100, 0.1), (4, 900, 100, 0.3)])
def test_two_judges_give_back_what_was_planted(capsys, tmp_root, classes, right, wrong, error):
    write_exact(tmp_root, spread(classes, right, wrong), [error] * classes, judges=2)
    found = evaluate(capsys, tmp_root, "noise")["evidence"]["noise"]["versions"]["1"]
    accuracy = right / (right + (classes - 1) * wrong)
    raw = accuracy * (1 - error) + (1 - accuracy) * error / (classes - 1)
    assert found["method"] == "pairs"
    assert [found[name]["value"] for name in ("raw", "corrected", "ceiling", "error_rate")] == pytest.approx(
        [raw, accuracy, 1 - error, error])


def test_the_interval_does_not_depend_on_the_order_of_rows(capsys, tmp_root):
    write_exact(tmp_root, spread(2, 900, 100), [0.1, 0.1], judges=2)  # right answers first, then wrong ones
    corrected = evaluate(capsys, tmp_root, "noise")["evidence"]["noise"]["versions"]["1"]["corrected"]
    # a = 1/2 + (r - 1/2) / s, s = sqrt(2 A - 1): da = dr / s - (r - 1/2) dA / s^3 over 2,000 rows of (mean vote, agreement)
    mean, agree = 0.82, 0.82
    of_mean = 0.9 * (0.81 + 0.18 / 4) + 0.1 * (0.01 + 0.18 / 4) - mean**2
    both = 0.9 * 0.81 + 0.1 * 0.01 - mean * agree
    by_mean, by_agree = 1 / 0.8, (mean - 0.5) / 0.8**3
    variance = (by_mean**2 * of_mean + by_agree**2 * agree * (1 - agree) - 2 * by_mean * by_agree * both) / 2000
    assert corrected["high"] - corrected["low"] == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.15)


def test_three_judges_tell_rates_by_class(capsys, tmp_root):
    answers = {(0, 0): 3000, (0, 1): 1000, (1, 1): 2000, (1, 0): 1000}
    write_exact(tmp_root, answers, [0.1, 0.2], judges=3)
    found = evaluate(capsys, tmp_root, "noise")["evidence"]["noise"]["versions"]["1"]
    assert found["method"] == "triples"
    assert {c["label"]: c["error_rate"]["value"] for c in found["per_class"]} == pytest.approx({"a": 0.1, "b": 0.2})
    assert found["corrected"]["value"] == pytest.approx(5 / 7)
    assert found["ceiling"]["value"] == pytest.approx((4000 * 0.9 + 3000 * 0.8) / 7000)
