"""The account's region reaches the stack, the driver's container, clusters and their children; partitions are not written out."""

import json
import re
from pathlib import Path

import boto3
import pytest

from contract import layout
from contract.settings import EmrSettings
from contract.storage import open_storage
from contract.stores import aws_region
from emr import account, cli, job, package, role_check, stack
from emr.job import make_request
from emr.requests import Attempt
from emr.serverless.job import make_job
from tests.emr.everything import template_of
from tests.emr.test_emr_cli import quick
from tests.emr.test_emr_requests import made, properties
from tests.emr.test_template import SERVERLESS, WITH_DRIVER
from tests.fakes.regional_s3 import RegionalS3
from tests.fakes.s3 import make_bucket

SOURCES = Path(cli.__file__).parent
HOME_REGION = "eu-north-1"


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A machine on which `aws configure` was run, and nothing else."""
    for name in (*aws_region.VARIABLES, "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nregion = {HOME_REGION}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def run(capsys, *arguments):
    code = cli.main([*arguments, "--json", "--root", "s3://bucket-of-the-north/p", "--set", "emr.stack=north"])
    return code, json.loads(capsys.readouterr().out)


def test_what_aws_configure_chose_is_where_the_stack_goes(home, emr, moto_server, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    monkeypatch.setattr(package, "build", quick)
    code, said = run(capsys, "deploy", "--no-packages")
    assert code == 0, said

    def stacks(region):
        return [s["StackName"] for s in boto3.client("cloudformation", region_name=region).list_stacks()["StackSummaries"]
                if s["StackStatus"] == "CREATE_COMPLETE"]

    assert ("north" in stacks(HOME_REGION), "north" in stacks("us-east-1")) == (True, False)
    assert open_storage("s3://bucket-of-the-north/p").find_region() == HOME_REGION
    assert run(capsys, "status")[1]["state"] == "CREATE_COMPLETE"


def test_without_a_region_nothing_is_deployed(home, capsys):
    (home / ".aws/config").unlink()
    code, said = run(capsys, "deploy", "--no-packages")
    assert code == 2 and "no AWS region is known" in said["error"]["message"] and "AWS_REGION" in said["error"]["message"]
    for service in ("emr", "iam", "sts"):
        with pytest.raises(aws_region.UsageError, match="no AWS region is known"):
            account.connect(service)


def test_a_clusters_driver_executors_and_s3a_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "find_region", lambda storage: "ap-southeast-2")  # a bucket elsewhere
    for stage in ("evaluate", "train", "assess"):
        sent = made(tmp_path, stage)
        spark = properties(sent, "spark-defaults")
        assert {k: v for k, v in spark.items() if "AWS" in k or "s3a" in k} == {
            "spark.yarn.appMasterEnv.AWS_REGION": "eu-west-1", "spark.executorEnv.AWS_REGION": "eu-west-1",
            "spark.hadoop.fs.s3a.endpoint.region": "ap-southeast-2"}
        assert exported(sent, "spark-env")["AWS_REGION"] == "eu-west-1"
    assert exported(made(tmp_path, "evaluate", engine="mapreduce"), "hadoop-env")["AWS_REGION"] == "eu-west-1"


def exported(sent, classification):
    """The variables that a node's script exports."""
    (inner,) = next(c["Configurations"] for c in sent["Configurations"] if c["Classification"] == classification)
    return inner["Properties"]


def test_the_buckets_own_region_is_asked_for(moto_server, monkeypatch):
    with RegionalS3(moto_server, "ap-southeast-2") as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        storage = open_storage(f"s3://{make_bucket('a-far-bucket', 'ap-southeast-2')}/p")
        assert job.find_regions(storage) == job.Regions("eu-west-1", "ap-southeast-2")
    assert job.find_regions(open_storage("s3://there-is-none/p")) == job.Regions("eu-west-1", "eu-west-1")


def test_a_job_on_emr_serverless_is_told(tmp_path):
    settings = EmrSettings(compute="serverless", serverless_image="1.dkr.ecr.eu-west-1.amazonaws.com/t:1")
    storage = open_storage(str(tmp_path))
    request = make_request("evaluate", ["--model", "m"], {"emr": settings.model_dump(mode="json")})
    asked = make_job(storage, request, Attempt(storage, layout.step("m", "evaluate-x").format(1)), settings, "arn:x")
    spark = asked.job["configurationOverrides"]["applicationConfiguration"][0]["properties"]
    assert spark["spark.emr-serverless.driverEnv.AWS_REGION"] == spark["spark.executorEnv.AWS_REGION"] == "eu-west-1"
    assert spark["spark.hadoop.fs.s3a.endpoint.region"] == "eu-west-1"


def test_the_drivers_container_has_the_stacks_region():
    (container,) = template_of(*WITH_DRIVER)["Resources"]["DriverTask"]["Properties"]["ContainerDefinitions"]
    assert {"Name": "AWS_REGION", "Value": {"Ref": "AWS::Region"}} in container["Environment"]


@pytest.mark.parametrize("more", [[], [*WITH_DRIVER, "emr.start=machine", "emr.score_from=[s3://camera/new]"], SERVERLESS])
def test_no_partition_is_written_out(more):
    assert "arn:aws" not in json.dumps(template_of(*more))


def test_no_source_writes_a_partition_out():
    sources = {path: path.read_text() for path in SOURCES.rglob("*") if path.suffix in (".py", ".sh", ".Dockerfile")}
    assert len(sources) > 20
    assert [path.name for path, text in sources.items() if re.search(r"arn:aws[:-]", text)] == []


def test_roles_of_another_partition_are_asked_about_there():
    class Iam:
        def call(self, operation, **arguments):
            self.asked = arguments["ResourceArns"]
            return {"EvaluationResults": []}

    iam = Iam()
    role_check._simulate(iam, "arn:aws-cn:iam::1:role/x", "s3://b/p", "s3:GetObject", ["a/*"])
    assert iam.asked == ["arn:aws-cn:s3:::b/p/a/doctor"]
