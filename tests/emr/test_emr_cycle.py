"""Whole cycles with their stages on clusters: every way to end leaves an empty account."""

import json
import os
import signal

import pytest

from command.load_settings import load
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO
from contract.registry import Registry
from contract.runs import Runs
from contract.storage import open_root, open_storage
from emr import needs
from emr.follow import Interrupted
from emr.package import PackageError
from pipeline import cycle
from pipeline.running.emr import EmrRunner
from pipeline.running.local import InProcessRunner, StageFailed, StageKilled
from tests.emr.conftest import put_packages, run_step
from tests.fakes.emr import lost, throttle
from tests.pipeline.conftest import fake_stages  # noqa: F401
from tests.pipeline.roots import MODEL, make_root

pytestmark = pytest.mark.usefixtures("fake_stages")
BAD, GOOD, FEW = {"right": 120, "n": 200}, {"right": 197, "n": 200}, {"right": 10, "n": 200, "labelled": 20}


def turn(root, *more):
    """One cycle, by the runner that `--runner emr` takes."""
    settings = load(root=root, model=MODEL, env={}, overrides=["emr.subnets=[subnet-1]", "cycle.takeover_seconds=0", *more])
    return cycle.run_cycle(open_root(root), settings, EmrRunner(InProcessRunner()))


def names(emr):
    return [c.request["Steps"][0]["Name"] for c in emr.made.values()]


