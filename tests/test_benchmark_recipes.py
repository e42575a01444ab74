"""The benchmark of recipes: its intervals, its tasks, and that pairs are pairs."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import recipe_tasks, recipes


def test_a_means_interval_is_students():
    values = [0.01, -0.02, 0.03, 0.005]
    found = recipes.estimate_mean(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found["value"], found["low"], found["high"]) == pytest.approx((np.mean(values), low, high))
    low, high = stats.t.interval(1 - 0.05 / 10, 3, np.mean(values), stats.sem(values))
    many = recipes.compare({"a": {"default": [0.0] * 4, "x": values}}, "x", 10)["of many"]
    assert (many["low"], many["high"]) == pytest.approx((low, high))
    assert recipes.estimate_mean([0.5]) == {"value": 0.5, "low": None, "high": None}


def test_differences_are_paired_by_seed_and_averaged_over_tasks():
    accuracy = {"a": {"default": [0.5, 0.6], "x": [0.6, 0.7]}, "b": {"default": [0.9, 0.8], "x": [0.8, 0.7]}}
    found = recipes.compare(accuracy, "x", 1)
    assert found["of many"] == found["all"]
    assert found["a"] == pytest.approx({"value": 0.1, "low": 0.1, "high": 0.1}, abs=1e-9)
    assert found["all"] == pytest.approx({"value": 0, "low": 0, "high": 0}, abs=1e-9)


@pytest.mark.parametrize("task", recipe_tasks.TASKS)
def test_no_picture_of_a_task_is_in_two_parts_and_seeds_make_others(task):
    make, classes = recipe_tasks.TASKS[task]
    one, other = make(1), make(2)
    hashes = [h for rows in one.values() for h in rows.hashes]
    assert len(hashes) == len(set(hashes))
    for part, rows in one.items():
        assert rows.images.shape[1:] == (3, recipe_tasks.SIDE, recipe_tasks.SIDE)
        assert set(rows.labels.tolist()) == set(range(len(classes)))
        assert rows.hashes != other[part].hashes
