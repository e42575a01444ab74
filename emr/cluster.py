"""The request for a transient cluster that runs one stage and ends: RunJobFlow, from typed values.

No keep-alive, an idle time-out, TERMINATE_CLUSTER when the step fails: three ways to end that need nobody who watches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.settings import EmrSettings
from emr.memory import size_rank
from emr.needs import MAPREDUCE, Need, Nodes
from emr.security.configuration import name_configuration

HOME = "/opt/trueup"  # where bootstrap.sh unpacks the environment, the same on every node
PYTHON = "/usr/bin/python3.11"  # comes with EMR 7
RUN_TAG, STAGE_TAG, STACK_TAG = "trueup:run", "trueup:stage", "trueup:stack"
# Without it the service role's managed policy may not touch the cluster.
POLICY_TAG = "for-use-with-amazon-emr-managed-policies"
# GPUs are a YARN resource, isolated by cgroups (EMR Release Guide, "Using the NVIDIA Spark-RAPIDS accelerator").
CGROUP = "/spark-rapids-cgroup"
GPU_SCRIPT = "/usr/lib/spark/scripts/gpu/getGpusResources.sh"
DISK_GB = 128
ROOT_GB = 40  # /opt and /tmp: the archive with CUDA has 2.8 GB packed, and EMR's default is 15


@dataclass(frozen=True)
class Package:
    """What every node unpacks: where the archive and the script lie (s3://…), and the archive's sha256."""

    archive: str
    sha256: str
    bootstrap: str


@dataclass(frozen=True)
class Step:
    """One step: its name, and the command line that command-runner.jar starts on the primary node."""

    name: str
    command: Sequence[str]

    def to_request(self) -> dict[str, Any]:
        """Writes the step as RunJobFlow takes it."""
        return {"Name": self.name, "ActionOnFailure": "TERMINATE_CLUSTER",
                "HadoopJarStep": {"Jar": "command-runner.jar", "Args": list(self.command)}}


@dataclass(frozen=True)
class Regions:
    """The region of the cluster, and that of the root's bucket, which may lie elsewhere."""

    here: str
    bucket: str


@dataclass(frozen=True)
class Cluster:
    """One transient cluster with its one step."""

    name: str
    need: Need
    nodes: Nodes
    step: Step
    package: Package
    settings: EmrSettings
    log_uri: str
    tags: Mapping[str, str] = field(default_factory=dict)
    regions: Regions | None = None
    owner: str = ""  # of roles with a path: arn:<partition>:iam::<account>, since a bare name says nothing of a path

    def to_request(self) -> dict[str, Any]:
        """Writes the arguments of RunJobFlow."""
        settings = self.settings
        request = {
            "Name": self.name, "ReleaseLabel": settings.release, "LogUri": self.log_uri,
            "Applications": [{"Name": name} for name in self._applications()],
            "Instances": self._instances(), "Steps": [self.step.to_request()],
            "EbsRootVolumeSize": ROOT_GB, "BootstrapActions": [self._bootstrap()],
            "Configurations": make_configurations(self.need, self.nodes, settings, self.regions),
            "ServiceRole": self._name_role("role", "service"),
            "JobFlowRole": self._name_role("instance-profile", self.need.role or self.need.stage),
            "ScaleDownBehavior": "TERMINATE_AT_TASK_COMPLETION", "StepConcurrencyLevel": 1, "VisibleToAllUsers": True,
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(self._tags().items())],
        }
        if self.need.workers:
            # A step that is no YARN application looks idle while it works (EMR Management Guide, "auto-termination").
            request["AutoTerminationPolicy"] = {"IdleTimeout": settings.idle_seconds}
        if self.nodes.core:
            request["ManagedScalingPolicy"] = {"ComputeLimits": self._limits()}
        if self.nodes.gpu and settings.gpu_ami:
            request["CustomAmiId"] = settings.gpu_ami
        if configuration := name_configuration(settings):
            request["SecurityConfiguration"] = configuration
        if settings.kms_key and ":alias/" not in settings.kms_key:  # EMR's logs do not follow the bucket's own default
            request["LogEncryptionKmsKeyId"] = settings.kms_key
        return request

    def _name_role(self, kind: str, of: str) -> str:
        return f"{self.owner}:{kind}/{locate_role(self.settings, of)}" if self.owner else name_role(self.settings, of)

    def _applications(self) -> list[str]:
        return ["Hadoop"] if self.need.engine == MAPREDUCE else ["Hadoop", "Spark"]

    def _tags(self) -> dict[str, str]:
        return {**self.settings.tags, STACK_TAG: self.settings.stack, STAGE_TAG: self.need.stage, POLICY_TAG: "true", **self.tags}

    def _instances(self) -> dict[str, Any]:
        nodes = self.nodes
        fleets = [make_fleet("MASTER", nodes.primary, on_demand=1)]
        if nodes.core:
            fleets.append(make_fleet("CORE", nodes.core, on_demand=nodes.core_nodes))
        if nodes.spot_nodes:
            # The most from the start: the work is all there. Managed scaling removes nodes that wait.
            fleets.append(make_fleet("TASK", nodes.core, spot=nodes.spot_nodes))
        return {"InstanceFleets": fleets, "Ec2SubnetIds": list(self.settings.subnets),
                "KeepJobFlowAliveWhenNoSteps": False, "TerminationProtected": False}

    def _limits(self) -> dict[str, Any]:
        core = self.nodes.core_nodes
        return {"UnitType": "InstanceFleetUnits", "MinimumCapacityUnits": core, "MaximumCoreCapacityUnits": core,
                "MaximumOnDemandCapacityUnits": core, "MaximumCapacityUnits": core + self.nodes.spot_nodes}

    def _bootstrap(self) -> dict[str, Any]:
        arguments = [self.package.archive, self.package.sha256, HOME] + (["gpu"] if self.nodes.gpu else [])
        return {"Name": "unpack Trueup", "ScriptBootstrapAction": {"Path": self.package.bootstrap, "Args": arguments}}


