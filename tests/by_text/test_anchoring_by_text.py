"""What seeing the answer adds, from the documents of repeats alone, and feedback against the audit, from raw rows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.by_text.log import DAY, MODEL, NOON, evaluate, write_log

Z = 1.959963984540054
BOTH = ((True, True), (True, False), (False, True), (False, False))


def wilson(k, n):
    middle, half = k / n + Z * Z / 2 / n, Z * math.sqrt(k / n * (1 - k / n) / n + Z * Z / 4 / n / n)
    return (middle - half) / (1 + Z * Z / n), (middle + half) / (1 + Z * Z / n)


def newcombe(a, b, c, d):
    """The difference of paired shares (a + b) - (a + c), with the interval of Newcombe's (1998) method 10."""
    n = a + b + c + d
    (first, (l1, u1)), (second, (l2, u2)) = ((k / n, wilson(k, n)) for k in (a + b, a + c))
    product, apart = math.sqrt((a + b) * (c + d) * (a + c) * (b + d)), a * d - b * c
    phi = (max(apart - n / 2, 0) if apart > 0 else apart) / product if product else 0
    low = math.sqrt((first - l1) ** 2 - 2 * phi * (first - l1) * (u2 - second) + (u2 - second) ** 2)
    high = math.sqrt((u1 - first) ** 2 - 2 * phi * (u1 - first) * (second - l2) + (second - l2) ** 2)
    return [first - second, first - second - low, first - second + high]


def make_id(i):
    text = f"{int(NOON.timestamp() * 1000) + i:012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-{i:012x}"


def write_repeats(root, rng, name, said, other):
    """The documents of one repeat; returns (seen, blind) as the newest known one has them, or None where it is no pair."""
    who, seen = f"person {rng.integers(2)}", said if rng.random() < 0.85 else other
    state = {"schema": "1", "model": MODEL, "role": "live", "day": DAY, "prediction_id": name, "predicted": said, "bin": 14,
             "image_sha256": "0" * 64, "labeler": who, "share": 0.05, "seen": seen, "seen_at": f"{DAY}T13:00:00.000000Z",
             "blind": None, "blind_at": None, "at": f"{DAY}T13:00:00.000000Z"}
    states = [state]
    if rng.random() < 0.8:
        at, blind = "2026-11-20T10:00:00.000000Z", None if rng.random() < 0.1 else said if rng.random() < 0.75 else other
        states.append(state | {"blind": blind, "blind_at": at, "at": at})
        if rng.random() < 0.2:
            states.append(states[-1] | {"blind": "≠", "blind_at": at, "at": "2026-11-21T10:00:00.000000Z"})
    known = states[-1]
    if rng.random() < 0.1:  # after the moment of the evaluation
        states.append(known | {"blind": said, "blind_at": "2026-11-27T10:00:00.000000Z", "at": "2026-11-27T10:00:00.000000Z"})
    folder = Path(root, "samples", MODEL, "repeats", who, name)
    folder.mkdir(parents=True)
    for k, each in enumerate(states):
        (folder / f"{k + 1:08d}.json").write_text(json.dumps(each))
    return None if known["blind"] is None else (known["seen"] == said, known["blind"] == said)


def test_pairs_and_feedback_are_compared_as_written(capsys, tmp_root):
    rng, predictions, labels, audited = np.random.default_rng(5), [], [], []
    answers = {}
    for i in range(400):
        name, said, right = make_id(i), "ab"[rng.integers(2)], bool(rng.random() < 0.8)
        answers[name] = said, "ba"["ab".index(said)]
        predictions.append({"prediction_id": name, "predicted_label": said, "confidence": 0.7})
        if rng.random() < 0.7:
            p, told = (0.5, 0.2, 1.0)[rng.integers(3)], None
            labels.append({"prediction_id": name, "label": answers[name][not right], "labeler": "ada", "origin": "audit",
                           "saw_prediction": False, "selection_probability": p})
            if rng.random() < 0.5:
                told = bool(right if rng.random() < 0.8 else not right)
                wrong = ("≠", answers[name][1])[i % 2]
                labels.append({"prediction_id": name, "label": said if told else wrong, "labeler": "user",
                               "origin": "feedback", "saw_prediction": True, "shown_label": said})
            audited.append((math.floor(2**16 / p), right, told))
    write_log(tmp_root, predictions, labels)
    repeats = [write_repeats(tmp_root, rng, name, *answer) for name, answer in answers.items() if rng.random() < 0.6]
    found = evaluate(capsys, tmp_root, "anchoring")["evidence"]["anchoring"]

    table = [repeats.count(pair) for pair in BOTH]
    assert [found[name] for name in ("both", "only_seen", "only_blind", "neither")] == table
    assert [found["added"][name] for name in ("value", "low", "high")] == pytest.approx(newcombe(*table))
    assert found["p"] == pytest.approx(binomtest(table[1], table[1] + table[2]).pvalue)

    of, told = found["feedback"], [row for row in audited if row[2] is not None]
    a, b, c, d = (sum(row[1:] == pair for row in told) for pair in BOTH)
    names = ("both_right", "audit_right_feedback_wrong", "audit_wrong_feedback_right", "both_wrong", "audited")
    assert [of[name] for name in names] == [a, b, c, d, len(audited)]
    assert [of[name]["value"] for name in ("wrong_of_right", "right_of_wrong")] == pytest.approx([b / (a + b), c / (c + d)])
    right = sum(row[1] for row in audited)
    assert [of[name]["value"] for name in ("given_of_right", "given_of_wrong")] == pytest.approx(
        [(a + b) / right, (c + d) / (len(audited) - right)])
    assert [of["judges"][name] for name in ("value", "low", "high")] == pytest.approx(newcombe(a, c, b, d))

    def weigh(rows):
        return sum(row[0] for row in rows)

    by_feedback = weigh(row for row in told if row[2]) / weigh(told)
    by_audit = weigh(row for row in audited if row[1]) / weigh(audited)
    lean = [w * (((f - by_feedback) / weigh(told) if f is not None else 0) - (y - by_audit) / weigh(audited))
            for w, y, f in audited]
    half = Z * math.sqrt(sum(x * x for x in lean))
    assert of["bias"]["value"] == pytest.approx(by_feedback - by_audit)
    assert of["bias"]["high"] - of["bias"]["low"] == pytest.approx(2 * half, rel=0.02)