def test_a_failing_model_is_retrained_on_three_clusters(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    made = turn(tmp_root)
    assert (made["status"], made["published"], made["exit_code"]) == ("published", "2", DONE)
    assert names(emr) == ["dataset", "train", "assess"] and emr.alive == []
    tags = [{t["Key"]: t["Value"] for t in c.request["Tags"]} for c in emr.made.values()]
    assert {t["trueup:run"] for t in tags} == {"digits/1"}


@pytest.mark.parametrize(("rows", "code"), [(GOOD, DONE), (FEW, CANNOT_TELL)])
def test_where_there_is_nothing_to_do_no_cluster_is_made(emr, tmp_root, rows, code):
    put_packages(make_root(tmp_root, **rows))
    assert turn(tmp_root)["exit_code"] == code
    assert emr.made == {}


def test_a_refused_candidate_ends_with_the_verdicts_code(emr, tmp_root, monkeypatch):
    monkeypatch.setenv("FAKE_ASSESS", "100 60 2 5")
    put_packages(make_root(tmp_root, **BAD))
    made = turn(tmp_root)
    assert (made["status"], made["exit_code"], emr.alive) == ("refused", GATE_SAYS_NO, [])


def test_manual_approval_moves_no_pointer(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    assert turn(tmp_root, "cycle.approval=manual")["status"] == "awaiting approval"
    assert Registry(open_storage(tmp_root), MODEL).live() == "1" and emr.alive == []


def test_much_to_count_is_counted_on_a_cluster_and_only_once(emr, tmp_root, monkeypatch):
    monkeypatch.setitem(needs.ENGINES, "spark", ("--engine", "embedded"))
    put_packages(make_root(tmp_root, **GOOD))
    assert turn(tmp_root, "emr.here_bytes=0")["status"] == "healthy"
    assert names(emr) == ["evaluate"] and emr.alive == []
    assert turn(tmp_root, "emr.here_bytes=0")["status"] == "healthy"
    assert names(emr) == ["evaluate"]  # nothing new: the second time the counts are there


def test_a_stages_own_error_is_shown_and_ends_the_run(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    with pytest.raises(StageFailed, match=r"dataset \(tests.fakes.fake_dataset\): expected 1000000 rows"):
        turn(tmp_root, "dataset.class_floor=1000000")
    assert emr.alive == [] and Runs(open_storage(tmp_root), MODEL).newest().end().status == "failed"


def test_a_crash_shows_its_last_words_and_the_next_start_goes_on(emr, tmp_root, monkeypatch):
    put_packages(make_root(tmp_root, **BAD))
    monkeypatch.setenv("FAKE_ASSESS", "not a number")
    with pytest.raises(StageKilled, match="(?s)invalid literal for int.*Start `trueup cycle` again"):
        turn(tmp_root)
    assert emr.alive == []
    monkeypatch.delenv("FAKE_ASSESS")
    assert turn(tmp_root)["status"] == "published"
    assert names(emr) == ["dataset", "train", "assess", "assess"]


def test_a_stage_that_always_crashes_is_not_paid_for_for_ever(emr, tmp_root, monkeypatch):
    put_packages(make_root(tmp_root, **BAD))
    monkeypatch.setenv("FAKE_ASSESS", "not a number")
    for _ in range(2):
        with pytest.raises(StageKilled):
            turn(tmp_root)
    with pytest.raises(StageFailed, match="attempt 3; the run ends here"):
        turn(tmp_root)
    assert names(emr).count("assess") == 3 and emr.alive == []


def test_a_cluster_that_dies_is_told_with_what_emr_says(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    emr.work = lambda args: None
    with pytest.raises(StageKilled, match="TERMINATED_WITH_ERRORS without an answer.*the step failed"):
        turn(tmp_root)
    assert emr.alive == [] and Runs(open_storage(tmp_root), MODEL).newest().end() is None


def test_a_lost_response_leaves_one_cluster(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    emr.faults = [("run_job_flow", "after", lost())]
    assert turn(tmp_root)["status"] == "published"
    assert names(emr) == ["dataset", "train", "assess"] and emr.alive == []


def test_a_cluster_that_shows_up_late_is_ended(emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    emr.faults, emr.delay_listing = [("run_job_flow", "after", lost())], 3
    assert turn(tmp_root)["status"] == "published"
    assert emr.alive == []


@pytest.mark.parametrize("operation", ["run_job_flow", "list_clusters", "describe_cluster", "list_steps"])
def test_throttling_is_ridden_out(emr, tmp_root, operation):
    put_packages(make_root(tmp_root, **BAD))
    emr.faults = [(operation, "before", throttle(operation))] * 5
    assert turn(tmp_root)["status"] == "published"
    assert len(emr.made) == 3 and emr.alive == [] and emr.slept > 5


def test_a_driver_that_died_is_continued_on_the_same_cluster(emr, tmp_root, monkeypatch, driver_dies):
    put_packages(make_root(tmp_root, **BAD))
    driver_dies("emr.follow.ClusterFollower", lambda: turn(tmp_root))
    (cluster,), said = emr.alive, []
    monkeypatch.setattr("emr.follow.print_line", said.append)
    assert turn(tmp_root)["status"] == "published"
    assert f"    {cluster.id}: attached" in said and emr.alive == []
    assert names(emr) == ["dataset", "train", "assess"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_cancels_the_step_and_ends_the_cluster(emr, tmp_root, number):
    put_packages(make_root(tmp_root, **BAD))

    def stopped(args):
        os.kill(os.getpid(), number)
        return 0

    emr.work = stopped
    with pytest.raises(Interrupted, match="the cluster was ended"):
        turn(tmp_root)
    assert emr.alive == [] and emr.calls["terminate_job_flows"] == 1 and emr.calls["cancel_steps"] == 1
    emr.work = run_step
    assert turn(tmp_root)["status"] == "published"


def test_by_the_command_line_on_s3(emr, s3_root, capsys):
    put_packages(make_root(s3_root, **BAD))
    options = ["--runner", "emr", "--in-process", "--set", "emr.subnets=[subnet-1]", "--json"]
    assert cycle.main(["--root", s3_root, "--model", MODEL, *options]) == DONE
    assert json.loads(capsys.readouterr().out)["status"] == "published"
    assert names(emr) == ["dataset", "train", "assess"] and emr.alive == []


def test_a_folder_is_no_root_for_clusters(tmp_root, capsys):
    make_root(tmp_root, **BAD)
    assert cycle.main(["--root", tmp_root, "--model", MODEL, "--runner", "emr"]) == 2
    assert "expected a root that clusters can reach" in capsys.readouterr().err


def test_without_a_package_the_error_says_what_to_do(emr, tmp_root):
    make_root(tmp_root, **BAD)
    with pytest.raises(PackageError, match="Build and upload it: trueup emr deploy"):
        turn(tmp_root)
    assert emr.made == {}
