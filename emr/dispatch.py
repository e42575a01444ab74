"""Where a stage runs, and the one call that runs it there: on a cluster of its own, or on EMR Serverless."""

from collections.abc import Callable
from typing import Any

from contract.stores.store import Storage
from emr.cluster import Package, role
from emr.follow import Follower
from emr.job import cluster_of, emr_settings
from emr.needs import need, on_serverless
from emr.requests import Attempt, Reply, Request


def carry(storage: Storage, model: str, request: Request, package: Callable[[str], Package]) -> Reply:
    """The stage's answer. `package` looks up an environment's package, which only nodes of a cluster unpack.

    Raises ClusterFailed, Interrupted, AccountError, UsageError.
    """
    settings = emr_settings(request.settings)
    found = need(request.stage, settings)
    if on_serverless(found, settings):
        return _serverless(storage, model, request)

    def make(attempt: Attempt) -> dict[str, Any]:
        return cluster_of(storage, request, attempt, package(found.environment)).to_request()

    return Follower(storage, poll=settings.poll_seconds).carry(model, request, make)


def _serverless(storage: Storage, model: str, request: Request) -> Reply:
    from emr.serverless.account import role_arn
    from emr.serverless.follow import ServerlessFollower
    from emr.serverless.jobs import Job, job_of

    settings = emr_settings(request.settings)

    def make(attempt: Attempt) -> Job:
        return job_of(storage, request, attempt, settings, role_arn(role(settings, request.stage)))

    return ServerlessFollower(storage, poll=settings.poll_seconds).carry(model, request, make)
