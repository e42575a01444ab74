"""The applications and jobs of EMR Serverless in one account. Creation carries a token, so it may be sent twice."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emr import account
from emr.account import AccountError, Caller
from emr.cluster import STACK_TAG

GONE = "TERMINATED"
JOB_ENDED = ("SUCCESS", "FAILED", "CANCELLED")
MOST_TOKENS = 5
LOOKS = 90  # how often we look until something has ended
PAUSE = 5.0  # seconds between looks


@dataclass
class ServerlessAccount(Caller):
    """The applications of one account and region."""

    client: Any = field(default_factory=lambda: account.connect("emr-serverless"))
    service: str = "EMR Serverless"

    def create(self, request: Mapping[str, Any]) -> str:
        """Makes the application, or finds the living one that the same token made; returns its id.

        A token goes on naming an application that was deleted, so the next one is then tried.
        """
        for n in range(MOST_TOKENS):
            token = hashlib.sha256(f"{request['clientToken']} {n}".encode()).hexdigest()
            application = self.call("create_application", **{**request, "clientToken": token})["applicationId"]
            if self.read_state(application) != GONE:
                return application
        raise AccountError(f"EMR Serverless: {MOST_TOKENS} applications {request['name']} were deleted as soon as they were "
                           f"made. Look at the account's trail for whoever does that, then start again.")

    def start(self, application: str, job: Mapping[str, Any]) -> str:
        """Starts the job, which starts the application; the same token starts it once. Returns its id."""
        self._wait_until(application, lambda state: state != "CREATING")
        token = hashlib.sha256(f"{job['clientToken']} {application}".encode()).hexdigest()
        return self.call("start_job_run", **{**job, "applicationId": application, "clientToken": token})["jobRunId"]

    def list_applications(self) -> list[dict[str, Any]]:
        """Lists applications that are not gone: id, name and state."""
        return [a for a in self._read_pages("list_applications", "applications") if a["state"] != GONE]

    def find_alive(self, name: str) -> list[str]:
        """Returns ids of the applications of that name that are not gone."""
        return [a["id"] for a in self.list_applications() if a["name"] == name]

    def list_of_stack(self, stack: str) -> list[dict[str, Any]]:
        """Lists the applications that carry the stack's tag."""
        ours = (a for a in self.list_applications() if a["name"].startswith("trueup-"))
        return [a for a in ours if self._describe(a["id"]).get("tags", {}).get(STACK_TAG) == stack]

    def _describe(self, application: str) -> dict[str, Any]:
        return self.call("get_application", applicationId=application)["application"]

    def read_state(self, application: str) -> str:
        """Returns the application's state; TERMINATED for one that the service has forgotten."""
        try:
            return self._describe(application)["state"]
        except AccountError as error:
            if error.code == "ResourceNotFoundException":
                return GONE
            raise

    def find_job(self, application: str) -> dict[str, Any] | None:
        """Returns the application's one job; None while there is none."""
        runs = list(self._read_pages("list_job_runs", "jobRuns", applicationId=application))
        return self.call("get_job_run", applicationId=application, jobRunId=runs[0]["id"])["jobRun"] if runs else None

    def end(self, application: str) -> None:
        """Cancels the job, stops the application and deletes it. Nothing happens when it is gone."""
        job = self.find_job(application)
        if job and job["state"] not in JOB_ENDED:
            self.call("cancel_job_run", applicationId=application, jobRunId=job["jobRunId"])
            for _ in range(LOOKS):
                job = self.find_job(application)
                if job is None or job["state"] in JOB_ENDED:
                    break
                self.sleep(PAUSE)
        state = self._wait_until(application, lambda state: state not in ("CREATING", "STARTING"))
        if state in ("STARTED", "STOPPING"):
            if state == "STARTED":
                self.call("stop_application", applicationId=application)
            state = self._wait_until(application, lambda state: state in ("STOPPED", GONE))
        if state != GONE:
            self.call("delete_application", applicationId=application)

    def _wait_until(self, application: str, good: Callable[[str], bool]) -> str:
        for _ in range(LOOKS):
            if good(state := self.read_state(application)):
                return state
            self.sleep(PAUSE)
        raise AccountError(f"EMR Serverless: application {application} stays {state}. It stops by itself when it is idle; "
                           f"`trueup emr destroy` removes it.")

    def _read_pages(self, operation: str, what: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        while True:
            page = self.call(operation, **arguments)
            yield from page[what]
            if not page.get("nextToken"):
                return
            arguments["nextToken"] = page["nextToken"]


def find_identity() -> dict[str, str]:
    """Finds whose credentials these are: Account and Arn. Whoever has some may ask that."""
    return Caller(account.connect("sts"), service="STS").call("get_caller_identity")


def find_role_arn(role: str) -> str:
    """Finds the ARN of a role of this account."""
    return f"{find_owner()}:role/{role}"


def find_owner() -> str:
    """Finds what the ARNs of this account's roles begin with: arn:<partition>:iam::<account>."""
    caller = find_identity()
    return f"arn:{caller['Arn'].split(':')[1]}:iam::{caller['Account']}"
