"""What is sent to EMR, and what a cluster is told; botocore's own validation runs on every request."""

import botocore.session
import pytest
from botocore.validate import ParamValidator

from contract.errors import UsageError
from contract.settings import EmrSettings, TrainSettings
from contract.storage import open_storage
from emr import step
from emr.cluster import HOME, Package
from emr.job import make_cluster, make_request, write_command
from emr.requests import Request, add_attempt

PACKAGE = Package("s3://b/packages/count-0.tar.gz", "0" * 64, "s3://b/packages/bootstrap-0.sh")
SHAPE = botocore.session.get_session().get_service_model("emr").operation_model("RunJobFlow").input_shape


@pytest.fixture(autouse=True)
def _no_code_of_others(monkeypatch):
    """Commands are compared word by word."""
    monkeypatch.delenv("TRUEUP_ALLOW_MODULES")


def made(tmp_path, stage, ranks=4, **chosen):
    """The RunJobFlow request of a stage."""
    settings = {"emr": EmrSettings(**{"subnets": ["subnet-1"], **chosen}).model_dump(mode="json"),
                "train": TrainSettings(ranks=ranks).model_dump(mode="json")}
    storage = open_storage(str(tmp_path))
    request = make_request(stage, ["--model", "digits"], settings, "digits/3")
    attempt = add_attempt(storage, "digits", request)
    sent = make_cluster(storage, request, attempt, PACKAGE).to_request()
    assert not (report := ParamValidator().validate(sent, SHAPE)).has_errors(), report.generate_report()
    return sent


def fleets(sent):
    return {f["InstanceFleetType"]: f for f in sent["Instances"]["InstanceFleets"]}


def properties(sent, classification):
    return next(c["Properties"] for c in sent["Configurations"] if c["Classification"] == classification)


@pytest.mark.parametrize("stage", ["evaluate", "dataset", "train", "assess"])
@pytest.mark.parametrize("engine", ["spark", "mapreduce"])
def test_every_cluster_ends_by_itself(tmp_path, stage, engine):
    sent = made(tmp_path, stage, engine=engine)
    assert sent["Instances"]["KeepJobFlowAliveWhenNoSteps"] is False and not sent["Instances"]["TerminationProtected"]
    assert sent.get("AutoTerminationPolicy") == (None if stage == "assess" else {"IdleTimeout": 600})
    assert [s["ActionOnFailure"] for s in sent["Steps"]] == ["TERMINATE_CLUSTER"]
    assert {"Key": "trueup:run", "Value": "digits/3"} in sent["Tags"]
    assert (sent["JobFlowRole"], sent["ServiceRole"]) == (f"trueup-{stage}", "trueup-service")
    assert sent["LogUri"].endswith("/logs/emr/") and sent["ReleaseLabel"].startswith("emr-7.")
    assert sent["EbsRootVolumeSize"] >= 30  # the archive with CUDA, packed and unpacked, lies on it


def test_spot_nodes_are_task_nodes_that_come_and_go(tmp_path):
    sent = made(tmp_path, "evaluate", core_nodes=3, spot_nodes=5)
    found = fleets(sent)
    assert {k: (f["TargetOnDemandCapacity"], f["TargetSpotCapacity"]) for k, f in found.items()} == {
        "MASTER": (1, 0), "CORE": (3, 0), "TASK": (0, 5)}
    limits = sent["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"], limits["MaximumOnDemandCapacityUnits"]) == (3, 8, 3)


def test_barrier_training_has_a_fixed_number_of_on_demand_nodes(tmp_path):
    sent = made(tmp_path, "train", ranks=4, spot_nodes=5, gpu_types=[])
    assert set(fleets(sent)) == {"MASTER", "CORE"} and fleets(sent)["CORE"]["TargetSpotCapacity"] == 0
    limits = sent["ManagedScalingPolicy"]["ComputeLimits"]
    assert limits["MinimumCapacityUnits"] == limits["MaximumCapacityUnits"] == 4
    spark = properties(sent, "spark-defaults")
    assert (spark["spark.dynamicAllocation.enabled"], spark["spark.executor.instances"]) == ("false", "4")
    assert spark["spark.task.cpus"] == spark["spark.executor.cores"]


def test_only_training_has_gpus(tmp_path):
    for stage in ("evaluate", "dataset", "assess"):
        types = {c["InstanceType"] for f in fleets(made(tmp_path, stage)).values() for c in f["InstanceTypeConfigs"]}
        assert not {t for t in types if t.startswith(("g", "p"))}, stage
    sent = made(tmp_path, "train", gpu_types=["g5.xlarge"])
    assert [c["InstanceType"] for c in fleets(sent)["CORE"]["InstanceTypeConfigs"]] == ["g5.xlarge"]
    assert properties(sent, "spark-defaults")["spark.task.resource.gpu.amount"] == "1"
    assert properties(sent, "yarn-site")["yarn.resource-types"] == "yarn.io/gpu"
    assert sent["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"][-1] == "gpu"


