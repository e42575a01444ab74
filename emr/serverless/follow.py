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
from emr.requests import Attempt, Reply
from emr.serverless.account import GONE, JOB_ENDED, ServerlessAccount
from emr.serverless.jobs import Job, name_of


@dataclass
class ServerlessFollower(Follower):
    """Carries requests to applications and answers back."""

    account: ServerlessAccount = field(default_factory=ServerlessAccount)

    def _over(self, attempt: Attempt) -> bool:
        if attempt.reply() is not None:
            return True
        known = attempt.cluster()
        if known is None:
            return False
        if self.account.state(known) == GONE:
            return True
        job = self.account.job(known)
        return job is not None and job["state"] in JOB_ENDED

    def _cluster(self, attempt: Attempt, make: Callable[[Attempt], Job]) -> str:
        """The attempt's application, its job started; the same tokens give the same ones."""
        asked, known = make(attempt), attempt.cluster()
        application = known or self.account.create(asked.application)
        if known is None and (counts := attempt.claim(application)) != application:  # another driver's, of an older token
            self.account.end(application)
            application = counts
        self.say(f"    application {application}: {'attached' if known else attempt.name}")
        if self.account.job(application) is None:
            self.account.start(application, asked.job)
        return application

    def _followed(self, attempt: Attempt, application: str) -> Reply:
        seen = ""
        while True:
            job = self.account.job(application) or {"state": "not listed yet", "stateDetails": ""}
            if (now := job["state"]) != seen:
                self.say(f"    application {application}: job {now}")
                seen = now
            if now in JOB_ENDED:
                reply = attempt.reply()
                if reply is None:
                    raise ClusterFailed(self._said(application, job), attempt.n)
                return reply
            self.account.sleep(self.poll)

    def _said(self, application: str, job: dict[str, Any]) -> str:
        """What EMR says of the end, and the driver's own last words."""
        words = self._words(application, job)
        shown = f" The driver's last words:\n{words}" if words else " The driver left no log."
        return (f"job {job['jobRunId']} of application {application} ended as {job['state']} without an answer of the stage "
                f"({job.get('stateDetails', '')}).{shown}")

    def _words(self, application: str, job: dict[str, Any]) -> str | None:
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
        for application in self.account.alive(name_of(attempt)):
            self.account.end(application)
