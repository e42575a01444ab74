"""Stages on EMR Serverless: every way to end leaves no application; training stays on a cluster."""

import json
import os
import signal

import pytest

from command.load_settings import load
from contract.errors import DONE, UsageError
from contract.runs import Runs
from contract.settings import EmrSettings
from contract.storage import open_root, open_storage
from emr import dispatch, needs
from emr.follow import Interrupted
from emr.job import make_request
from emr.needs import find_need, runs_on_serverless
from emr.requests import find_newest
from pipeline import cycle
from pipeline.running.emr import EmrRunner
from pipeline.running.local import InProcessRunner, StageKilled
from tests.emr.conftest import put_packages, run_job
from tests.fakes.emr import lost, throttle
from tests.pipeline.conftest import fake_stages  # noqa: F401
from tests.pipeline.roots import MODEL, make_root

pytestmark = pytest.mark.usefixtures("fake_stages")
BAD = {"right": 120, "n": 200}
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/trueup-serverless:1"
CHOSEN = ["emr.compute=serverless", f"emr.serverless_image={IMAGE}", "emr.subnets=[subnet-1]", "cycle.takeover_seconds=0"]


def turn(root, *more):
    settings = load(root=root, model=MODEL, env={}, overrides=[*CHOSEN, *more])
    return cycle.run_cycle(open_root(root), settings, EmrRunner(InProcessRunner()))


def stages(fake):
    return [j["tags"]["trueup:stage"] for j in fake.jobs.values()]


