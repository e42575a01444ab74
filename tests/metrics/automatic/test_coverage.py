"""The threshold for a target misses it no more often than is said, however often it is drawn; what looks best misses it often."""

import pytest

from benchmarks import accept_targets


@pytest.mark.parametrize(("target", "uneven"), [(0.95, False), (0.98, True)])
def test_the_worst_case_misses_its_target_at_most_as_often_as_is_said(target, uneven):
    """400 labellings: 5% and three standard deviations."""
    found = accept_targets.measure("edge", 1000, target, uneven, 400)["missed"]
    assert found["sequence"] <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    assert found["share"] > 0.3


def test_a_good_model_is_automated_to_a_large_part():
    found = accept_targets.measure("modest", 4000, 0.98, False, 50)
    assert found["missed"]["sequence"] <= 0.06 and found["automated"]["sequence"] > 0.7 * found["best"] > 0


def test_it_runs(capsys):
    assert accept_targets.main(["--runs", "2"]) == 0
    assert "most often missed" in capsys.readouterr().out
