"""What is asked of a cluster for a stage, and the cluster that is asked: its nodes, its step, its package, its regions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contract import layout
from contract.errors import RootError, UsageError
from contract.sections.modules import VARIABLE, list_allowed
from contract.settings import EmrSettings
from contract.storage import find_region
from contract.stores.aws_region import need_region
from contract.stores.store import Storage
from emr.cluster import HOME, PYTHON, RUN_TAG, Cluster, Package, Regions, Step
from emr.needs import MAPREDUCE, choose_nodes, count_ranks, find_need
from emr.requests import Attempt, Request
from emr.security.key import require_region


def make_request(stage: str, argv: Sequence[str], settings: Mapping[str, Any], run: str | None = None,
               module: str | None = None) -> Request:
    """Writes what is asked of a cluster: the stage's arguments and those of its place, with the run's settings."""
    need = find_need(stage, read_emr_settings(settings))
    given = dict(settings)
    for section, name, value in need.sets:
        given[section] = {**given.get(section, {}), name: value}
    return Request(stage=stage, module=module or need.module, argv=[*argv, *need.arguments], settings=given, run=run,
                   engine=need.engine)


def read_emr_settings(settings: Mapping[str, Any]) -> EmrSettings:
    """Reads the `emr:` section of a run's settings."""
    return EmrSettings(**settings.get("emr", {}))


def make_cluster(storage: Storage, request: Request, attempt: Attempt, package: Package,
                 subnets: Sequence[str] = (), owner: str = "") -> Cluster:
    """Makes the cluster of one attempt. UsageError where an account's settings are missing.

    `subnets`: those of a network that the stack made; default: those of the settings. `owner`: of roles with a path, as
    Cluster has it; default: whoever asks.
    """
    settings = read_emr_settings(request.settings)
    if subnets:
        settings = settings.model_copy(update={"subnets": list(subnets)})
    if not settings.subnets:
        raise UsageError("emr.subnets: expected the subnets that clusters may start in, got none. Name them in trueup.yaml: "
                         "`emr: {subnets: [subnet-…]}`, or let the stack make some: `emr: {create_network: true}`.")
    need, regions = find_need(request.stage, settings), find_regions(storage)
    require_region(settings.kms_key, regions.bucket)
    tags = {RUN_TAG: request.run or "none"}
    ranks = count_ranks(request.stage, request.argv, request.settings)
    return Cluster(attempt.name, need, choose_nodes(need, settings, ranks),
                   Step(request.stage, write_command(storage.root, attempt.key, need.engine, need_region())), package, settings,
                   storage.uri(layout.logs()), tags, regions,
                   _find_owner(settings, owner))


def _find_owner(settings: EmrSettings, owner: str) -> str:
    from emr.serverless.account import find_owner

    return "" if settings.role_path == "/" else owner or find_owner()


def find_regions(storage: Storage) -> Regions:
    """Finds the region of whoever asks, where clusters are made, and the bucket's own. UsageError where none is known."""
    here = need_region()
    try:
        return Regions(here, find_region(storage) or here)
    except RootError:  # a plan is made before there is a bucket, or rights to it
        return Regions(here, here)


def write_command(root: str, key: str, engine: str, region: str) -> list[str]:
    """Writes the step's command line: the request's key, and whose code may run, which is nothing for the bucket to say."""
    arguments = [f"{HOME}/emr/step.py", "--root", root, "--request", key]
    modules = [f"{VARIABLE}={json.dumps(allowed)}"] if (allowed := list_allowed()) else []
    if engine == MAPREDUCE:
        return ["env", f"PYTHONPATH={HOME}", f"AWS_REGION={region}", *modules, PYTHON, *arguments]
    of_executors = [word for pair in modules for word in ("--conf", f"spark.executorEnv.{pair}")]
    submit = ["spark-submit", "--master", "yarn", "--deploy-mode", "client", *of_executors, *arguments]
    return ["env", *modules, *submit] if modules else submit
