"""Attempts, answers and what a step says, below the cycle; moto's EMR takes the requests that the fake takes."""

import gzip
import json
import os
import sys
from pathlib import Path

import boto3
import pytest

from contract.storage import open_root, open_storage
from emr import step
from emr.account import Account, AccountError
from emr.follow import ClusterFailed, ClusterFollower
from emr.requests import Reply, Request, add_attempt, find_newest
from tests.emr.test_emr_requests import made
from tests.fakes.emr import FakeEmr, throttle

ASK = Request(stage="evaluate", module="pipeline.config", argv=[], settings={"train": {"epochs": 9}})


def follower(root, fake):
    return ClusterFollower(open_root(root, create=True), 0.0, lambda line: None, Account(fake, fake.sleep))


def sent(tmp_path, attempt):
    return {**made(tmp_path / "x", "evaluate"), "Name": attempt.name}


def test_a_step_answers_with_the_runs_settings(tmp_root):
    attempt = add_attempt(open_root(tmp_root, create=True), "digits", ASK)
    assert step.main(["--root", tmp_root, "--request", attempt.key]) == 0
    reply = find_newest(open_storage(tmp_root), "digits", ASK).read_reply()
    assert {r["setting"]: r["value"] for r in reply.document["settings"]}["train.epochs"] == 9


def test_a_step_that_was_started_twice_keeps_its_first_answer(tmp_root):
    attempt = add_attempt(open_root(tmp_root, create=True), "digits", ASK)
    attempt.write_reply(Reply(code=0, document={"first": True}))
    assert step.main(["--root", tmp_root, "--request", attempt.key]) == 0
    assert attempt.read_reply().document == {"first": True}


def test_mrjobs_tasks_get_the_python_of_the_step(monkeypatch):
    monkeypatch.setenv("MRJOB_CONF", "/nobody's.conf")  # the step's own takes its place, and is gone afterwards
    with step._write_files(ASK.model_copy(update={"engine": "mapreduce"})):
        conf = json.loads(Path(os.environ["MRJOB_CONF"]).read_text())
    assert conf == {"runners": {"hadoop": {"python_bin": sys.executable, "bootstrap_mrjob": False}}}


def test_the_same_request_is_one_whatever_driver_asks(tmp_root):
    storage = open_root(tmp_root, create=True)
    first = add_attempt(storage, "digits", ASK)
    assert find_newest(storage, "digits", ASK.model_copy()).key == first.key
    assert find_newest(storage, "digits", ASK.model_copy(update={"argv": ["--full"]})) is None
    assert (first.claim("j-1"), first.claim("j-2")) == ("j-1", "j-1")


def test_two_drivers_end_up_with_one_cluster(tmp_path, tmp_root):
    fake = FakeEmr(lambda args: 0)
    mine = follower(tmp_root, fake)
    attempt = add_attempt(mine.storage, "digits", ASK)
    other = fake.run_job_flow(**{**sent(tmp_path, attempt), "Name": "another driver's"})["JobFlowId"]

    def make(found):
        attempt.claim(other)  # it was first, by a hair
        attempt.write_reply(Reply(code=0, document={"done": True}))
        return sent(tmp_path, found)

    fake.made[other].state = "RUNNING"
    assert mine._start_or_attach(attempt, make) == other
    assert [c.id for c in fake.alive] == [other]


@pytest.mark.parametrize("name", ["stderr", "stdout"])  # of Spark, and of what Python said under spark-submit
def test_the_logs_last_words_are_shown(s3_root, tmp_path, name):
    fake = FakeEmr(lambda args: None)
    mine = follower(s3_root, fake)
    words = gzip.compress(b"first\n" + b"java.lang.OutOfMemoryError: Java heap space\n")
    mine.storage.put(f"logs/emr/j-0000000000001/steps/s-1/{name}.gz", words)
    with pytest.raises(ClusterFailed, match="(?s)the step failed.*OutOfMemoryError: Java heap space"):
        mine.run("digits", ASK, lambda attempt: {**sent(tmp_path, attempt), "LogUri": mine.storage.uri("logs/emr/")})
    assert fake.alive == []


def test_a_refusal_names_what_to_check():
    fake = FakeEmr()
    refused = throttle()
    refused.response["Error"] = {"Code": "AccessDeniedException", "Message": "no"}
    fake.faults = [("list_clusters", "before", refused)]
    with pytest.raises(AccountError, match="EMR refused list_clusters: .*Check the settings under `emr:`"):
        Account(fake, fake.sleep).list_clusters()


def test_endless_throttling_ends_with_an_error():
    fake = FakeEmr(faults=[("list_clusters", "before", throttle())] * 20)
    waits = []
    with pytest.raises(AccountError, match="gave up after 9 attempts"):
        Account(fake, waits.append).list_clusters()
    assert len(waits) == 8 and 60 < sum(waits) < 200  # none after the last attempt


def test_a_cluster_that_cannot_be_asked_for_ends_with_an_error(tmp_path):
    fake, waits = FakeEmr(faults=[("run_job_flow", "before", throttle())] * 20), []
    with pytest.raises(AccountError, match="RunJobFlow: gave up after 9 attempts"):
        Account(fake, waits.append).create(made(tmp_path, "evaluate"))
    assert fake.calls["run_job_flow"] == 9 and len(waits) == 8 + 8 * 2  # before each new attempt two more looks


def test_motos_emr_takes_the_same_requests(tmp_path, monkeypatch, moto_server):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    account = Account(boto3.client("emr"), lambda seconds: None)
    request = made(tmp_path, "dataset")
    cluster = account.create(request)
    assert account.create(request) == cluster and account.find(request["Name"]) == cluster
    described = account.describe(cluster)
    assert described["ReleaseLabel"] == request["ReleaseLabel"]
    assert {t["Key"]: t["Value"] for t in described["Tags"]}["trueup:run"] == "digits/3"
    assert account.find_step(cluster)["Name"] == "dataset"
    account.call("terminate_job_flows", JobFlowIds=[cluster])
    assert account.find(request["Name"]) is None
    assert account.describe(cluster)["Status"]["State"] == "TERMINATED" != described["Status"]["State"]
