"""Versions in roles are loaded beside the live one, and let go, as the history says; a bad one harms nothing."""

import pytest

from contract.deciding import changes
from contract.registry import Registry
from contract.storage import open_root
from inference.live.follower import Follower
from inference.live.model import LiveModel
from inference.telemetry import Metrics
from tests.inference import exits
from tests.inference.live.looks import follow
from tests.inference.published import publish_tiny
from tests.inference.serving import until
from tests.inference.test_bad_versions import publish_ending


@pytest.fixture
def registry(tmp_root):
    """Versions 1 (live again), 2 and 3."""
    for seed in (1, 2, 3):
        publish_tiny(tmp_root, seed=seed)
    registry = Registry(open_root(tmp_root), "m")
    registry.promote("1", by="test", reason="test", expected_live="3")
    return registry


def name(registry, version, alias="shadow"):
    return changes.set_alias(registry, alias, version, by="ana", reason="to compare")


def versions(live):
    return {role: predictor.card.version for role, predictor in live.beside.predictors.items()}


def test_a_shadow_is_taken_changed_and_let_go(registry):
    live = LiveModel(registry.storage, "m", 4, Metrics())
    follow(live)
    assert (live.version, versions(live)) == ("1", {})
    for version in ("2", "3", None, "2"):
        name(registry, version)
        follow(live)
        assert (live.version, versions(live)) == ("1", {"shadow": version} if version else {})
    registry.promote("2", by="test", reason="test", expected_live="1")
    follow(live)
    assert (live.version, versions(live)) == ("2", {})  # it is the live one now, and computes once


def test_a_retired_model_keeps_no_weights_in_memory(registry):
    name(registry, "2")
    live = LiveModel(registry.storage, "m", 4, Metrics())
    follow(live)
    assert versions(live) == {"shadow": "2"}
    changes.retire(registry, by="ana", reason="over")
    follow(live)
    assert (live.version, versions(live), live.count_bytes()) == (None, {}, 0)


def test_a_shadow_that_cannot_be_loaded_is_named_and_the_live_version_answers(registry, tmp_root):
    publish_ending(tmp_root, "build_exit")
    registry.promote("1", by="test", reason="test", expected_live="4")
    name(registry, "4")
    live = LiveModel(registry.storage, "m", 4, Metrics())
    follow(live)
    refused = live.beside.refused["shadow"]
    assert (live.version, live.refused, versions(live)) == ("1", None, {})
    assert refused.version == "4" and "SystemExit" in refused.reason and refused.for_good
    name(registry, "3")
    follow(live)
    assert versions(live) == {"shadow": "3"} and not live.beside.refused


def test_another_alias_computes_nothing(registry):
    name(registry, "2", "before-the-move")
    live = LiveModel(registry.storage, "m", 4, Metrics())
    follow(live)
    assert versions(live) == {}


def test_a_shadow_that_hangs_while_it_is_tried_keeps_no_live_version_away(registry, tmp_root):
    publish_ending(tmp_root, "build_hanging")
    registry.promote("1", by="test", reason="test", expected_live="4")
    exits.HANGS.clear()
    live, follower = LiveModel(registry.storage, "m", 4, Metrics()), Follower(0.05)
    live.follow_live()
    follower.add(live)
    name(registry, "4")
    until(lambda: live.aliases == {"shadow": "4"})
    registry.promote("2", by="test", reason="test", expected_live="1")
    try:
        until(lambda: live.version == "2")
    finally:
        exits.HANGS.set()
    until(lambda: live.beside.refused.get("shadow"))  # it raises at its first picture
    follower.stop()
    assert (live.version, versions(live)) == ("2", {})