def test_an_image_with_a_newer_driver_is_for_clusters_with_gpus_alone(tmp_path):
    image = {"gpu_ami": "ami-0123456789abcdef0"}
    assert made(tmp_path, "train", **image)["CustomAmiId"] == image["gpu_ami"]
    for stage, sets in (("dataset", image), ("train", {**image, "gpu_types": []}), ("train", {})):
        assert "CustomAmiId" not in made(tmp_path, stage, **sets)


def test_spark_runs_on_the_unpacked_environment(tmp_path):
    sent = made(tmp_path, "dataset")
    spark, (step,) = properties(sent, "spark-defaults"), sent["Steps"]
    assert spark["spark.pyspark.python"] == "/usr/bin/python3.11" and spark["spark.executorEnv.PYTHONPATH"] == "/opt/trueup"
    assert step["HadoopJarStep"]["Jar"] == "command-runner.jar"
    assert step["HadoopJarStep"]["Args"][:6] == ["spark-submit", "--master", "yarn", "--deploy-mode", "client",
                                                 "/opt/trueup/emr/step.py"]


def test_mapreduce_is_a_command_on_a_cluster_without_spark(tmp_path):
    sent = made(tmp_path, "evaluate", engine="mapreduce")
    assert sent["Applications"] == [{"Name": "Hadoop"}]
    assert sent["Steps"][0]["HadoopJarStep"]["Args"][:5] == ["env", "PYTHONPATH=/opt/trueup", "AWS_REGION=eu-west-1",
                                                             "/usr/bin/python3.11", "/opt/trueup/emr/step.py"]


def test_a_security_configuration_is_passed_on(tmp_path):
    assert made(tmp_path, "train", security_configuration="strict")["SecurityConfiguration"] == "strict"
    assert "SecurityConfiguration" not in made(tmp_path, "train")


def test_without_subnets_nothing_is_asked_for(tmp_path):
    with pytest.raises(UsageError, match="emr.subnets: expected the subnets that clusters may start in"):
        made(tmp_path, "evaluate", subnets=[])


def test_a_stage_that_has_no_place_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="stage 'publish': expected one that runs on a cluster: evaluate, dataset"):
        made(tmp_path, "publish")


@pytest.mark.parametrize(("types", "gib"), [(["g5.xlarge"], 16), (["m5.2xlarge", "m5a.2xlarge"], 32), (["c5.4xlarge"], 32)])
def test_a_rank_fits_once_on_its_node_and_never_twice(tmp_path, types, gib):
    spark = properties(made(tmp_path, "train", gpu_types=[], core_types=types), "spark-defaults")
    total = sum(int(spark[f"spark.executor.{name}"].removesuffix("g")) for name in ("memory", "memoryOverhead"))
    assert gib < 2 * total and total + 1 <= 0.75 * gib  # and the application's master beside it
    assert not any(name.startswith("spark.executor.memory") for name in properties(made(tmp_path, "dataset"), "spark-defaults"))


def test_a_node_of_unknown_memory_is_an_error_unless_it_is_said(tmp_path):
    with pytest.raises(UsageError, match="x9.xlarge: its memory is not known here. Set emr.executor_gib"):
        made(tmp_path, "train", gpu_types=["x9.xlarge"])
    with pytest.raises(UsageError, match="expected types of the same memory"):
        made(tmp_path, "train", gpu_types=["g5.xlarge", "g5.2xlarge"])
    spark = properties(made(tmp_path, "train", gpu_types=["x9.xlarge"], executor_gib=10), "spark-defaults")
    assert (spark["spark.executor.memory"], spark["spark.executor.memoryOverhead"]) == ("2g", "8g")


def test_whose_code_may_run_travels_with_the_command_and_never_in_the_bucket(s3_root, monkeypatch):
    """A run's settings and a request lie in the bucket; what they say of modules does not reach the stage."""
    assert write_command("s3://b/p", "k", "spark", "eu-west-1")[0] == "spark-submit"
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[mine]")
    assert write_command("s3://b/p", "k", "spark", "eu-west-1") == [
        "env", 'TRUEUP_ALLOW_MODULES=["mine"]', "spark-submit", "--master", "yarn", "--deploy-mode", "client",
        "--conf", 'spark.executorEnv.TRUEUP_ALLOW_MODULES=["mine"]', f"{HOME}/emr/step.py", "--root", "s3://b/p",
        "--request", "k"]
    assert 'TRUEUP_ALLOW_MODULES=["mine"]' in write_command("s3://b/p", "k", "mapreduce", "eu-west-1")
    asked = Request(stage="evaluate", module="pipeline.config", argv=[], settings={"allow_modules": ["planted"]})
    monkeypatch.delenv("TRUEUP_ALLOW_MODULES")
    listed = {row["setting"]: row["value"] for row in step.run_request(s3_root, asked).document["settings"]}
    assert listed["allow_modules"] == []


def test_a_request_cannot_name_any_module_to_be_run(s3_root, tmp_path, monkeypatch):
    (tmp_path / "planted_stage.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    reply = step.run_request(s3_root, Request(stage="evaluate", module="planted_stage", argv=[], settings={}))
    assert "expected the module planted_stage in the setting `allow_modules`" in reply.said and not (tmp_path / "ran").exists()
