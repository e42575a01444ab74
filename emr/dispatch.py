"""Where a stage runs, and the one call that runs it there: on a cluster of its own, or on EMR Serverless."""

from collections.abc import Callable
from typing import Any

from contract.stores.store import Storage
from emr.cluster import Package, locate_role
from emr.follow import ClusterFollower
from emr.job import make_cluster, read_emr_settings
from emr.limits import START_MINUTES, find_job_minutes, find_minutes
from emr.made_network import find_subnets
from emr.needs import find_need, runs_on_serverless
from emr.requests import Attempt, Reply, Request


def run_stage(storage: Storage, model: str, request: Request, package: Callable[[str], Package]) -> Reply:
    """Runs the stage to its answer. `package` looks up an environment's package, which only nodes of a cluster unpack.

    Raises ClusterFailed, Interrupted, AccountError, UsageError.
    """
    settings = read_emr_settings(request.settings)
    need = find_need(request.stage, settings)
    if runs_on_serverless(need, settings):
        return _run_on_serverless(storage, model, request)

    def make(attempt: Attempt) -> dict[str, Any]:
        return make_cluster(storage, request, attempt, package(need.environment), find_subnets(settings)).to_request()

    minutes = find_minutes(settings, request.stage)
    return ClusterFollower(storage, settings.poll_seconds, minutes=minutes).run(model, request, make)


def _run_on_serverless(storage: Storage, model: str, request: Request) -> Reply:
    from emr.serverless.account import find_role_arn
    from emr.serverless.follow import ServerlessFollower
    from emr.serverless.job import Job, make_job

    settings = read_emr_settings(request.settings)

    minutes = find_job_minutes(settings, request.stage) + START_MINUTES

    def make(attempt: Attempt) -> Job:
        return make_job(storage, request, attempt, settings, find_role_arn(locate_role(settings, request.stage)))

    return ServerlessFollower(storage, settings.poll_seconds, minutes=minutes).run(model, request, make)
