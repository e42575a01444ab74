"""A stage that never ends is ended by whoever follows it, on a cluster and on EMR Serverless."""

from datetime import timedelta

import pytest

from contract.settings import ON_EMR, EmrSettings
from contract.storage import open_root
from emr.account import Account
from emr.follow import ClusterFailed, ClusterFollower
from emr.limits import MINUTES, find_job_minutes, find_minutes
from emr.needs import NEEDS
from emr.requests import add_attempt
from emr.serverless.account import ServerlessAccount
from emr.serverless.follow import ServerlessFollower
from emr.serverless.job import make_job
from tests.emr.test_emr_follow import ASK, sent
from tests.emr.test_serverless import IMAGE
from tests.fakes import serverless
from tests.fakes.emr import BEGAN, FakeEmr
from tests.fakes.serverless import FakeServerless


class Hanging(FakeEmr):
    """Its steps run for ever."""

    def _progress(self, cluster):
        cluster.state, cluster.step_state = "RUNNING", "RUNNING"


def follow(root, fake, minutes, began):
    return ClusterFollower(open_root(root, create=True), 60.0, lambda line: None, Account(fake, fake.sleep),
                           minutes=minutes, now=lambda: began + timedelta(seconds=fake.slept))


def test_a_cluster_that_hangs_is_ended(tmp_root, tmp_path):
    fake = Hanging()
    mine = follow(tmp_root, fake, 90, BEGAN)
    with pytest.raises(ClusterFailed, match="gave no answer within 90 minutes and was ended.*set emr.stage_minutes"):
        mine.run("digits", ASK, lambda attempt: sent(tmp_path, attempt))
    assert fake.alive == [] and 88 * 60 < fake.slept < 93 * 60


def test_a_driver_that_comes_later_counts_from_the_clusters_beginning(tmp_root, tmp_path):
    fake = Hanging()
    mine = follow(tmp_root, fake, 90, BEGAN + timedelta(hours=2))
    attempt = add_attempt(mine.storage, "digits", ASK)
    attempt.claim(fake.run_job_flow(**sent(tmp_path, attempt))["JobFlowId"])
    with pytest.raises(ClusterFailed, match="within 90 minutes"):
        mine.run("digits", ASK, lambda attempt: sent(tmp_path, attempt))
    assert fake.alive == [] and fake.slept == 0


class HangingJobs(FakeServerless):
    """Its jobs run for ever, until they are cancelled."""

    def _get_job_run(self, applicationId, jobRunId):
        job = self.jobs[jobRunId]
        job["state"] = "RUNNING" if job["state"] == "SUBMITTED" else job["state"]
        return {"jobRun": dict(job)}


def follow_job(root, fake, minutes, late=0):
    """A follower, and what it asks for; it looks for the first time `late` minutes after the job began."""
    storage, settings = open_root(root, create=True), EmrSettings(serverless_image=IMAGE, compute="serverless")
    mine = ServerlessFollower(storage, 60.0, lambda line: None, ServerlessAccount(fake, fake.sleep), minutes=minutes,
                              now=lambda: serverless.BEGAN + timedelta(minutes=late, seconds=fake.slept))
    return mine, lambda attempt: make_job(storage, ASK, attempt, settings, "arn:aws:iam::123456789012:role/trueup-dataset")


def test_a_job_that_hangs_is_ended(tmp_root):
    fake = HangingJobs()
    mine, make = follow_job(tmp_root, fake, 90)
    with pytest.raises(ClusterFailed, match="application .* gave no answer within 90 minutes and was ended.*emr.stage_minutes"):
        mine.run("digits", ASK, make)
    assert fake.alive == [] and fake.calls["cancel_job_run"] == 1 and 88 * 60 < fake.slept < 93 * 60


def test_a_driver_that_comes_later_counts_from_the_jobs_beginning(tmp_root):
    fake = HangingJobs()
    mine, make = follow_job(tmp_root, fake, 90, late=120)
    attempt = add_attempt(mine.storage, "digits", ASK)
    asked = make(attempt)
    application = mine.account.create(asked.application)
    attempt.claim(application)
    mine.account.start(application, asked.job)
    before = fake.slept
    with pytest.raises(ClusterFailed, match="within 90 minutes"):
        mine.run("digits", ASK, make)
    assert fake.alive == [] and fake.slept - before < 120 and len(fake.jobs) == 1


def test_every_stage_has_a_limit_and_a_setting_goes_before():
    assert set(MINUTES) == set(NEEDS) == set(ON_EMR)
    chosen = EmrSettings(stage_minutes={"dataset": 7})
    assert (find_minutes(chosen, "dataset"), find_job_minutes(chosen, "dataset")) == (7, 7)
    assert (find_minutes(chosen, "train"), find_job_minutes(chosen, "score")) == (1440, 360)


@pytest.mark.parametrize("wrong", [{"trian": 60}, {"train": 0}, {"train": -5}])
def test_a_limit_of_no_stage_is_refused(wrong):
    said = "expected one of evaluate, dataset, train, assess, score, replay, tune, and a minute or more"
    with pytest.raises(ValueError, match=said):
        EmrSettings(stage_minutes=wrong)
