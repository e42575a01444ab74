"""What the soak says of a canary: a row of another version or role is found, and so is one that answered nothing."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.soak import check_canary, compare
from benchmarks.soak_beside import add_beside, list_salts, start_canary
from contract import layout
from contract.canary import changes
from contract.canary.documents import ReplicaCounts, StepCounts
from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny

ANSWERED = {"a": "1", "b": "4", "c": "4"}
ROWS = [("a", "live", "1"), ("a", "shadow", "3"), ("b", "canary", "4"), ("c", "canary", "4"), ("cut off", "canary", "4")]


@pytest.fixture
def registry(tmp_root):
    """Version 1 is live, 4 is its canary."""
    for _ in range(4):
        publish_tiny(tmp_root, weights=b"none")
    registry = Registry(open_root(tmp_root), "m")
    registry.promote("1", by="test", reason="test", expected_live="4")
    start_canary(registry, "4", 0.2)
    return registry


def put_rows(tmp_path, rows):
    folder = tmp_path / "root" / "predictions" / "dt=2026-11-20"
    folder.mkdir(parents=True, exist_ok=True)
    names = ("prediction_id", "role", "model_version")
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), folder / "rows.parquet")


def put_counts(registry, answers, errors=0, stopped=None):
    salt = list_salts(registry)[-1]
    made = ReplicaCounts(model="m", salt=salt, version="4", replica="r", at="2026-11-20T08:00:00Z", stopped=stopped,
                         steps={0: StepCounts(answers=answers, errors=errors)})
    registry.storage.put(layout.canary_counts("m", salt, "r"), made.to_bytes())


def test_rows_as_they_should_be_hold(registry, tmp_root, tmp_path):
    put_rows(tmp_path, ROWS)
    put_counts(registry, answers=4, errors=1)
    found = check_canary(tmp_root, "4", ANSWERED)
    assert found["holds"] and (found["acknowledged"], found["rows"], found["counted"], found["errors"]) == (2, 3, 3, 1)
    assert compare(tmp_root, "predictions", "prediction_id", ANSWERED) == {
        "acknowledged": 3, "in_bucket": 4, "lost": 0, "beside": 1, "twice": 0}


@pytest.mark.parametrize("wrong", [("b", "live", "4"), ("b", "canary", "1"), ("b", "live", "1"), ("a", "canary", "4")])
def test_a_row_of_another_version_or_role_is_found(registry, tmp_root, tmp_path, wrong):
    put_rows(tmp_path, [*(row for row in ROWS if row[0] != wrong[0]), wrong])
    put_counts(registry, answers=4)
    found = check_canary(tmp_root, "4", ANSWERED)
    assert not found["holds"] and found["first_misplaced"] == [wrong[0]]


def test_a_canary_that_answered_nothing_or_was_stopped_does_not_hold(registry, tmp_root, tmp_path):
    put_rows(tmp_path, ROWS)
    assert not check_canary(tmp_root, "4", ANSWERED)["holds"]  # no counts at all
    put_counts(registry, answers=4, stopped="slow")
    assert check_canary(tmp_root, "4", ANSWERED)["stopped"] == ["slow"]
    put_counts(registry, answers=4)
    assert check_canary(tmp_root, "4", ANSWERED)["holds"]
    assert not check_canary(tmp_root, "4", {"a": "1"})["holds"]  # none of the answers was its


def test_a_swap_ends_it_and_it_is_started_beside_what_is_live_then(registry):
    start_canary(registry, "4", 0.2)  # one runs
    registry.promote("2", by="test", reason="test", expected_live="1")
    assert changes.find_canary(registry) is None
    start_canary(registry, "4", 0.2)
    assert (changes.find_canary(registry).live, len(list_salts(registry))) == ("2", 2)


def test_versions_beside_are_published_and_the_second_stays_live(tmp_root):
    for seed in (1, 2):
        publish_tiny(tmp_root, seed=seed)
    assert add_beside(tmp_root, shadow=True, share=0.1) == "4"
    state = Registry(open_root(tmp_root), "m").newest().state
    assert (state.live, state.aliases, state.canary) == ("2", {"shadow": "3"}, None)
    assert add_beside(tmp_root, shadow=False, share=0) is None
