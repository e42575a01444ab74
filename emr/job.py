"""From a stage's request to the cluster that runs it: the one place that knows both."""

from collections.abc import Mapping, Sequence
from typing import Any

from contract import layout
from contract.errors import UsageError
from contract.settings import EmrSettings
from contract.stores.store import Storage
from emr.cluster import HOME, PYTHON, RUN_TAG, Cluster, Package, Step
from emr.needs import MAPREDUCE, need, nodes
from emr.requests import Attempt, Request


def request_of(stage: str, argv: Sequence[str], settings: Mapping[str, Any], run: str | None = None,
               module: str | None = None) -> Request:
    """What is asked of a cluster: the stage's arguments and those that its place needs, with the run's settings."""
    found, given = need(stage, emr_settings(settings)), dict(settings)
    for section, name, value in found.sets:
        given[section] = {**given.get(section, {}), name: value}
    return Request(stage=stage, module=module or found.module, argv=[*argv, *found.arguments], settings=given, run=run,
                   engine=found.engine)


def emr_settings(settings: Mapping[str, Any]) -> EmrSettings:
    """The `emr:` section of a run's settings."""
    return EmrSettings(**settings.get("emr", {}))


def cluster_of(storage: Storage, request: Request, attempt: Attempt, package: Package) -> Cluster:
    """The cluster of one attempt. UsageError where an account's settings are missing."""
    settings = emr_settings(request.settings)
    if not settings.subnets:
        raise UsageError("emr.subnets: expected the subnets that clusters may start in, got none. Name them in trueup.yaml: "
                         "`emr: {subnets: [subnet-…]}`.")
    found = need(request.stage, settings)
    tags = {RUN_TAG: request.run or "none"}
    return Cluster(attempt.name, found, nodes(found, settings, request.settings.get("train", {})),
                   Step(request.stage, command(storage.root, attempt.key, found.engine)), package, settings,
                   storage.uri(layout.logs()), tags)


def command(root: str, key: str, engine: str) -> list[str]:
    """The step's command line; only the request's key travels in it."""
    arguments = [f"{HOME}/emr/step.py", "--root", root, "--request", key]
    if engine == MAPREDUCE:
        return ["env", f"PYTHONPATH={HOME}", PYTHON, *arguments]
    return ["spark-submit", "--master", "yarn", "--deploy-mode", "client", *arguments]
