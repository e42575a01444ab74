"""What thresholds decide of an answer, by comparing numbers; and which were in force at a moment."""

import math

import numpy as np
import pytest

from contract import clock
from contract.accepting.thresholds import Thresholds, find_thresholds, read_state
from contract.deciding import changes
from contract.deciding.thresholds import accept_thresholds, clear_thresholds
from contract.documents.history import State, ThresholdsOf
from contract.errors import NoSuchVersion
from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny

HELD = Thresholds("3", {"cat": 0.85, "dog": 0.0, "owl": 1.0, "fox": 0.87}, "e", "2026-11-01", "2026-11-07")


@pytest.mark.parametrize("label", ["cat", "dog", "hen"])
def test_an_answer_is_accepted_at_or_above_the_threshold_of_its_class(label):
    near = [math.nextafter(0.85, 0), 0.85, math.nextafter(0.85, 1), 0.0, 1.0]
    for confidence in [*near, *np.random.default_rng(1).random(200).tolist()]:
        at = HELD.at.get(label)
        assert HELD.decide("3", label, confidence) == ("accept" if at is not None and confidence >= at else "review")


def test_one_between_two_edges_counts_as_the_next_edge_up():
    """As counts do, which know no finer ones."""
    assert [HELD.decide("3", "fox", c) for c in (0.87, 0.899, 0.9)] == ["review", "review", "accept"]
    assert [HELD.decide("3", "owl", c) for c in (0.95, 1.0)] == ["review", "review"]  # above the lower edge of the last bin


@pytest.mark.parametrize("confidence", [None, math.nan, -0.1, 1.1])
def test_without_a_confidence_a_person_looks(confidence):
    assert HELD.decide("3", "dog", confidence) == "review"


def test_thresholds_are_of_one_version():
    assert HELD.decide("4", "dog", 1.0) == "review"
    assert [HELD.chose_by(day) for day in ("2026-10-31", "2026-11-01", "2026-11-07", "2026-11-08")] == [False, True, True, False]


def test_a_state_of_an_earlier_release_has_none():
    assert read_state(State(live="1")) is None and read_state(State(live="1", thresholds={"a": 0.5})) is None


@pytest.fixture
def registry(tmp_root):
    for seed in (1, 2):
        publish_tiny(tmp_root, seed=seed)
    return Registry(open_root(tmp_root), "m")


def accept(registry, at, version="2"):
    of = ThresholdsOf(version=version, evaluation="e", first="2026-11-01", last="2026-11-07")
    return accept_thresholds(registry, at, of, by="ana", reason="good enough")


def test_each_change_is_one_record_and_what_held_at_a_moment_is_found_again(registry):
    before = clock.iso(clock.now())
    first = accept(registry, {"b": 0.9, "a": 0.8})
    assert first.written and first.record.change["kind"] == "thresholds" and first.record.change["by"] == "ana"
    assert not accept(registry, {"a": 0.8, "b": 0.9}).written
    second = accept(registry, {"a": 0.7})
    changes.set_alias(registry, "shadow", "1", by="ana", reason="to compare")
    assert registry.newest().state.thresholds == {"a": 0.7}  # other changes keep them
    registry.promote("1", by="ana", reason="back", expected_live="2")
    assert registry.newest().state.thresholds_of.version == "2" and registry.newest().state.live == "1"
    cleared = clear_thresholds(registry, by="ana", reason="no more")
    assert cleared.written and not clear_thresholds(registry, by="ana", reason="no more").written
    held = {moment: found and dict(found.at) for moment in (before, first.record.at, second.record.at, cleared.record.at)
            for found in [find_thresholds(Registry(registry.storage, "m"), moment)]}
    assert list(held.values()) == [None, {"a": 0.8, "b": 0.9}, {"a": 0.7}, None]


def test_a_version_that_was_never_published_has_none(registry):
    with pytest.raises(NoSuchVersion, match="9"):
        accept(registry, {"a": 0.5}, version="9")
