"""Temperature and vector scaling against scipy's own minimisers, a grid, and simulations whose truth is known."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from contract.errors import EmptyData, NotFinite
from metrics.held_out import HeldOutRows, measure_calibration_error
from training.fit.scaling import COOLEST, HOTTEST, fit_temperature, fit_vector, measure_loss


def simulate(rng, n, classes, temperature, spread=2.0):
    """Logits that are `temperature` times too large for labels that are drawn from them."""
    z = rng.normal(0, spread, (n, classes))
    return temperature * z, (z + rng.gumbel(size=z.shape)).argmax(1)  # drawn with probability softmax(z)


def smoothed(z, truth):
    """Targets with one further row of average outputs and any class, written out."""
    n, classes = z.shape
    target = np.zeros(z.shape)
    for row, place in enumerate(truth):
        target[row, place] = 1
    return (n * target + 1 / classes) / (n + 1)


def loss_at(temperature, z, truth):
    return -(smoothed(z, truth) * log_softmax(z / temperature, axis=1)).sum(1).mean()


def ece(z, truth):
    rows = softmax(z, axis=1)
    best, n = rows.argmax(1), len(truth)
    return measure_calibration_error(HeldOutRows([str(k) for k in best], rows[np.arange(n), best], [str(k) for k in truth],
                                                 ["audit"] * n, np.full(n, np.nan)))["ece"]


@pytest.mark.parametrize("seed", range(4))
def test_the_temperature_is_that_of_a_grid_and_of_scipy(seed):
    rng = np.random.default_rng(seed)
    z, truth = simulate(rng, int(rng.integers(30, 400)), int(rng.integers(2, 12)), float(rng.uniform(0.3, 6)))
    found = fit_temperature(z, truth)
    grid = np.geomspace(0.05, 20, 400)
    best = grid[np.argmin([loss_at(t, z, truth) for t in grid])]
    assert found == pytest.approx(best, rel=1e-2)
    by_scipy = np.exp(minimize(lambda u: loss_at(np.exp(u[0]), z, truth), [0.0], method="Nelder-Mead",
                               options={"xatol": 1e-9, "fatol": 1e-14}).x[0])
    assert found == pytest.approx(by_scipy, abs=1e-4)


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_of_many_rows_it_finds_what_was_planted(planted):
    z, truth = simulate(np.random.default_rng(3), 20_000, 5, planted)
    assert fit_temperature(z, truth) == pytest.approx(planted, rel=0.03)


def test_answers_never_change_and_the_order_of_classes_does_not_either():
    rng = np.random.default_rng(4)
    for _ in range(50):
        z, truth = simulate(rng, 60, 7, float(rng.uniform(0.2, 8)))
        scaled = z / fit_temperature(z, truth)
        np.testing.assert_array_equal(np.argsort(scaled, axis=1), np.argsort(z, axis=1))


def test_the_calibration_error_of_overconfident_outputs_falls_on_rows_that_were_not_fitted():
    z, truth = simulate(np.random.default_rng(5), 9000, 10, 3.0)
    fitted, unseen = slice(0, 3000), slice(3000, None)
    temperature = fit_temperature(z[fitted], truth[fitted])
    before, after = ece(z[unseen], truth[unseen]), ece(z[unseen] / temperature, truth[unseen])
    of_the_truth = ece(z[unseen] / 3.0, truth[unseen])  # what chance alone leaves
    assert before > 0.15 and after < of_the_truth + 0.015 < 0.05
    assert measure_loss(z[unseen] / temperature, truth[unseen]) < measure_loss(z[unseen], truth[unseen])


def test_all_right_on_few_rows_is_no_certainty():
    """Without the further row the best temperature would be 0."""
    z = 4.0 * np.eye(3)[np.arange(30) % 3]
    found = fit_temperature(z, np.arange(30) % 3)
    said = softmax(z / found, axis=1).max(1).mean()
    assert COOLEST < found < 1 and said == pytest.approx((30 + 1 / 3) / 31, abs=1e-3)  # as the rule of succession has it


def test_bounds_hold_and_outputs_that_say_nothing_get_one():
    wrong = 5.0 * np.eye(2)[np.zeros(40, int)]
    assert fit_temperature(wrong, np.ones(40, int)) == HOTTEST
    assert fit_temperature(1e-6 * np.eye(3)[np.arange(60) % 3], np.arange(60) % 3) == COOLEST
    assert fit_temperature(np.full((40, 3), 7.0), np.zeros(40, int)) == 1.0
    with pytest.raises(EmptyData, match="at least one row"):
        fit_temperature(np.empty((0, 3)), np.empty(0, int))
    with pytest.raises(NotFinite, match="expected finite outputs"):
        fit_temperature(np.full((40, 3), np.nan), np.zeros(40, int))


def test_huge_outputs_do_not_overflow():
    z = 1e6 * np.eye(3)[np.arange(60) % 3]
    truth = np.where(np.arange(60) < 12, (np.arange(60) + 1) % 3, np.arange(60) % 3)
    assert fit_temperature(z, truth) == HOTTEST and np.isfinite(measure_loss(z, truth))


def test_order_of_rows_and_float32_change_nothing_that_is_kept():
    rng = np.random.default_rng(6)
    z, truth = simulate(rng, 500, 6, 2.0)
    order = rng.permutation(500)
    assert fit_temperature(z[order], truth[order]) == fit_temperature(z, truth)
    assert fit_temperature(z.astype(np.float32), truth) == pytest.approx(fit_temperature(z, truth), abs=2e-4)


@pytest.mark.parametrize("seed", range(3))
def test_vector_scaling_is_where_scipy_finds_no_descent(seed):
    """Another minimiser, without our gradient, from another start, ends at the same place: the function is convex."""
    rng = np.random.default_rng(seed)
    z, truth = simulate(rng, 200, 3, 2.0)
    z += 5.0  # what softmax does not see is scaled for each class, so it counts here, as it will when pictures are answered
    n, target = len(z), smoothed(z, truth)

    def loss(both):
        scale, bias = both[:3], both[3:]
        prior = (((scale - 1) ** 2).sum() + (bias ** 2).sum()) / (2 * n)
        return -(target * log_softmax(z * scale + bias, axis=1)).sum() / n + prior

    other = minimize(loss, rng.normal(0, 1, 6), method="BFGS", options={"gtol": 1e-7})
    found = fit_vector(z, truth)
    np.testing.assert_allclose(np.concatenate(found), other.x, atol=2e-3)


def test_vector_scaling_takes_away_what_is_said_too_often():
    rng = np.random.default_rng(7)
    z, truth = simulate(rng, 6000, 4, 1.0)
    shifted = z + np.array([1.5, 0, 0, 0])
    found = fit_vector(shifted[:3000], truth[:3000])
    corrected = shifted[3000:] * found.scale + found.bias
    assert (corrected.argmax(1) == truth[3000:]).mean() > (shifted[3000:].argmax(1) == truth[3000:]).mean() + 0.02
