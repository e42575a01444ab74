"""What counting again costs stands in the plan before anybody upgrades the schedule."""

import json

import pytest

from contract.counts_store import CountsDocument
from contract.rows.listing import list_day
from contract.storage import open_root
from emr import cli
from tests.emr.conftest import emr  # noqa: F401  (a fixture)
from tests.emr.test_estimate import RECORDED

DAYS, ROWS = ("2026-11-19", "2026-11-20"), 3600


@pytest.fixture
def root(s3_root):
    """Two days of 1 MB, counted by rules 1."""
    storage = open_root(s3_root, create=True)
    for day in DAYS:
        storage.put(f"predictions/dt={day}/a.parquet", bytes(1_000_000))
        put_counts(storage, day, "1")
    return s3_root


def put_counts(storage, day, rules):
    document = CountsDocument(model="digits", day=day, role="live", inputs=rules * 16, known_through=1, next_future=None,
                              rows={"predictions": ROWS - 600, "labels": 600, "orphan": 600}, rules=rules,
                              files=list_day(storage, day).fingerprint(), tables={})
    storage.create(f"{document.folder}1.json", document.to_bytes())


def plan(capsys, root, recorded, *options):
    assert cli.main(["plan", "--root", root, "--model", "digits", "--set", "emr.subnets=[subnet-1]", "--recorded", str(recorded),
                     *options]) == 0
    return capsys.readouterr().out


def test_the_plan_says_what_counting_again_costs(emr, root, capsys, tmp_path):  # noqa: F811
    recorded = record(tmp_path)
    found = json.loads(plan(capsys, root, recorded, "--json"))["recount"]
    assert (found["rules"], found["counted_by"], found["days"]) == ("2", ["1"], list(DAYS))
    assert (found["rows"], found["bytes"], found["where"]) == (2 * ROWS, 2_000_000, "driver")
    # 7,200 rows at 1,000 a second: 2 cores need 7.2 s, one may need twice as long
    assert found["hours"] == {"low": 0.002, "high": 0.004}
    fargate = 0.04048 + 4 * 0.004445
    assert found["dollars"]["high"] == pytest.approx(0.004 * fargate, abs=1e-4)
    said = plan(capsys, root, recorded)
    assert ("counted by rules 1, this release counts by 2: 2 of the window's days (2026-11-19 to 2026-11-20), 7,200 rows, "
            "2,000,000 bytes, are counted again by the next evaluation, once; driver: 0.002 to 0.004 h of work, $") in said
    on_cluster = json.loads(plan(capsys, root, recorded, "--json", "--set", "emr.here_bytes=1000000"))["recount"]
    assert on_cluster["where"] == "cluster" and on_cluster["dollars"]["high"] > found["dollars"]["high"]


def test_what_was_counted_by_todays_rules_costs_nothing(emr, root, capsys, tmp_path):  # noqa: F811
    put_counts(open_root(root), DAYS[0], "2")
    found = json.loads(plan(capsys, root, record(tmp_path), "--json"))["recount"]
    assert (found["days"], found["rows"]) == ([DAYS[1]], ROWS)
    put_counts(open_root(root), DAYS[1], "2")
    assert "counted by rules" not in plan(capsys, root, record(tmp_path))


def record(folder):
    """Writes the rates that an estimate rests on."""
    (folder / "recorded.json").write_text(json.dumps(RECORDED))
    return folder / "recorded.json"
