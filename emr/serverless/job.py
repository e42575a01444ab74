"""The requests of one stage on EMR Serverless: an application of its own, and its one Spark job.

An application costs nothing while it is stopped; it starts with its job, stops when idle, and its capacity is bounded.
Workers run our image (emr/serverless.Dockerfile), since EMR's own has no Python 3.11.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract import layout
from contract.errors import UsageError
from contract.sections.modules import VARIABLE, list_allowed
from contract.settings import EmrSettings
from contract.stores.store import Storage
from emr.cluster import HOME, PYTHON, RUN_TAG, STACK_TAG, STAGE_TAG, Regions, name_regions
from emr.job import find_regions
from emr.limits import find_job_minutes
from emr.requests import Attempt, Request
from emr.security.key import require_region
from jvm import spark_conf

VCPUS, MEMORY_GB, DISK_GB = 4, 16, 20  # of a worker; EMR Serverless has fixed ratios
HEAP_GB, BESIDE_GB = 8, 6  # of Spark's Java, and of Python beside it, which counts and scores there


@dataclass(frozen=True)
class Job:
    """One stage: the application, and the job that it runs."""

    application: dict[str, Any]
    job: dict[str, Any]  # without applicationId, which is known when the application is there


def make_job(storage: Storage, request: Request, attempt: Attempt, settings: EmrSettings, role: str) -> Job:
    """Makes the requests of an attempt. UsageError without an image. `role`: the ARN of the stage's role."""
    if not settings.serverless_image:
        raise UsageError("emr.compute is serverless: expected emr.serverless_image, the image of its workers, got none. Build it "
                         "from emr/serverless.Dockerfile (docs/deploy.md), or set emr.compute to clusters.")
    tags = {**settings.tags, STACK_TAG: settings.stack, STAGE_TAG: request.stage, RUN_TAG: request.run or "none"}
    token = hashlib.sha256(f"{storage.root} {attempt.key}".encode()).hexdigest()
    application = _make_application(attempt, settings, token, tags)
    return Job(application, _make_job_run(storage, request, attempt, settings, role, token, tags))


def name_application(attempt: Attempt) -> str:
    """Names the attempt's application (names are short there, and have no spaces)."""
    stage = attempt.key.rsplit("/", 3)[-3].partition("-")[0]
    return f"trueup-{stage}-{hashlib.sha256(attempt.name.encode()).hexdigest()[:16]}"


def _make_application(attempt: Attempt, settings: EmrSettings, token: str, tags: Mapping[str, str]) -> dict[str, Any]:
    workers = settings.serverless_workers + 1  # and the driver
    disks = {"diskEncryptionConfiguration": {"encryptionKeyArn": settings.kms_key}} if settings.kms_key else {}
    return disks | {
        "name": name_application(attempt), "releaseLabel": settings.release, "type": "SPARK", "clientToken": token,
        "architecture": "X86_64", "tags": dict(tags), "imageConfiguration": {"imageUri": settings.serverless_image},
        "autoStartConfiguration": {"enabled": True},
        "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": max(1, settings.idle_seconds // 60)},
        "maximumCapacity": {"cpu": f"{workers * VCPUS} vCPU", "memory": f"{workers * MEMORY_GB} GB",
                            "disk": f"{workers * DISK_GB} GB"}}


def _make_job_run(storage: Storage, request: Request, attempt: Attempt, settings: EmrSettings, role: str, token: str,
                  tags: Mapping[str, str]) -> dict[str, Any]:
    wanted, regions = request.settings.get("spark", {}).get("conf", {}), find_regions(storage)
    require_region(settings.kms_key, regions.bucket)
    defaults = {"classification": "spark-defaults", "properties": make_spark_defaults(settings, wanted, regions)}
    return {
        "clientToken": token, "name": attempt.name[:256], "executionRoleArn": role, "mode": "BATCH", "tags": dict(tags),
        "executionTimeoutMinutes": find_job_minutes(settings, request.stage), "retryPolicy": {"maxAttempts": 1},
        "jobDriver": {"sparkSubmit": {"entryPoint": f"local://{HOME}/emr/step.py",
                                      "entryPointArguments": ["--root", storage.root, "--request", attempt.key]}},
        "configurationOverrides": {
            "applicationConfiguration": [defaults],
            "monitoringConfiguration": _make_monitoring(storage, settings)}}


def _make_monitoring(storage: Storage, settings: EmrSettings) -> dict[str, Any]:
    """Logs go to the bucket, and for 30 days to a place of EMR Serverless's own (managed), which has its own key unless told."""
    place = {"logUri": storage.uri(layout.logs())}
    if settings.kms_key is None:
        return {"s3MonitoringConfiguration": place}
    own = {"encryptionKeyArn": settings.kms_key}
    return {"s3MonitoringConfiguration": place | own, "managedPersistenceMonitoringConfiguration": {"enabled": True} | own}


def make_spark_defaults(settings: EmrSettings, wanted: Mapping[str, Any], regions: Regions) -> dict[str, str]:
    """Writes Spark's settings on EMR Serverless, then those of `spark.conf`; its master is its own."""
    variables = {"PYSPARK_PYTHON": PYTHON, "PYTHONPATH": HOME}
    if allowed := list_allowed():
        variables[VARIABLE] = json.dumps(allowed)
    defaults = {f"spark.emr-serverless.driverEnv.{name}": value
                for name, value in {**variables, "PYSPARK_DRIVER_PYTHON": PYTHON}.items()}
    defaults |= {f"spark.executorEnv.{name}": value for name, value in variables.items()}
    defaults |= name_regions(regions, "spark.emr-serverless.driverEnv")
    for part in ("driver", "executor"):
        defaults |= {f"spark.{part}.cores": str(VCPUS), f"spark.{part}.memory": f"{HEAP_GB}g",
                     f"spark.{part}.memoryOverhead": f"{BESIDE_GB}g"}
    defaults |= {"spark.sql.session.timeZone": "UTC", "spark.dynamicAllocation.maxExecutors": str(settings.serverless_workers)}
    return defaults | {name: spark_conf.text(value) for name, value in wanted.items() if name != "spark.master"}
