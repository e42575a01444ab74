"""New labels and mismatches since the live version's dataset."""

from metrics.since_dataset import Learnt
from tests.figures import cell, day, document

DAYS = (day([cell("a", "b", n=9)], "2026-11-18"), day([cell("a", "b", n=2), cell("a", "a", n=3), cell("a", n=8)], "2026-11-19"),
        day([cell("b", "a", n=1, version="2")], "2026-11-20"))


def test_only_days_after_the_datasets_window_are_new():
    found = document(*DAYS, learnt=Learnt("2", "d1", "2026-11-18"))["since_dataset"]
    assert (found["dataset"], found["labelled"], found["mismatches"]) == ("d1", 6, 3)
    assert found["per_class"] == [{"label": "a", "labelled": 4, "mismatches": 1}, {"label": "b", "labelled": 2, "mismatches": 2}]


def test_without_a_known_dataset_everything_counts_as_new_and_says_so():
    found = document(*DAYS, learnt=Learnt("1", None, None))["since_dataset"]
    assert found["labelled"] == 15 and "is not known" in found["reason"]
    assert document(*DAYS)["since_dataset"] is None
