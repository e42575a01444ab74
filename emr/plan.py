"""What a turn of the loop would create and call in an account. Reads, writes nothing, calls nothing but storage."""

from typing import Any

from contract import layout
from contract.errors import RootError
from contract.settings import Settings
from contract.stores.store import Storage
from emr.cluster import Package, role
from emr.job import cluster_of, request_of
from emr.needs import NO_MAPREDUCE, NOT_ON_SERVERLESS, SERVERLESS, TURN, need, on_serverless
from emr.package import PackageError, fingerprint, published
from emr.requests import Attempt
from emr.serverless.jobs import job_of

# What is asked of EMR for one stage, in order; the last two only where a stop or a failure leaves something running.
CALLS = ("ListClusters", "RunJobFlow", "DescribeCluster", "ListSteps", "ListClusters", "CancelSteps", "TerminateJobFlows")
SERVERLESS_CALLS = ("CreateApplication", "GetApplication", "ListApplications", "ListJobRuns", "StartJobRun", "GetJobRun",
                    "CancelJobRun", "StopApplication", "DeleteApplication")


def plan(storage: Storage, settings: Settings, model: str) -> dict[str, Any]:
    """The document: per stage the very arguments of its requests, and the packages that nodes would unpack."""
    saved = settings.model_dump(mode="json", exclude={"root", "model"})
    packages = {environment: _package(storage, environment) for environment in sorted({need(n, settings.emr).environment
                                                                                      for n in TURN})}
    stages = [_stage(storage, settings, saved, model, name, packages) for name in TURN]
    serverless = settings.emr.compute == SERVERLESS
    return {"root": storage.root, "model": model, "compute": settings.emr.compute,
            "calls": list(CALLS), "serverless_calls": list(SERVERLESS_CALLS) if serverless else [], "stages": stages,
            "packages": {k: {"archive": p.archive, "uploaded": why is None, "why_not": why}
                         for k, (p, why) in packages.items()},
            "not_on_serverless": {**NOT_ON_SERVERLESS, "mapreduce": NO_MAPREDUCE} if serverless else {},
            "not_on_a_cluster": ["gate", "promotion", "publish"], "by_hand": ["score"]}


def _stage(storage: Storage, settings: Settings, saved: dict[str, Any], model: str, name: str,
           packages: dict[str, tuple[Package, str | None]]) -> dict[str, Any]:
    request = request_of(name, ["--model", model], saved, f"{model}/<run>")
    attempt = Attempt(storage, layout.step(model, f"{name}-<request>").format(1))
    found = {"stage": name, "where": _where(name, settings)}
    chosen = need(name, settings.emr)
    if on_serverless(chosen, settings.emr):
        asked = job_of(storage, request, attempt, settings.emr, f"arn:aws:iam::<account>:role/{role(settings.emr, name)}")
        return found | {"create_application": asked.application, "start_job_run": asked.job}
    sent = cluster_of(storage, request, attempt, packages[chosen.environment][0]).to_request()
    return found | {"run_job_flow": sent}


def _package(storage: Storage, environment: str) -> tuple[Package, str | None]:
    """The package, or its place and why it is not there: an account that has no bucket yet can be planned for, too."""
    try:
        return published(storage, environment), None
    except (PackageError, RootError) as error:
        why = str(error)
    key = storage.uri(layout.package(f"{environment}-<sha256 of source {fingerprint()}>.tar.gz"))
    return Package(key, "<sha256>", storage.uri(layout.package("bootstrap-<sha256>.sh"))), why


def _where(name: str, settings: Settings) -> str:
    place = "on EMR Serverless" if on_serverless(need(name, settings.emr), settings.emr) else "on a cluster"
    if name == "evaluate":
        return f"in the driver up to {settings.emr.here_bytes >> 20} MiB to count, else {place}"
    return place


def text(document: dict[str, Any]) -> str:
    """The plan for people."""
    lines = [f"{document['root']}, model {document['model']}: each stage gets what it needs, which ends with it."]
    for stage in document["stages"]:
        lines += [f"  {stage['stage']:<9} {stage['where']}", *(f"            {line}" for line in _asked(stage))]
    lines += [f"  here      {', '.join(document['not_on_a_cluster'])}",
              f"calls to EMR for each stage: {', '.join(document['calls'])}"]
    if document["serverless_calls"]:
        lines.append(f"calls to EMR Serverless: {', '.join(document['serverless_calls'])}")
    lines += [f"not on EMR Serverless: {name}: {why}." for name, why in document["not_on_serverless"].items()]
    lines += [f"package {name}: {p['archive']}{'' if p['uploaded'] else ' (not uploaded yet: trueup emr deploy)'}"
              for name, p in document["packages"].items()]
    return "\n".join([*lines, *_estimate(document.get("estimate"))])


def _asked(stage: dict[str, Any]) -> list[str]:
    """What would be made for a stage, and the command line that it runs."""
    if "create_application" in stage:
        made, job = stage["create_application"], stage["start_job_run"]
        spark = job["jobDriver"]["sparkSubmit"]
        return [f"{made['releaseLabel']}, role {job['executionRoleArn'].rpartition('/')[2]}: at most "
                f"{made['maximumCapacity']['cpu']}, {made['maximumCapacity']['memory']}, "
                f"{job['executionTimeoutMinutes']} minutes", " ".join([spark["entryPoint"], *spark["entryPointArguments"]])]
    sent = stage["run_job_flow"]
    fleets = ", ".join(f"{f['InstanceFleetType'].lower()} {f['TargetOnDemandCapacity']} on demand"
                       + (f" + {f['TargetSpotCapacity']} spot" if f["TargetSpotCapacity"] else "")
                       + f" of {'/'.join(c['InstanceType'] for c in f['InstanceTypeConfigs'])}"
                       for f in sent["Instances"]["InstanceFleets"])
    return [f"{sent['ReleaseLabel']}, role {sent['JobFlowRole']}: {fleets}", " ".join(sent["Steps"][0]["HadoopJarStep"]["Args"])]


def _estimate(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["hours and dollars: --predictions-per-day N"]
    load, month, recorded = found["load"], found["month"], found["recorded"]
    lines = [f"{load['predictions_per_day']:,} predictions and {load['labels_per_day']:,} labels a day, by the rates of "
             f"{recorded['machine']} ({recorded['date']}) and prices as of {found['prices']['as_of']} (to be checked):"]
    for name, stage in found["stages"].items():
        hours = "no rate recorded" if stage["hours"] is None else f"{stage['rows']:,} rows, {stage['hours']:.3f} h of work"
        lines.append(f"  {name:<9} {hours}, ${stage['dollars']:.2f} a time")
    lines.append(f"  a month: ${month['dollars_at_most']:.2f} at the most ({month['evaluations']} evaluations, "
                 f"{month['retrainings_at_most']:g} retrainings)")
    return [*lines, *(f"  assumed: {line}" for line in found["assumed"])]
