"""The EMR API with its failures: throttling is ridden out, a lost response never makes a second cluster.

RunJobFlow has no idempotency token. So a cluster is looked for by its name before it is made, and again before the
request is sent a second time; what is made twice after all is ended (emr/follow.py).
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract.errors import TrueupError
from emr.cluster import STACK_TAG

if TYPE_CHECKING:
    from botocore.client import BaseClient

ALIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized"}
SERVICE = {"InternalServerError", "InternalServerException", "InternalFailure", "ServiceUnavailable"}
ATTEMPTS = 9
LONGEST_WAIT = 30.0
LOOKS = 3  # a new cluster may be missing from the listing for some seconds


class AccountError(TrueupError):
    """EMR refused a request; its words are in the message, its code in `code`."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code

    @property
    def denied(self) -> bool:
        """Whether the caller may not ask that, so that nothing is known of what was asked."""
        return self.code in DENIED


class Uncertain(Exception):
    """The request may or may not have been carried out."""


def connect(service: str = "emr") -> "BaseClient":
    """Makes a boto3 client. It never retries by itself: that would hide a lost response."""
    from botocore.config import Config

    from contract.stores.aws_region import get_session, need_region

    return get_session().client(service, region_name=need_region(), config=Config(
        retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=60))


def pause(seconds: float) -> None:
    """Waits between requests; a function of its own, so that tests can replace it."""
    time.sleep(seconds)


@dataclass
class Caller:
    """Requests to one service, throttling and lost responses ridden out."""

    client: Any
    sleep: Callable[[float], None] = field(default=lambda seconds: pause(seconds))
    service: str = "EMR"

    def call(self, operation: str, **arguments: Any) -> Any:
        """Sends a request that may be sent twice; throttling and lost responses are waited for."""
        for attempt in range(ATTEMPTS):
            try:
                return self._send(operation, **arguments)
            except Uncertain as error:
                last = error
                if attempt < ATTEMPTS - 1:
                    self._wait(attempt)
        raise AccountError(f"{self.service} {operation}: gave up after {ATTEMPTS} attempts: {last}. Check the network and the "
                           f"region.")

    def _send(self, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

        try:
            return getattr(self.client, operation)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in THROTTLED | SERVICE:
                raise Uncertain(f"{code}: {error}") from error
            raise AccountError(f"{self.service} refused {operation}: {error}. Check the settings under `emr:`, the roles of "
                               f"`trueup emr deploy`, and the region.", code) from error
        except (ParamValidationError, NoCredentialsError) as error:
            raise AccountError(f"{self.service} {operation} was not sent: {error}") from error
        except BotoCoreError as error:
            raise Uncertain(str(error)) from error

    def _wait(self, attempt: int) -> None:
        """Waits longer with each attempt, and with jitter: drivers that were throttled together do not come back together."""
        self.sleep(random.uniform(0.5, 1) * min(2.0 ** attempt, LONGEST_WAIT))


@dataclass
class Account(Caller):
    """The clusters of one account and region."""

    client: Any = field(default_factory=lambda: connect())  # looked up late, so that tests can replace it

    def create(self, request: Mapping[str, Any]) -> str:
        """Makes the cluster, or finds the one of that name that a lost response left; returns its id."""
        for attempt in range(ATTEMPTS):
            cluster = self.find(request["Name"], looks=LOOKS if attempt else 1)
            if cluster:
                return cluster
            try:
                return self._send("run_job_flow", **request)["JobFlowId"]
            except Uncertain:
                if attempt < ATTEMPTS - 1:
                    self._wait(attempt)
        raise AccountError(f"RunJobFlow: gave up after {ATTEMPTS} attempts, none of which was answered. Check the network "
                           f"and `trueup emr status`, then start again: a cluster that was made is found.")

    def find(self, name: str, looks: int = 1) -> str | None:
        """Returns the id of the oldest living cluster of that name, or None after so many looks."""
        for look in range(looks):
            if look:
                self._wait(look)
            if living := self.find_alive(name):
                return living[0]
        return None

    def find_alive(self, name: str) -> list[str]:
        """Returns ids of the living clusters of that name, oldest first."""
        return [cluster["Id"] for cluster in self.list_clusters() if cluster["Name"] == name]

    def list_clusters(self, states: tuple[str, ...] = ALIVE) -> list[dict[str, Any]]:
        """Returns clusters in these states, oldest first."""
        clusters = [c for page in self._read_pages("list_clusters", ClusterStates=list(states)) for c in page["Clusters"]]
        return sorted(clusters, key=lambda c: (str(c["Status"].get("Timeline", {}).get("CreationDateTime", "")), c["Id"]))

    def describe(self, cluster: str) -> dict[str, Any]:
        """Describes one cluster."""
        return self.call("describe_cluster", ClusterId=cluster)["Cluster"]

    def read_tag(self, cluster: str, key: str = STACK_TAG) -> str | None:
        """Returns a tag of a cluster."""
        return {t["Key"]: t["Value"] for t in self.describe(cluster).get("Tags", ())}.get(key)

    def find_step(self, cluster: str) -> dict[str, Any] | None:
        """Returns the cluster's one step; None while EMR does not list it yet."""
        steps = [s for page in self._read_pages("list_steps", ClusterId=cluster) for s in page["Steps"]]
        return steps[-1] if steps else None

    def list_instances(self, cluster: str) -> list[dict[str, Any]]:
        """Returns all machines that a cluster had."""
        return [i for page in self._read_pages("list_instances", ClusterId=cluster) for i in page["Instances"]]

    def stop(self, cluster: str) -> None:
        """Cancels what runs, and ends the cluster. Nothing happens when it has ended."""
        step = self.find_step(cluster)
        if step and step["Status"]["State"] in ("PENDING", "RUNNING"):
            self.call("cancel_steps", ClusterId=cluster, StepIds=[step["Id"]],
                      StepCancellationOption="TERMINATE_PROCESS")
        self.call("terminate_job_flows", JobFlowIds=[cluster])

    def _read_pages(self, operation: str, **arguments: Any) -> Iterator[Any]:
        while True:
            page = self.call(operation, **arguments)
            yield page
            if not page.get("Marker"):
                return
            arguments["Marker"] = page["Marker"]
