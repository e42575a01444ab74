"""What benchmarks.picks says of its runs, on accuracies written by hand."""

import pytest

from benchmarks.picks_text import find_as_good, summarise, text

LABELS = (30, 50, 60, 100)


def make_rows():
    """Two seeds, two random draws each; the second seed's accuracies are 0.1 higher."""
    rows = [{"seed": seed, "how": "random", "draw": draw, "labels": n, "accuracy": 0.3 + seed / 10 + n / 500 + (draw - 0.5) / 50}
            for seed in (1, 2) for draw in (0, 1) for n in LABELS]
    rows += [{"seed": seed, "how": "picked", "draw": 0, "labels": n, "accuracy": 0.3 + seed / 10 + n / 500 + gain}
             for seed, gain in ((1, 0.03), (2, 0.05)) for n in (30, 60)]
    return [*rows, {"seed": 1, "how": "version 1", "labels": 0, "accuracy": 0.3}]


def test_picks_are_compared_with_random_choice_run_by_run():
    """30 picks with 50 random labels, which are worth 0.04 more than 30; 60 with 100, worth 0.08 more."""
    fewer, more = summarise(make_rows(), ["picked"], "random", (30, 60))["aims"]
    assert (fewer["picked"], fewer["labels"]) == (30, 50) and fewer["by_run"] == pytest.approx([-0.01, 0.01])
    assert (fewer["difference"], fewer["error"]) == pytest.approx((0, 0.01)) and fewer["runs_reached"] == 1
    assert (more["picked"], more["labels"], more["runs_reached"]) == (60, 100, 0) and more["difference"] == pytest.approx(-0.04)


def test_as_good_is_how_many_random_labels_reach_the_same():
    """0.04 is worth 20 labels."""
    fewer, more = summarise(make_rows(), ["picked"], "random", (30, 60))["aims"]
    assert (fewer["as_good"], more["as_good"]) == ("50", "80")
    assert (find_as_good(make_rows(), "random", 0.1), find_as_good(make_rows(), "random", 0.99)) == ("<30", ">100")


def test_the_table_says_the_accuracies_and_the_interval_over_seeds():
    said = text(summarise(make_rows(), ["picked"], "random", (30,)), [1, 2])
    assert "51.0 +- 5.0" in said  # random, 30
    assert ("picked, 30 labels, minus 50 random ones: +0.0 points +- 1.0 (-1.0 to +1.0), reached in 1 of 2; as good as 50 "
            "random") in said
