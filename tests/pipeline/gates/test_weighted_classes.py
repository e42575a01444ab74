"""Class gates where rows were drawn with unequal probabilities, and where rows were called wrong without a class."""

import numpy as np
import pytest

from contract.counts import UNNAMED
from contract.policy import GatePolicy
from metrics.selection.origin_sums import Sums
from metrics.significance.share_of_class import judge_weighted
from pipeline.gates.classes import judge_classes_and_slices
from pipeline.gates.tally import tally
from tests.figures import cell, table

POLICY = GatePolicy(min_class_recall=0.8, min_class_precision=0.5, min_class_support=30)


def gates(cells, policy=POLICY):
    made = judge_classes_and_slices(policy, tally(table("cells", cells), "1", policy.trusted_origins))
    return {gate["gate"]: gate for gate in made}


def test_a_class_gate_weighs_rows_as_they_stand_for_others():
    """Mistakes were asked twenty times as often: 90% of the class is right, where the plain share says 50%."""
    cells = [cell("a", "a", origin="audit", p=0.05, n=300), cell("b", "a", origin="audit", p=0.5, n=300),
             cell("b", "b", origin="audit", p=0.5, n=3000)]
    row = next(r for r in gates(cells)["class_recall"]["classes"] if r["label"] == "a")
    assert row["value"] == pytest.approx(300 / 0.05 / (300 / 0.05 + 300 / 0.5), abs=1e-3) and row["right"] is None
    assert row["n_effective"] == pytest.approx((300 * 20 + 300 * 2) ** 2 / (300 * 400 + 300 * 4), rel=1e-3)
    assert row["verdict"] == "pass" and row["n"] == 600


def test_equal_probabilities_are_counted_exactly_over_all_trusted_origins():
    cells = [cell("a", "a", origin="audit", p=0.1, n=40), cell("a", "a", origin="import", n=40),
             cell("b", "a", origin="audit", p=0.1, n=10)]
    row = next(r for r in gates(cells)["class_recall"]["classes"] if r["label"] == "a")
    assert (row["right"], row["n"]) == (80, 90)


def test_a_class_that_holds_only_without_the_unnamed_rows_is_not_told():
    cells = [cell("a", "a", origin="review", n=95), cell("b", "a", origin="review", n=5), cell("b", "b", origin="review", n=90)]
    policy = POLICY.model_copy(update={"trusted_origins": ("review",)})
    assert gates(cells, policy)["class_recall"]["verdict"] == "pass"
    gate = gates([*cells, cell("b", UNNAMED, origin="review", n=40)], policy)["class_recall"]
    row = next(r for r in gate["classes"] if r["label"] == "a")
    assert (gate["verdict"], gate["reason"]) == ("cannot tell", "unnamed") and "Name their classes" in gate["sentence"]
    assert row["value"] == pytest.approx(0.95) and row["low"] < 0.8 <= row["low_named"]  # 40 more may be missed a
    assert UNNAMED not in [r["label"] for r in gate["classes"]]
    assert next(r for r in gates([*cells, cell("b", UNNAMED, origin="review", n=40)], policy)["class_precision"]["classes"]
                if r["label"] == "b")["n"] == 135  # they are mistakes of what was predicted


def simulate(draws, seed, n=20, heavy_share=0.1, heavy=20, truth=0.8):
    """Classes of `n` rows at the bound, of which one in ten stands for twenty times as many as the others."""
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random((draws, n)) < heavy_share, heavy, 1) * 2**16
    right = rng.random((draws, n)) < truth
    for w, r in zip(weight, right, strict=True):
        yield Sums(n, int(r.sum()), n, int(w.sum()), int((w * w).sum()), int((w * r).sum()), int((w * w * r).sum()))


def test_healthy_classes_with_a_few_heavy_rows_fail_seldom():
    found = [judge_weighted(0.8, sums, Sums(), 0.95)["p"] for sums in simulate(4000, 7)]
    assert np.mean(np.array(found) <= 0.001) <= 0.006
