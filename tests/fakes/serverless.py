"""A stateful EMR Serverless at the client boundary: applications and jobs progress as they are looked at.

Requests are checked, and faults are told, as tests/fakes/aws_client.py says. Tokens are honoured as the service does: the
same one gives the same application or job again.
"""

from datetime import UTC, datetime

from botocore.exceptions import ClientError

from tests.fakes.aws_client import FakeClient

ENDED = ("SUCCESS", "FAILED", "CANCELLED")
BEGAN = datetime.now(UTC)


class FakeServerless(FakeClient):
    """The operations of boto3's client that Trueup uses. `work(args) -> exit code` runs a job's arguments."""

    service = "emr-serverless"

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.applications, self.jobs, self.tokens = {}, {}, {}

    @property
    def alive(self):
        return [a for a in self.applications.values() if a["state"] != "TERMINATED"]

    def sleep(self, seconds):
        self.slept += seconds
        for job in self.jobs.values():  # time passes whoever looks
            if job["state"] == "CANCELLING":
                job["state"] = "CANCELLED"

    def _create_application(self, clientToken, **request):
        if clientToken not in self.tokens:
            number = f"00f{len(self.applications) + 1:013d}"
            self.applications[number] = {"id": number, "state": "CREATING", "request": request, "name": request["name"]}
            self.tokens[clientToken] = number
        return {"applicationId": self.tokens[clientToken], "arn": "arn", "name": request["name"]}

    def _list_applications(self, nextToken=None, **_):
        place, found = int(nextToken or 0), list(self.applications.values())
        page = found[place:place + 2]  # small pages: they have to be followed
        shown = [{"id": a["id"], "name": a["name"], "state": a["state"]} for a in page]
        return {"applications": shown} | ({"nextToken": str(place + 2)} if len(found) > place + 2 else {})

    def _get_application(self, applicationId):
        application = self.applications[applicationId]
        if application["state"] == "TERMINATED":
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "gone"}}, "GetApplication")
        shown = {"applicationId": applicationId, "state": application["state"], "tags": application["request"]["tags"]}
        application["state"] = {"CREATING": "CREATED", "STARTING": "STARTED", "STOPPING": "STOPPED"}.get(
            application["state"], application["state"])
        return {"application": shown}

    def _start_job_run(self, applicationId, clientToken, **request):
        key = f"job {clientToken}"
        if key not in self.tokens:
            application = self.applications[applicationId]
            assert application["state"] in ("CREATED", "STARTED", "STOPPED"), application["state"]
            application["state"] = "STARTED"  # by autoStartConfiguration
            number = f"00j{len(self.jobs) + 1:013d}"
            self.jobs[number] = {"jobRunId": number, "applicationId": applicationId, "state": "SUBMITTED",
                                 "stateDetails": "-", "worked": False, "createdAt": BEGAN, **request}
            self.tokens[key] = number
        return {"applicationId": applicationId, "jobRunId": self.tokens[key], "arn": "arn"}

    def _list_job_runs(self, applicationId, **_):
        return {"jobRuns": [{"id": j["jobRunId"], "state": j["state"]} for j in self.jobs.values()
                            if j["applicationId"] == applicationId]}

    def _get_job_run(self, applicationId, jobRunId):
        """One state further with every look; the job's work happens when it runs."""
        job = self.jobs[jobRunId]
        if job["state"] == "RUNNING" and not job["worked"]:
            job["worked"] = True  # also when a stop interrupts it: it goes on until it is cancelled
            code = self.work(job["jobDriver"]["sparkSubmit"]["entryPointArguments"])
            if job["state"] == "RUNNING":
                job["state"], job["stateDetails"] = ("SUCCESS", "-") if code == 0 else ("FAILED", "the driver ended badly")
        elif job["state"] != "RUNNING":
            job["state"] = {"SUBMITTED": "SCHEDULED", "SCHEDULED": "RUNNING"}.get(job["state"], job["state"])
        return {"jobRun": dict(job)}

    def _cancel_job_run(self, applicationId, jobRunId):
        self.jobs[jobRunId]["state"] = "CANCELLING"
        return {}

    def _stop_application(self, applicationId):
        assert all(j["state"] in ENDED for j in self.jobs.values() if j["applicationId"] == applicationId)
        self.applications[applicationId]["state"] = "STOPPING"
        return {}

    def _delete_application(self, applicationId):
        assert self.applications[applicationId]["state"] in ("CREATED", "STOPPED")
        self.applications[applicationId]["state"] = "TERMINATED"
        return {}
