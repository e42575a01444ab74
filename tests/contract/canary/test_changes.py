"""A canary in the history: each change is one record, and only one of two writers wins."""

import threading
from pathlib import Path

import pytest

from contract.canary import changes
from contract.canary.documents import Bounds, Canary, ReplicaCounts, StepCounts, sum_counts
from contract.deciding import changes as deciding
from contract.errors import PointerMoved, UsageError
from contract.registry import Registry
from contract.storage import open_storage
from pipeline.canary.drive import describe_end
from tests.pipeline.roots import MODEL, make_root, write_version

STEPS = [0.1, 0.5]


@pytest.fixture
def registry(tmp_root):
    """Version 1 of three is live."""
    make_root(tmp_root, right=1, n=2)
    registry = Registry(open_storage(tmp_root), MODEL)
    for _ in range(2):
        write_version(registry, registry.claim(by="test"), Path(tmp_root))
    return registry


def start(registry, version="2", **more) -> Canary:
    return changes.start(registry, version, STEPS, Bounds(), by="ana", reason="to try it", **more).record.state.canary


def last(registry):
    return registry.newest()


def test_it_starts_steps_and_is_made_live(registry):
    canary = start(registry)
    assert (canary.share, canary.live, last(registry).change["share"]) == (0.1, "1", 0.1)
    further = changes.step(registry, canary, by="ana", reason="well").record.state.canary
    assert (further.share, further.salt) == (0.5, canary.salt)
    with pytest.raises(UsageError, match="last step"):
        changes.step(registry, further, by="ana", reason="well")
    changes.promote(registry, further, by="ana", reason="well")
    assert (last(registry).state.live, last(registry).state.canary) == ("2", None)
    assert changes.find_end(registry, canary.salt).seq == last(registry).seq
    kinds = [r.change["kind"] for r in registry.history()][1:]
    assert kinds == ["canary started", "canary step", "canary promoted"]


def test_one_that_is_withdrawn_leaves_what_is_live(registry):
    canary = start(registry)
    changes.withdraw(registry, canary, by="ana", reason="bad")
    assert (last(registry).state.live, last(registry).state.canary) == ("1", None)
    for late in (changes.withdraw, changes.step, changes.promote):
        with pytest.raises(PointerMoved):
            late(registry, canary, by="ben", reason="late")
    assert start(registry).salt != canary.salt


def test_two_drivers_write_one_record(registry):
    canary, outcomes, gate = start(registry), [], threading.Barrier(4)

    def step():
        own = Registry(registry.storage, MODEL)
        gate.wait()
        try:
            outcomes.append(changes.step(own, canary, by="driver", reason="well").record.state.canary.step)
        except PointerMoved:
            outcomes.append(None)

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [1, None, None, None] and last(registry).state.canary.step == 1


def test_another_one_or_the_live_version_is_refused(registry):
    with pytest.raises(UsageError, match="live already"):
        start(registry, "1")
    start(registry)
    with pytest.raises(UsageError, match="a canary runs already"):
        start(registry, "3")
    with pytest.raises(UsageError, match="is a canary"):
        registry.delete("2", "ana", "space")


def test_whoever_makes_a_version_live_ends_it(registry):
    canary = start(registry)
    registry.promote("3", by="ana", reason="by hand", expected_live="1")
    assert last(registry).state.canary is None and changes.find_end(registry, canary.salt).state.live == "3"


def test_who_retires_the_model_ends_it_and_its_weights_may_go(registry):
    canary = start(registry)
    deciding.retire(registry, by="ana", reason="over")
    assert last(registry).state.canary is None and changes.find_end(registry, canary.salt).seq == last(registry).seq
    assert "The model was retired by ana" in describe_end(canary, last(registry))
    registry.delete("2", by="ana", reason="over")
    assert last(registry).state.deleted == ["2"]


def test_a_release_that_did_not_know_of_it_ends_it_too(registry):
    start(registry)
    registry.change({"kind": "promote", "version": "3", "by": "old", "reason": "old"}, {"live": "3"}, "1")
    assert last(registry).state.canary is not None and changes.find_canary(registry) is None
    assert start(registry, "2").live == "3"


def test_a_run_that_asks_again_finds_its_own_record(registry):
    canary = start(registry, run="digits/1")
    assert start(registry, run="digits/1") == canary and last(registry).seq == 2
    changes.promote(registry, canary, by="cycle", reason="well", run="digits/1")
    assert changes.find_record(registry, None, "digits/1").change["kind"] == "canary promoted"


def test_counts_of_replicas_add_by_step():
    def counted(replica, steps):
        return ReplicaCounts(model="m", salt="s", version="2", replica=replica, at="2026-11-20T08:00:00Z",
                             steps={step: StepCounts(answers=n, errors=1) for step, n in steps.items()})

    found = sum_counts([counted("a", {0: 5, 1: 2}), counted("b", {0: 7})])
    assert {step: (c.answers, c.errors) for step, c in found.items()} == {0: (12, 2), 1: (2, 1)}
    document = counted("a", {0: 5})
    assert ReplicaCounts.parse(document.to_dict(), "x") == document
