"""What a turn of the loop would create and call in an account. Reads, writes nothing, calls nothing but storage."""

from typing import Any

from contract import layout
from contract.errors import RootError
from contract.settings import EmrSettings, Settings
from contract.stores.aws_region import find_partition, need_region
from contract.stores.store import Storage
from emr.cluster import Package, locate_role
from emr.costs.recount import write_recount
from emr.costs.span import Span
from emr.job import make_cluster, make_request
from emr.needs import BY_HAND, NO_MAPREDUCE, NOT_ON_SERVERLESS, SERVERLESS, TURN, find_need, runs_on_serverless
from emr.package import PackageError, compute_fingerprint, find_package
from emr.quotas import list_quota_needs
from emr.requests import Attempt
from emr.serverless.job import make_job
from emr.template.network import PRIVATE

# What is asked of EMR for one stage, in order; the last two only where a stop or a failure leaves something running.
CALLS = ("ListClusters", "RunJobFlow", "DescribeCluster", "ListSteps", "ListClusters", "CancelSteps", "TerminateJobFlows")
SERVERLESS_CALLS = ("CreateApplication", "GetApplication", "ListApplications", "ListJobRuns", "StartJobRun", "GetJobRun",
                    "CancelJobRun", "StopApplication", "DeleteApplication")


def plan(storage: Storage, settings: Settings, model: str) -> dict[str, Any]:
    """Writes the document: per stage the very arguments of its requests, and the packages that nodes would unpack."""
    saved = settings.dump_for_stages()
    environments = sorted({find_need(name, settings.emr).environment for name in TURN})
    packages = {environment: _find_package(storage, environment) for environment in environments}
    stages = [_plan_stage(storage, settings, saved, model, name, packages) for name in TURN]
    serverless = settings.emr.compute == SERVERLESS
    return {"root": storage.root, "model": model, "compute": settings.emr.compute,
            "calls": list(CALLS), "serverless_calls": list(SERVERLESS_CALLS) if serverless else [], "stages": stages,
            "packages": {k: {"archive": p.archive, "uploaded": why is None, "why_not": why}
                         for k, (p, why) in packages.items()},
            "not_on_serverless": {**NOT_ON_SERVERLESS, "mapreduce": NO_MAPREDUCE} if serverless else {},
            "not_on_a_cluster": ["gate", "promotion", "publish"], "by_hand": list(BY_HAND),
            "tracking": describe_tracking(settings), "quotas": [need.to_dict() for need in list_quota_needs(settings)]}


def _plan_stage(storage: Storage, settings: Settings, saved: dict[str, Any], model: str, name: str,
                packages: dict[str, tuple[Package, str | None]]) -> dict[str, Any]:
    request = make_request(name, ["--model", model], saved, f"{model}/<run>")
    attempt = Attempt(storage, layout.step(model, f"{name}-<request>").format(1))
    entry = {"stage": name, "where": _describe_place(name, settings)}
    chosen = find_need(name, settings.emr)
    owner = f"arn:{find_partition(need_region())}:iam::<account>"
    if runs_on_serverless(chosen, settings.emr):
        asked = make_job(storage, request, attempt, settings.emr, f"{owner}:role/{locate_role(settings.emr, name)}")
        return entry | {"create_application": asked.application, "start_job_run": asked.job}
    cluster = make_cluster(storage, request, attempt, packages[chosen.environment][0], name_subnets(settings.emr), owner)
    return entry | {"run_job_flow": cluster.to_request()}


def describe_tracking(settings: Settings) -> str | None:
    """Says how MLflow hears of trainings on clusters; None where `track:` names none."""
    if settings.track.mlflow is None:
        return None
    inside = settings.emr.create_network and not settings.emr.nat
    closed = ", which the network of the stack has no way to outside of itself (emr.nat)" if inside else ""
    return (f"MLflow {settings.track.mlflow}: nodes of train, assess and tune tell it while they work, where they reach "
            f"it{closed}, and without name and password, which stay here. What they could not tell of a candidate the driver "
            f"tells when its turn, or `trueup emr run`, ends: settings, epochs all at once, card, assessment.")


def name_subnets(settings: EmrSettings) -> list[str]:
    """Names the subnets of a request; those of a network that the stack makes have no ids yet."""
    made = settings.create_network and not settings.subnets
    return [f"<{name} of stack {settings.stack}>" for name in PRIVATE] if made else list(settings.subnets)


def _find_package(storage: Storage, environment: str) -> tuple[Package, str | None]:
    """Finds the package, or its place and why it is not there: an account without a bucket can be planned for, too."""
    try:
        return find_package(storage, environment), None
    except (PackageError, RootError) as error:
        why = str(error)
    key = storage.uri(layout.package(f"{environment}-<sha256 of source {compute_fingerprint()}>.tar.gz"))
    return Package(key, "<sha256>", storage.uri(layout.package("bootstrap-<sha256>.sh"))), why


