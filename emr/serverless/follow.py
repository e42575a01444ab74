"""One stage on EMR Serverless, from the request to the answer; what emr/follow.py is for clusters.

Whatever happens in between, the attempt's application is deleted; a driver that is killed leaves one that stops by
itself, costs nothing then, and is found again by the next driver.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract.errors import NotFound
from contract.storage import open_storage
from emr.follow import LAST_LINES, ClusterFailed, Follower
from emr.limits import explain_late, is_late
from emr.requests import Attempt, Reply
from emr.serverless.account import GONE, JOB_ENDED, ServerlessAccount
from emr.serverless.job import Job, name_application


@dataclass
class ServerlessFollower(Follower[Job]):
    """Runs a stage on an application of its own."""

    account: ServerlessAccount = field(default_factory=ServerlessAccount)

    def _is_over(self, attempt: Attempt) -> bool:
        if attempt.read_reply() is not None:
            return True
        known = attempt.read_cluster()
        if known is None:
            return False
        if self.account.read_state(known) == GONE:
            return True
        job = self.account.find_job(known)
        return job is not None and job["state"] in JOB_ENDED

    def _start_or_attach(self, attempt: Attempt, make: Callable[[Attempt], Job]) -> str:
        """Returns the attempt's application with its job started; the same tokens give the same ones."""
        asked = make(attempt)
        known = attempt.read_cluster()
        application = known or self.account.create(asked.application)
        if known is None and (counts := attempt.claim(application)) != application:  # another driver's, of an older token
            self.account.end(application)
            application = counts
        self.say(f"    application {application}: {'attached' if known else attempt.name}")
        if self.account.find_job(application) is None:
            self.account.start(application, asked.job)
        return application

    def _follow(self, attempt: Attempt, application: str) -> Reply:
        seen, looked = "", self.now()
        while True:
            job = self.account.find_job(application) or {"state": "not listed yet", "stateDetails": ""}
            if (now := job["state"]) != seen:
                self.say(f"    application {application}: job {now}")
                seen = now
            if now in JOB_ENDED:
                reply = attempt.read_reply()
                if reply is None:
                    raise ClusterFailed(self._explain_end(application, job), attempt.n)
                return reply
            if is_late(job.get("createdAt") or looked, self.now(), self.minutes):
                raise ClusterFailed(explain_late(f"application {application}", self.minutes), attempt.n)
            self.account.sleep(self.poll)

    def _explain_end(self, application: str, job: dict[str, Any]) -> str:
        """Writes what EMR says of the end, and the driver's own last words."""
        words = self._read_last_words(application, job)
        shown = f" The driver's last words:\n{words}" if words else " The driver left no log."
        return (f"job {job['jobRunId']} of application {application} ended as {job['state']} without an answer of the stage "
                f"({job.get('stateDetails', '')}).{shown}")

    def _read_last_words(self, application: str, job: dict[str, Any]) -> str | None:
        monitoring = job.get("configurationOverrides", {}).get("monitoringConfiguration", {})
        uri = monitoring.get("s3MonitoringConfiguration", {}).get("logUri", "").rstrip("/")
        if not uri:
            return None
        key = f"applications/{application}/jobs/{job['jobRunId']}/SPARK_DRIVER/stderr.gz"
        try:
            data = open_storage(uri).read(key)
        except NotFound:
            return None
        return "\n".join(gzip.decompress(data).decode(errors="replace").splitlines()[-LAST_LINES:])

    def _clean(self, attempt: Attempt) -> None:
        for application in self.account.find_alive(name_application(attempt)):
            self.account.end(application)
