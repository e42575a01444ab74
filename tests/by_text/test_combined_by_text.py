"""The combined estimate, written down from docs/combined.md alone: strata in a line, collapsed, Hajek's share in each."""

import hashlib
import math
from itertools import product

import numpy as np
import pytest

from contract import samples
from contract.samples import CellP, Sample
from contract.storage import open_root
from tests.by_text.log import MODEL, evaluate, write_log

DAYS, CLASSES, BINS, SALT = ("2026-11-18", "2026-11-19"), ("a", "b"), (9, 18), "s"


def is_drawn(name, p):
    return int.from_bytes(hashlib.sha256((SALT + name).encode()).digest()[:8], "big") < p * 2**64


def make_log(root, seed, n, probability, others):
    """Rows (class, bin, what feedback says, right by the audit or None, p, right by another label or None)."""
    rng, predictions, labels, rows = np.random.default_rng(seed), [], [], []
    rates = dict(zip(product(CLASSES, BINS), rng.permutation([0.55, 0.7, 0.82, 0.94]), strict=True))
    for i in range(n):
        day, answer, bin_ = DAYS[i % 2], CLASSES[rng.integers(2)], BINS[rng.integers(2)]
        right, name = bool(rng.random() < rates[answer, bin_]), f"p{i:06d}"
        other, p = CLASSES[answer == "a"], probability[answer, bin_, day]
        predictions.append({"prediction_id": name, "day": day, "predicted_label": answer, "confidence": bin_ / 20 + 0.02})
        label = {"prediction_id": name, "label": answer if right else other, "saw_prediction": False}
        judged, told = None, None
        if is_drawn(name, p):
            judged = right
            labels.append(label | {"labeler": "ada", "origin": "audit", "selection_probability": p})
        elif rng.random() < others:
            told = right
            labels.append(label | {"labeler": "ben", "origin": ("import", "review")[i // 2 % 2]})
        says = [bool(right if rng.random() < 0.9 else not right) for _ in range(rng.integers(1, 4))
                ] if rng.random() < (0.15 if right else 0.35) else []
        labels += [{"prediction_id": name, "labeler": f"user {k}", "origin": "feedback", "saw_prediction": True,
                    "label": answer if yes else ("≠", other)[i // 4 % 2], "shown_label": answer} for k, yes in enumerate(says)]
        most = None if not says else sum(says) * 2 > len(says) if sum(says) * 2 != len(says) else says[-1]
        rows.append((answer, bin_, {None: "none", True: "right", False: "wrong"}[most], judged, p, told))
    write_log(root, predictions, [row | {"label_id": f"l{k:07d}"} for k, row in enumerate(labels)])
    storage = open_root(root)
    for day in DAYS:
        table = [CellP(predicted=c, bin=b, p=probability[c, b, day]) for c, b in product(CLASSES, BINS)]
        least = min(cell.p for cell in table)
        samples.write(storage, Sample(model=MODEL, day=day, kind="audit", strategy="random-audit", salt=SALT, floor=least,
                                      created_at="2026-11-20T00:00:00.000000Z", default=least, p=table))
    return rows


def estimate(rows):
    """Value, the size that its interval rests on, and the number of strata."""
    line = sorted({row[:3] for row in rows}, key=lambda s: (("wrong", "none", "right").index(s[2]), expect(rows, *s[:2])))
    n = sum(row[3] is not None for row in rows)
    groups, now, have = [], set(), 0
    for place, stratum in enumerate(line):
        now.add(stratum)
        have += sum(row[:3] == stratum and row[3] is not None for row in rows)
        parts = len({s[2] for s in now} | {s[2] for s in line[place + 1:place + 2]}) > 1
        left = sum(row[:3] in line[place + 1:] and row[3] is not None for row in rows)
        if have >= (20 if parts else max(40, n ** (2 / 3))) and left >= 20:
            groups, now, have = [*groups, now], set(), 0
    groups += [now] if now else []
    value = variance = 0.0
    for group in groups:
        share = sum(row[:3] in group for row in rows) / len(rows)
        audit = [row for row in rows if row[:3] in group and row[3] is not None]
        p, v = hajek(audit)
        value, variance = value + share * p, variance + share**2 * v * len(audit) / (len(audit) - 1)
    audit = [row for row in rows if row[3] is not None]
    weights = np.array([math.floor(2**16 / row[4]) for row in audit], float)
    variance *= (n - 1) / n
    explained = max(0, 1 - variance / hajek(audit)[1])
    variance += explained * ((weights**2).sum() / weights.sum() ** 2) ** 2  # one mistake more, as far as strata explain
    return value, value * (1 - value) / variance, len(groups)


def expect(rows, answer, bin_):
    told = [row[5] for row in rows if row[:2] == (answer, bin_) and row[5] is not None]
    return sum(told) / len(told)


def hajek(audit):
    w, y = np.array([math.floor(2**16 / row[4]) for row in audit], float), np.array([row[3] for row in audit], float)
    p = (w * y).sum() / w.sum()
    return p, (w**2 * (y - p) ** 2).sum() / w.sum() ** 2


UNEVEN = dict(zip(product(CLASSES, BINS, DAYS), (0.3, 0.5, 0.2, 0.25, 0.6, 0.4, 0.15, 0.35), strict=True))


@pytest.mark.parametrize(("seed", "n", "scale"), [(0, 3000, None), (1, 3000, 1), (2, 1500, 0.3)])
def test_the_figures_are_those_of_the_text(capsys, tmp_root, seed, n, scale):
    probability = dict.fromkeys(UNEVEN, 0.3) if scale is None else {cell: scale * p for cell, p in UNEVEN.items()}
    rows = make_log(tmp_root, seed, n, probability, others=0.5)
    found = evaluate(capsys, tmp_root, "combined")["evidence"]["combined"]["versions"]["1"]
    value, size, strata = estimate(rows)
    assert (found["predictions"], found["labels"]) == (n, sum(row[3] is not None for row in rows))
    assert found["feedback"] == {says: sum(row[2] == says for row in rows) for says in ("wrong", "none", "right")}
    assert (found["value"], found["size"], found["strata"]) == (pytest.approx(value), pytest.approx(size), strata)
    middle, z = (value + 1.959964**2 / 2 / size) / (1 + 1.959964**2 / size), 1.959964
    half = z / (1 + z * z / size) * math.sqrt(value * (1 - value) / size + z * z / 4 / size**2)
    assert (found["low"], found["high"]) == pytest.approx((middle - half, middle + half), abs=1e-6)
    assert {of_class["label"] for of_class in found["per_class"]} == set(CLASSES)
    for of_class in found["per_class"]:
        value, _, strata = estimate([row for row in rows if row[0] == of_class["label"]])
        assert (of_class["precision"]["value"], of_class["strata"]) == (pytest.approx(value), strata)
