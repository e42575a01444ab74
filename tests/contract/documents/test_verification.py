"""Figures are compared leaf by leaf, and named so that a person finds them."""

import pytest

from contract.documents.verification import compare, conclude, is_same, list_figures, say


def test_figures_have_the_names_of_what_tells_their_rows_apart():
    classes = [{"label": "cat", "recall": {"low": 0.5}}, {"label": "dog", "recall": {"low": 0.6}}]
    value = {"versions": {"3": {"per_class": classes}},
             "gates": [{"gate": "accuracy", "days": 7, "p": 1}, {"gate": "accuracy", "days": 28, "p": 2}],
             "trend": [{"day": "d1", "version": "1"}, {"day": "d2", "version": "1"}], "edges": [0.1, 0.2], "none": [],
             "nothing": None}
    assert dict(list_figures(value)) == {
        "versions.3.per_class[cat].label": "cat", "versions.3.per_class[cat].recall.low": 0.5,
        "versions.3.per_class[dog].label": "dog", "versions.3.per_class[dog].recall.low": 0.6,
        "gates[accuracy/7].gate": "accuracy", "gates[accuracy/7].days": 7, "gates[accuracy/7].p": 1,
        "gates[accuracy/28].gate": "accuracy", "gates[accuracy/28].days": 28, "gates[accuracy/28].p": 2,
        "trend[1/d1].day": "d1", "trend[1/d1].version": "1", "trend[1/d2].day": "d2", "trend[1/d2].version": "1",
        "edges[0]": 0.1, "edges[1]": 0.2, "none": [], "nothing": None}


def test_what_differs_lacks_or_came_is_named_with_both_values():
    found = compare("x", {"a": 1, "b": {"c": 0.25}, "gone": True}, {"a": 1, "b": {"c": 0.5}, "new": "y"})
    assert found == {"of": "x", "state": "differs", "said": "3 of 4 figures differ", "equal": 1, "differ": [
        {"figure": "b.c", "told": 0.25, "recomputed": 0.5}, {"figure": "gone", "told": True, "recomputed": None},
        {"figure": "new", "told": None, "recomputed": "y"}]}


@pytest.mark.parametrize(("one", "other", "same"), [
    (0.1 + 0.2, 0.3, True), (1.0, 1, True), (0.3, 0.3000001, False), (1, True, False), (0, False, False), (None, 0, False),
    ("1", 1, False), (1e-300, 2e-300, True), (0.0, 1e-12, False), ([], {}, False), ("a", "a", True)])
def test_numbers_are_one_figure_up_to_rounding_and_nothing_else_is(one, other, same):
    assert is_same(one, other) is is_same(other, one) is same


@pytest.mark.parametrize(("states", "code"), [
    ([], 0), (["equal", "no content hash", "not recomputed"], 0), (["equal", "expired"], 4), (["erased"], 4),
    (["cannot tell"], 4), (["expired", "differs"], 3), (["missing", "cannot tell"], 3)])
def test_the_worst_that_was_found_is_the_exit_code(states, code):
    assert conclude(say("x", state, "") for state in states) == code