def _describe_place(name: str, settings: Settings) -> str:
    place = "on EMR Serverless" if runs_on_serverless(find_need(name, settings.emr), settings.emr) else "on a cluster"
    if name == "evaluate":
        return f"in the driver up to {settings.emr.here_bytes >> 20} MiB to count, else {place}"
    return place


def write_text(document: dict[str, Any]) -> str:
    """Writes the plan for people."""
    lines = [f"{document['root']}, model {document['model']}: each stage gets what it needs, which ends with it."]
    for stage in document["stages"]:
        lines += [f"  {stage['stage']:<9} {stage['where']}", *(f"            {line}" for line in _describe_requests(stage))]
    lines += [f"  here      {', '.join(document['not_on_a_cluster'])}",
              f"calls to EMR for each stage: {', '.join(document['calls'])}"]
    if document["serverless_calls"]:
        lines.append(f"calls to EMR Serverless: {', '.join(document['serverless_calls'])}")
    lines += [f"not on EMR Serverless: {name}: {why}." for name, why in document["not_on_serverless"].items()]
    lines += [f"package {name}: {p['archive']}{'' if p['uploaded'] else ' (not uploaded yet: trueup emr deploy)'}"
              for name, p in document["packages"].items()]
    lines += [document["tracking"]] if document["tracking"] else []
    return "\n".join([*lines, *_describe_quotas(document["quotas"]), *write_recount(document.get("recount")),
                      *_describe_estimate(document.get("estimate"))])


def _describe_requests(stage: dict[str, Any]) -> list[str]:
    """Says what would be made for a stage, and the command line that it runs."""
    if "create_application" in stage:
        application = stage["create_application"]
        job = stage["start_job_run"]
        spark = job["jobDriver"]["sparkSubmit"]
        return [f"{application['releaseLabel']}, role {job['executionRoleArn'].rpartition('/')[2]}: at most "
                f"{application['maximumCapacity']['cpu']}, {application['maximumCapacity']['memory']}, "
                f"{job['executionTimeoutMinutes']} minutes", " ".join([spark["entryPoint"], *spark["entryPointArguments"]])]
    sent = stage["run_job_flow"]
    fleets = ", ".join(f"{f['InstanceFleetType'].lower()} {f['TargetOnDemandCapacity']} on demand"
                       + (f" + {f['TargetSpotCapacity']} spot" if f["TargetSpotCapacity"] else "")
                       + f" of {'/'.join(c['InstanceType'] for c in f['InstanceTypeConfigs'])}"
                       for f in sent["Instances"]["InstanceFleets"])
    return [f"{sent['ReleaseLabel']}, role {sent['JobFlowRole']}: {fleets}", " ".join(sent["Steps"][0]["HadoopJarStep"]["Args"])]


def _describe_estimate(estimate: dict[str, Any] | None) -> list[str]:
    if estimate is None:
        return ["hours and dollars: --predictions-per-day N"]
    load, recorded, prices = estimate["load"], estimate["recorded"], estimate["prices"]
    lines = [f"{load['predictions_per_day']:,} predictions and {load['labels_per_day']:,} labels a day, by the rates of "
             f"{recorded['machine']} ({recorded['date']}) and prices of {prices['region']} as of {prices['as_of']} (to be "
             f"checked):",
             *(_describe_stage_cost(name, stage) for name, stage in estimate["stages"].items()),
             *_describe_month(estimate["month"])]
    return [*lines, *(f"  assumed: {line}" for line in estimate["assumed"]), f"  not in it: {'; '.join(estimate['not_in_it'])}"]


def _describe_stage_cost(name: str, stage: dict[str, Any]) -> str:
    work = "no rate recorded"
    if stage["hours"] is not None:
        work = f"{stage['rows']:,} rows, {stage['hours']['low']:.3f} to {stage['hours']['high']:.3f} h of work"
    return f"  {name:<9} {stage['where']}: {work}, {Span(**stage['dollars']).to_text()} a time"


def _describe_month(month: dict[str, Any]) -> list[str]:
    """Writes the month's bill, a line for each part."""
    lines = [f"  a month: {Span(**month['dollars']).to_text()} ({month['starts']:g} starts, {month['days_counted']['low']:g} to "
             f"{month['days_counted']['high']:g} days counted, {month['retrainings']['low']:g} to "
             f"{month['retrainings']['high']:g} retrainings):"]
    return [*lines, *(f"    {name:<13} {Span(**part).to_text()}" for name, part in month["parts"].items())]


def _describe_quotas(quotas: list[dict[str, Any]]) -> list[str]:
    return [f"asks of quota {q['name']} ({q['code'] or q['service']}): {q['vcpus']} vCPUs ({', '.join(q['stages'])})"
            for q in quotas]
