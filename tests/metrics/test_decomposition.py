"""What changed: two parts that add up, and nothing invented where one side has nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.decomposition import change
from tests.figures import cell, day, document

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=6)


def version(classes, new=()):
    return {"per_class": [{"label": k, "right": right, "support": right + wrong} for k, (right, wrong) in classes.items()],
            "new_labels": [{"label": k, "count": n} for k, n in new]}


@given(COUNTS, COUNTS, st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 99)), max_size=2, unique_by=lambda x: x[0]))
def test_the_parts_sum_to_the_total(before, after, new):
    found = change(version(before), version(after, new))
    if found["total"]["value"] is None:
        assert found["reason"].startswith("no labels") and found["classes"] == []
        return
    assert found["mix"] + found["accuracy"] == pytest.approx(found["total"]["value"], abs=1e-12)
    assert sum(r["mix"] + r["accuracy"] for r in found["classes"]) == pytest.approx(found["total"]["value"], abs=1e-12)


def test_only_the_mix_changed():
    found = change(version({"a": (90, 10), "b": (50, 50)}), version({"a": (45, 5), "b": (250, 250)}))
    assert found["accuracy"] == 0 and found["mix"] == pytest.approx(found["total"]["value"]) and found["mix"] < 0


def test_only_the_accuracy_of_one_class_changed():
    found = change(version({"a": (90, 10), "b": (90, 10)}), version({"a": (90, 10), "b": (40, 60)}))
    assert found["mix"] == 0 and found["classes"][0]["label"] == "b"
    assert found["classes"][0]["accuracy"] == pytest.approx(-0.25)
    assert found["total"]["low"] < -0.25 < found["total"]["high"] < 0


def test_a_real_document_gives_its_own_accuracy():
    before = document(day([cell("a", "a", n=70), cell("a", "b", n=30)]))["versions"]["1"]
    after = document(day([cell("a", "a", n=50), cell("b", "b", n=30), cell("b", "new", n=20)]), classes={"1": ["a", "b"]}
                     )["versions"]["1"]
    found = change(before, after)
    assert found["total"]["value"] == pytest.approx(after["accuracy"]["value"] - before["accuracy"]["value"], abs=1e-12)
    assert {row["label"] for row in found["classes"]} == {"a", "b", "new"}