def make_fleet(kind: str, types: Sequence[str], on_demand: int = 0, spot: int = 0) -> dict[str, Any]:
    """Makes one instance fleet; every type counts as one unit, so units are nodes."""
    disk = {"EbsBlockDeviceConfigs": [{"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": DISK_GB},
                                       "VolumesPerInstance": 1}]}
    request: dict[str, Any] = {
        "Name": kind.lower(), "InstanceFleetType": kind, "TargetOnDemandCapacity": on_demand, "TargetSpotCapacity": spot,
        "InstanceTypeConfigs": [{"InstanceType": t, "WeightedCapacity": 1, "EbsConfiguration": disk} for t in types]}
    if spot:
        # EMR can only end the cluster or start nodes on demand instead; the work should be done.
        request["LaunchSpecifications"] = {"SpotSpecification": {
            "TimeoutDurationMinutes": 10, "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized"}}
    return request


def name_role(settings: EmrSettings, of: str) -> str:
    """Names a role or an instance profile as the template does."""
    return f"{settings.stack}-{of}"


def locate_role(settings: EmrSettings, of: str) -> str:
    """Writes a role's or an instance profile's name with its path, as it ends an ARN."""
    return f"{settings.role_path[1:]}{name_role(settings, of)}"


def make_configurations(need: Need, nodes: Nodes, settings: EmrSettings, regions: Regions | None = None) -> list[dict[str, Any]]:
    """Makes EMR's configuration classifications of a stage's cluster."""
    python = {"PYTHONPATH": f"{HOME}:$PYTHONPATH", "PYSPARK_PYTHON": PYTHON, "PYSPARK_DRIVER_PYTHON": PYTHON}
    region = {"AWS_REGION": regions.here} if regions else {}
    hadoop = _export_variables("hadoop-env", {"PYTHONPATH": f"{HOME}:$PYTHONPATH", **region})
    if need.engine == MAPREDUCE:
        return [hadoop]
    defaults = make_spark_defaults(need, nodes, settings) | (name_regions(regions) if regions else {})
    configurations = [_export_variables("spark-env", python | region),
                      {"Classification": "spark-defaults", "Properties": defaults}]
    return configurations + (_configure_gpus() if nodes.gpu else [])


def make_spark_defaults(need: Need, nodes: Nodes, settings: EmrSettings) -> dict[str, str]:
    """Makes Spark's settings; barrier tasks and a changing number of executors exclude each other (SPARK-24942)."""
    defaults = {"spark.pyspark.python": PYTHON, "spark.executorEnv.PYTHONPATH": HOME,
                "spark.yarn.appMasterEnv.PYTHONPATH": HOME, "spark.sql.session.timeZone": "UTC"}
    if need.barrier:
        cores = str(settings.executor_cores)
        # One task fills an executor, so that every rank has a node for itself.
        defaults |= {"spark.dynamicAllocation.enabled": "false", "spark.executor.instances": str(nodes.core_nodes),
                     "spark.executor.cores": cores, "spark.task.cpus": cores, "spark.stage.maxConsecutiveAttempts": "1"}
        defaults |= size_rank(nodes.core, settings.executor_gib)
    if nodes.gpu:
        defaults |= {"spark.executor.resource.gpu.amount": "1", "spark.task.resource.gpu.amount": "1",
                     "spark.executor.resource.gpu.discoveryScript": GPU_SCRIPT}
    return defaults


def name_regions(regions: Regions, driver: str = "spark.yarn.appMasterEnv") -> dict[str, str]:
    """Names the regions to Spark: to the driver's environment, to the executors', whose Python reads it, and to s3a."""
    return {f"{driver}.AWS_REGION": regions.here, "spark.executorEnv.AWS_REGION": regions.here,
            "spark.hadoop.fs.s3a.endpoint.region": regions.bucket}


def _export_variables(classification: str, variables: Mapping[str, str]) -> dict[str, Any]:
    return {"Classification": classification, "Properties": {},
            "Configurations": [{"Classification": "export", "Properties": dict(variables)}]}


def _configure_gpus() -> list[dict[str, Any]]:
    node = "yarn.nodemanager"
    executor = "org.apache.hadoop.yarn.server.nodemanager.LinuxContainerExecutor"
    calculator = "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator"
    return [
        # Makes EMR install the NVIDIA driver; the accelerator itself stays off, since nobody loads its plug-in.
        {"Classification": "spark", "Properties": {"enableSparkRapids": "true"}},
        {"Classification": "yarn-site", "Properties": {
            f"{node}.resource-plugins": "yarn.io/gpu", "yarn.resource-types": "yarn.io/gpu",
            f"{node}.resource-plugins.gpu.allowed-gpu-devices": "auto",
            f"{node}.resource-plugins.gpu.path-to-discovery-executables": "/usr/bin",
            f"{node}.linux-container-executor.cgroups.mount": "true",
            f"{node}.linux-container-executor.cgroups.mount-path": CGROUP,
            f"{node}.linux-container-executor.cgroups.hierarchy": "yarn", f"{node}.container-executor.class": executor}},
        {"Classification": "container-executor", "Properties": {}, "Configurations": [
            {"Classification": "gpu", "Properties": {"module.enabled": "true"}},
            {"Classification": "cgroups", "Properties": {"root": CGROUP, "yarn-hierarchy": "yarn"}}]},
        {"Classification": "capacity-scheduler",
         "Properties": {"yarn.scheduler.capacity.resource-calculator": calculator}},
    ]
