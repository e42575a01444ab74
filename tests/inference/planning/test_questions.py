"""Which question an audit is planned for."""

import pytest

from contract.errors import UsageError
from inference.planning.questions import choose_question, parse_towards


def gate(name, verdict="pass", value=0.95, low=0.93, high=0.97, bound=0.9, **more):
    return {"gate": name, "verdict": verdict, "value": value, "low": low, "high": high, "bound": bound, **more}


def wish(name, labels, label=None, blocks=True):
    return {"gate": name, "label": label, "blocks": blocks, "labels": labels, "items": labels}


def decide(*gates, wishes=()):
    return {"gates": list(gates), "wishes": {"rows": list(wishes)}}


def test_before_any_decision_it_is_accuracy():
    found = choose_question(None)
    assert (found.towards.text, found.gate, found.why) == ("overall", "accuracy", "no gate has decided yet")


@pytest.mark.parametrize("wishes, towards, asks", [
    ([wish("accuracy", 300), wish("class_recall", 40, "cat", blocks=False)], "overall", "accuracy"),
    ([wish("coverage", 300), wish("class_recall", 40, "cat", blocks=False)], "recall:cat", "class_recall"),
    ([wish("accuracy", None), wish("class_precision", 40, "a:b", blocks=False)], "precision:a:b", "class_precision"),
    ([wish("slices", 40, "camera=2", blocks=False)], "slice:camera=2", "slices"),
    ([wish("drop_from_baseline", 40)], "overall", "drop_from_baseline"),
    ([wish("accuracy", None)], "overall", "accuracy"),
])
def test_what_is_open_comes_first_where_labels_can_decide_it(wishes, towards, asks):
    found = choose_question(decide(gate("accuracy"), wishes=wishes))
    assert (found.towards.text, found.gate) == (towards, asks)


def test_else_what_is_nearest_to_its_bound_in_widths_of_its_interval():
    """0.95 is 1.25 widths from 0.9, cat 0.5 widths from 0.7, though by 10 points; who is not judged does not count."""
    rows = [gate("", label="cat", value=0.8, low=0.7, high=0.9), gate("", "not judged", label="dog", value=0.7)]
    rows = [{k: v for k, v in row.items() if k not in ("gate", "bound")} for row in rows]
    found = choose_question(decide(gate("accuracy"), gate("class_recall", bound=0.7, classes=rows), gate("drift", value=0.01)))
    assert (found.towards.text, found.why) == ("recall:cat", "of all that is decided it is nearest to its bound")
    assert choose_question(decide(gate("accuracy"), gate("class_recall", bound=0.5, classes=rows))).gate == "accuracy"


def test_a_policy_that_judges_no_share_leaves_accuracy():
    assert choose_question(decide(gate("freshness", value=None))).towards.text == "overall"


@pytest.mark.parametrize("text", ["", "overall:cat", "class", "class:", "slice:camera", "cat", "recall"])
def test_other_words_are_refused(text):
    with pytest.raises(UsageError, match="expected overall, class:NAME"):
        parse_towards(text)
