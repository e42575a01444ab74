"""The predictions that a replay repeats are the distinct ones of rule 2, and its figures are sums over pairs: by brute force."""

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from contract import layout
from contract.records import PREDICTION
from contract.storage import open_storage
from jobs.engines.question import Question
from jobs.replaying.answers import KEPT, read_answers
from metrics.significance.replayed import Comparison, Pair, rank_disagreement
from tests import generate, oracle

DAY = "2026-11-20"
AS_OF = generate.start_of(DAY) + generate.DAY_US // 2


def shown(row):
    confidence = row["confidence"]
    return (row["prediction_id"], row["model"], row["model_version"], row["predicted_label"],
            "NaN" if confidence is not None and math.isnan(confidence) else confidence)


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5, 6])  # of each some rows are answers of the model
@pytest.mark.parametrize("role, version", [("live", None), ("replay", "2")])
def test_answers_are_the_distinct_predictions_of_the_oracle(tmp_path, seed, role, version):
    rng = random.Random(seed)
    log = generate.log(rng, DAY, predictions=300, labels=1)
    for row in log.predictions:
        row["role"] = rng.choice([role, role.upper(), row["role"], "live"])
    generate.write(log, tmp_path, rng)
    items = oracle.judge(tmp_path, DAY, "m", AS_OF, role, version=version)[3]
    got = read_answers(open_storage(str(tmp_path)), Question("m", AS_OF, role, version=version), DAY, KEPT)
    expected = sorted((shown(item["prediction"]) for item in items), key=lambda row: row[0].encode())
    assert [shown(row) for row in got.to_pylist()] == expected and len(expected) > 3


def test_of_the_rows_of_an_id_the_one_with_nan_comes_last(tmp_path):
    at = datetime(2026, 11, 20, 6, tzinfo=UTC)
    row = {"prediction_id": "one", "predicted_at": at, "model": "m", "model_version": "1", "predicted_label": "a", "role": "live"}
    rows = [row | {"recorded_at": at, "confidence": math.nan},
            row | {"recorded_at": at + timedelta(hours=1), "confidence": math.inf}]
    file = tmp_path / layout.row_file("predictions", DAY, "w", 1, 2)
    file.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, PREDICTION.arrow()), file)
    got = read_answers(open_storage(str(tmp_path)), Question("m", AS_OF, "live"), DAY)
    assert got["confidence"].to_pylist() == [math.inf]


def make_pairs(rng, n):
    labels, odd = ["a", "b", "c", "≠"], [None, math.nan, 0.5, 0.9, 0.9, 1.0, 1.5]
    return [Pair(f"id {k:04}", rng.choice("12"), rng.choice("abc"), rng.choice(odd), rng.choice("abcd"), rng.choice(odd),
                 *((rng.choice(labels), rng.choice(["audit", "review", "feedback"]), rng.choice([None, 0.25, 1.0]))
                   if rng.random() < 0.7 else (None, None, None)), {"day": DAY}) for k in range(n)]


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_sums_over_pairs_however_they_come(seed):
    rng, whole = random.Random(seed), Comparison()
    pairs = make_pairs(rng, 400)
    for part in (pairs[:100], pairs[100:101], pairs[101:]):
        whole.add(part)
    found = whole.to_dict(["audit"], least=20)
    assert (found["replayed"], found["agreed"]) == (400, sum(p.live == p.replay for p in pairs))
    flips = Counter((p.live, p.replay) for p in pairs if p.live != p.replay)
    assert [(f["live"], f["replay"], f["count"]) for f in found["flips"]] == sorted(
        ((a, b, n) for (a, b), n in flips.items()), key=lambda f: (-f[2], f[0], f[1]))
    named = [p for p in pairs if p.label not in (None, "≠")]
    assert found["labels"]["unnamed"] == sum(p.label == "≠" for p in pairs) and found["labels"]["decides"] == "audit"
    assert set(found["labels"]["by_origin"]) == {"audit", "review", "feedback"}
    for origin, of in found["labels"]["by_origin"].items():
        rows = [p for p in named if p.origin == origin]
        assert of["n"] == len(rows) == sum(row["n"] for row in of["per_class"])
        assert of["candidate"]["value"] == pytest.approx(sum(p.replay == p.label for p in rows) / len(rows))
        weighted = [p for p in rows if p.p]
        gain = sum(((p.replay == p.label) - (p.live == p.label)) / p.p for p in weighted)
        assert of["weighted"]["value"] == pytest.approx(gain / sum(1 / p.p for p in weighted))
    assert whole.to_dict(["audit"], least=10_000)["labels"]["decides"] is None
    apart = [p for p in pairs if p.live != p.replay]
    ranked = sorted(apart, key=rank_disagreement)
    assert [d["prediction_id"] for d in found["strongest"]] == [p.prediction_id for p in ranked[:50]]
    sure = [min(p.live_confidence, p.replay_confidence) for p in ranked
            if all(c is not None and 0 <= c <= 1 for c in (p.live_confidence, p.replay_confidence))]
    assert sure == sorted(sure, reverse=True)


def test_mcnemar_is_that_of_scipy():
    whole = Comparison()
    whole.add(make_pairs(random.Random(9), 300))
    by_origin = whole.to_dict([], 1)["labels"]["by_origin"]
    assert set(by_origin) == {"audit", "review", "feedback"}
    for of in by_origin.values():
        only, both = of["only_candidate"], of["only_candidate"] + of["only_live"]
        assert of["mcnemar"]["two_sided"] == pytest.approx(binomtest(only, both).pvalue)
