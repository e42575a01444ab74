"""A confidence is compared with the doubles k/20; every place that bins agrees, to the last double."""

import numpy as np
import pytest

from contract.confidence import EDGES, NO_BIN, confidence_bins
from jobs.engines import rules
from jobs.engines.embedded import cells as embedded
from jobs.engines.spark import cells as spark
from tests import oracle


@pytest.mark.parametrize("k", range(20))
def test_bins_compare_with_the_doubles(k):
    below = k - 1 if k else NO_BIN
    assert confidence_bins(np.array([k / 20, np.nextafter(k / 20, -1)])).tolist() == [k, below]
    assert confidence_bins(np.array([1.0, float("nan")])).tolist() == [19, NO_BIN]


def awkward():
    """Every edge with its neighbouring doubles, what has no bin, and 10,000 values between."""
    near = [float(np.nextafter(k / 20, towards)) for k in range(21) for towards in (-1, 2)]
    strange = [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324]
    return np.array([*EDGES, *near, *strange, *np.random.default_rng(1).random(10_000)])


def test_a_column_is_binned_as_each_of_its_values_and_as_the_engines_do():
    values = awkward()
    expected = [max((k for k in range(20) if k / 20 <= v), default=None) if 0 <= v <= 1 else None for v in values.tolist()]
    assert [None if k == NO_BIN else k for k in confidence_bins(values).tolist()] == expected
    assert [rules.confidence_bin(v) for v in values.tolist()] == expected
    assert [oracle.confidence_bin(v) for v in values.tolist()] == expected
    for engine, null in ((embedded, embedded.NULL), (spark, spark.NULL)):
        assert [None if k == null else k for k in engine.confidence_bins(values).tolist()] == expected