def test_a_turn_takes_both(serverless, emr, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    made = turn(tmp_root)
    assert (made["status"], made["published"], made["exit_code"]) == ("published", "2", DONE)
    assert stages(serverless) == ["dataset"]
    assert [c.request["Steps"][0]["Name"] for c in emr.made.values()] == ["train", "assess"]
    assert serverless.alive == [] and emr.alive == []


def test_an_application_is_bounded_stops_by_itself_and_is_tagged(serverless, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    turn(tmp_root, "emr.serverless_workers=7", "emr.idle_seconds=120", "spark.conf={spark.executor.memory: 9g, spark.master: x}")
    asked, started = (next(a for o, a in serverless.requests if o == name) for name in ("CreateApplication", "StartJobRun"))
    assert asked["maximumCapacity"]["cpu"] == "32 vCPU" and asked["autoStopConfiguration"] == {
        "enabled": True, "idleTimeoutMinutes": 2}
    assert asked["imageConfiguration"] == {"imageUri": IMAGE} and asked["tags"]["trueup:stack"] == "trueup"
    assert started["executionRoleArn"].endswith("role/trueup-dataset") and started["executionTimeoutMinutes"] == 360
    spark = started["configurationOverrides"]["applicationConfiguration"][0]["properties"]
    assert spark["spark.executor.memory"] == "9g" and "spark.master" not in spark
    assert spark["spark.emr-serverless.driverEnv.PYSPARK_PYTHON"] == spark["spark.executorEnv.PYSPARK_PYTHON"]


def test_evaluations_go_there_too_but_not_as_mapreduce():
    chosen = {"compute": "serverless", "replay": True}
    there = {name: runs_on_serverless(find_need(name, EmrSettings(**chosen)), EmrSettings(**chosen)) for name in needs.NEEDS}
    assert there == {"evaluate": True, "dataset": True, "score": True, "replay": True, "train": False, "assess": False,
                     "tune": False}
    mapreduce = EmrSettings(**chosen, engine="mapreduce")
    assert not runs_on_serverless(find_need("evaluate", mapreduce), mapreduce)


@pytest.mark.parametrize("operation", ["create_application", "start_job_run", "delete_application"])
def test_a_call_that_is_repeated_makes_nothing_twice(serverless, tmp_root, operation):
    put_packages(make_root(tmp_root, **BAD))
    serverless.faults = [(operation, "after", lost())] if operation != "delete_application" else [
        (operation, "before", throttle(operation))] * 3
    assert turn(tmp_root)["status"] == "published"
    assert len(serverless.applications) == len(serverless.jobs) == 1 and serverless.alive == []


def test_a_job_that_fails_is_told_and_the_next_start_goes_on(serverless, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    serverless.work = lambda arguments: 1
    with pytest.raises(StageKilled, match="ended as FAILED without an answer of the stage .the driver ended badly"):
        turn(tmp_root)
    assert serverless.alive == [] and Runs(open_storage(tmp_root), MODEL).newest().end() is None
    serverless.work = run_job
    assert turn(tmp_root)["status"] == "published" and stages(serverless) == ["dataset", "dataset"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_cancels_the_job_and_deletes_the_application(serverless, tmp_root, number):
    put_packages(make_root(tmp_root, **BAD))

    def stopped(arguments):
        os.kill(os.getpid(), number)
        return 0

    serverless.work = stopped
    with pytest.raises(Interrupted, match="Started again, the run goes on"):
        turn(tmp_root)
    assert serverless.alive == [] and serverless.calls["cancel_job_run"] == serverless.calls["stop_application"] == 1
    serverless.work = run_job
    assert turn(tmp_root)["status"] == "published" and serverless.alive == []


def test_a_driver_that_died_is_continued_on_the_same_application(serverless, tmp_root, driver_dies):
    put_packages(make_root(tmp_root, **BAD))
    driver_dies("emr.serverless.follow.ServerlessFollower", lambda: turn(tmp_root))
    assert len(serverless.alive) == 1
    assert turn(tmp_root)["status"] == "published"
    assert len(serverless.applications) == 1 and serverless.alive == []


def test_a_driver_that_failed_in_between_does_not_meet_its_deleted_application(serverless, tmp_root):
    storage = open_root(make_root(tmp_root, **BAD))
    settings = load(root=tmp_root, model=MODEL, env={}, overrides=CHOSEN).model_dump(mode="json", exclude={"root", "model"})
    request = make_request("dataset", ["--model", MODEL], settings, module="tests.fakes.fake_dataset")
    serverless.faults = [("create_application", "after", KeyError("a bug"))]
    with pytest.raises(KeyError):
        dispatch.run_stage(storage, MODEL, request, None)
    assert dispatch.run_stage(storage, MODEL, request, None).code == 0
    assert len(serverless.applications) == 2 and serverless.alive == [] and find_newest(storage, MODEL, request).n == 1


def test_without_an_image_the_error_says_what_to_do(serverless, tmp_root):
    put_packages(make_root(tmp_root, **BAD))
    with pytest.raises(UsageError, match="expected emr.serverless_image, the image of its workers, got none"):
        turn(tmp_root, "emr.serverless_image=null")
    assert serverless.applications == {}


def test_the_plan_says_what_stays_on_clusters(serverless, s3_root, capsys):
    from emr import cli

    sets = [word for pair in CHOSEN for word in ("--set", pair)]
    assert cli.main(["plan", "--root", s3_root, "--model", MODEL, *sets]) == 0
    said = capsys.readouterr().out
    assert "not on EMR Serverless: train: EMR Serverless has no GPUs" in said
    assert "not on EMR Serverless: mapreduce: EMR Serverless runs Spark and no Hadoop streaming" in said
    assert cli.main(["plan", "--root", s3_root, "--model", MODEL, *sets, "--json"]) == 0
    found = {s["stage"]: set(s) for s in json.loads(capsys.readouterr().out)["stages"]}
    assert "start_job_run" in found["evaluate"] & found["dataset"] and "run_job_flow" in found["train"] & found["assess"]


def test_what_is_left_is_shown_and_ended(serverless, emr, moto_server, monkeypatch, capsys):
    from emr import cli, stack

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    for owner in ("trueup", "other"):
        serverless.create_application(name="trueup-dataset-1", releaseLabel="emr-7.12.0", type="SPARK", clientToken=owner,
                                      tags={"trueup:stack": owner})
    options = ["--root", "s3://bbb/p", "--set", "emr.compute=serverless", "--json"]
    assert cli.main(["status", *options]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["applications"]
    assert cli.main(["destroy", "--yes", *options]) == 0
    assert json.loads(capsys.readouterr().out)["ended"] == [shown["id"]]
    assert [a["request"]["tags"]["trueup:stack"] for a in serverless.alive] == ["other"]
