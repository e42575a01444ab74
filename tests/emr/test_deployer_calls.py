"""What our own commands ask of AWS, recorded while they run, is what the deployer's policy allows, and on what."""

import re
from pathlib import Path

import boto3
import pytest
from botocore import xform_name
from botocore.client import BaseClient

from emr import account, cli, made_network, package, stack
from emr.checks import images
from emr.policy import deployer
from emr.policy.names import holds
from emr.policy.rehearsal import make_rehearsal_policy
from pipeline import doctor
from pipeline.checks import machine
from tests.emr.everything import EVERYTHING, ROOT, settings_of
from tests.emr.test_account_checks import DEFAULTS
from tests.emr.test_deployer import allows
from tests.emr.test_emr_cli import quick
from tests.fakes.aws_client import model
from tests.fakes.surroundings import FakeEcr, FakeQuotas, FakeReleases
from tests.pipeline.roots import DAY, MODEL

OURS, PATH = "arn:aws:iam::123456789012:role", "/data/"
S3 = {"GetBucketEncryption": "GetEncryptionConfiguration",
      "ListObjectVersions": "ListBucketVersions", "DeleteObjects": "DeleteObject",
      "HeadObject": "GetObject", "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "CreateMultipartUpload": "PutObject",
      "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject"}
OF_THE_KEY = {"GetObject": "Decrypt", "PutObject": "GenerateDataKey"}  # S3 asks it in the name of whoever asks S3
SPELT = {"service-quotas": "servicequotas", "emr": "elasticmapreduce"}


def as_iam_sees(service, operation, asked, stack, path):
    """The (action, resource, context) that IAM checks for a request."""
    service = SPELT.get(service, service)
    if service == "s3":
        key = f"/{asked['Key']}" if "Key" in asked else ""
        action = S3.get(operation, operation)
        if operation == "DeleteObjects":
            yield "s3:DeleteObjectVersion", f"arn:aws:s3:::{asked['Bucket']}/{asked['Delete']['Objects'][0]['Key']}", {}
            return
        yield f"s3:{action}", f"arn:aws:s3:::{asked['Bucket']}{key}", {}
        if action in OF_THE_KEY:
            yield f"kms:{OF_THE_KEY[action]}", "arn:aws:kms", {"ViaService": f"s3.{find_region()}.amazonaws.com"}
    elif service == "kms":
        yield f"kms:{operation}", "arn:aws:kms", {}
    elif service == "cloudformation":
        named = asked["StackName"]
        for action in (operation, *(["TagResource"] if asked.get("Tags") else [])):
            yield (f"cloudformation:{action}", named if ":" in named else
                   f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{named}/1", {})
    elif operation == "CreateServiceLinkedRole":
        yield f"iam:{operation}", f"{OURS}/aws-service-role/x/y", {"AWSServiceName": asked["AWSServiceName"]}
    elif service == "iam":
        role = asked.get("PolicySourceArn") or (
            f"{OURS}{'/aws-service-role/x/' if asked['RoleName'].startswith('AWSServiceRole') else path}{asked['RoleName']}")
        yield f"iam:{operation}", role, {}
    elif operation == "RunJobFlow":
        yield "elasticmapreduce:RunJobFlow", "*", {"RequestTag/trueup:stack": stack}
        for name, to in ((asked["JobFlowRole"], "ec2"), (asked["ServiceRole"], "elasticmapreduce")):
            role = name.replace(":instance-profile/", ":role/") if ":" in name else f"{OURS}{path}{name}"
            yield "iam:PassRole", role, {"PassedToService": f"{to}.amazonaws.com"}
    elif service == "elasticmapreduce" and operation not in ("ListClusters", "DescribeReleaseLabel"):
        yield (f"elasticmapreduce:{operation}", "arn:aws:elasticmapreduce:eu-west-1:123456789012:cluster/j-1",
               {"ResourceTag/trueup:stack": stack})
    elif service == "ecr":
        yield f"ecr:{operation}", f"arn:aws:ecr:{find_region()}:123456789012:repository/{asked['repositoryName']}", {}
    elif service != "sts":  # GetCallerIdentity needs no right
        yield f"{service}:{operation}", "*", {}


def list_refused(policy, asked, stack, path, key=None):
    """What of all that was asked the policy does not allow; of a key only where there is one."""
    wanted = {(action, resource.replace("arn:aws:kms", key or ""), tuple(context.items()))
              for one in asked for action, resource, context in as_iam_sees(*one, stack=stack, path=path)}
    return [one for one in sorted(wanted) if (key or not one[0].startswith("kms:"))
            and not allows(policy, one[0], one[1], **dict(one[2]))]


def find_region():
    return boto3.session.Session().region_name


@pytest.fixture
def requests(monkeypatch):
    """(service, operation, arguments) of every request that leaves a boto3 client."""
    found, call = [], BaseClient._make_api_call

    def recording(self, operation, arguments):
        found.append((self.meta.service_model.signing_name, operation, arguments))
        if operation == "SimulatePrincipalPolicy":  # moto has none
            return {"EvaluationResults": []}
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", recording)
    return found


def test_what_our_commands_ask_is_what_the_policy_allows(emr, moto_server, s3_root, requests, monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    monkeypatch.setattr(machine, "CHECKS", {})
    monkeypatch.setattr(package, "build", quick)
    image = f"123456789012.dkr.ecr.{find_region()}.amazonaws.com/trueup-driver:1"
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    overrides = ["emr.stack=calls", "emr.create_bucket=false", "emr.create_network=true", "emr.spot_nodes=4",
                 f"emr.driver_image={image}", f"emr.kms_key={key}", f"emr.role_path={PATH}", "emr.tags={team: vision}",
                 f"emr.permissions_boundary={OURS.replace('role', 'policy')}/edge"]
    monkeypatch.setenv("TRUEUP_MODEL", MODEL)
    monkeypatch.setenv("TRUEUP_ROOT", s3_root)
    chosen = [word for option in overrides for word in ("--set", option)]
    emr.work = lambda args: 1
    requests.clear()

    assert cli.main(["deploy", *chosen]) == 0
    stage = ["run", "--stage", "evaluate", *chosen, "--", "--from", DAY, "--to", DAY]
    assert cli.main(stage) == 1 and cli.main(["status", *chosen]) == 0  # the step fails at once
    with monkeypatch.context() as patch:
        fakes = {"emr": FakeReleases(), "service-quotas": FakeQuotas(DEFAULTS), "ecr": FakeEcr(find_region())}
        fakes["ecr"].push("trueup-driver", "1", "linux/amd64")
        patch.setattr(images, "download", fakes["ecr"].download)
        others = account.connect
        patch.setattr(account, "connect", lambda service="emr": fakes.get(service) or others(service))
        doctor.main(["--account", *chosen])
        requests += [(name, *asked) for name, fake in fakes.items() for asked in fake.requests]
    vpc, *_ = (v for k, v in made_network.read_outputs("calls").items() if k == "Network")
    asked = list(requests)
    boto3.client("ec2").create_security_group(GroupName="ElasticMapReduce-master", Description="EMR's", VpcId=vpc)
    requests.clear()
    cli.main(["destroy", "--yes", *chosen])  # moto cannot delete all of it
    asked += [*requests, *(("emr", *one) for one in emr.requests)]
    capsys.readouterr()

    policy = deployer.make_policy(s3_root, settings_of(*overrides))
    actions = {action for one in asked for action, *_ in as_iam_sees(*one, stack="calls", path=PATH)}
    assert len(actions) > 20 and {"kms:DescribeKey", "kms:GetKeyPolicy", "cloudformation:TagResource"} < actions
    assert list_refused(policy, asked, "calls", PATH, key) == []


def test_every_operation_that_emr_names_is_allowed():
    """What no run here reaches as well: each word of our source that is an operation of a service which we call."""
    sources = "".join(path.read_text() for path in (Path(__file__).resolve().parents[2] / "emr").rglob("*.py"))
    words = set(re.findall(r"[\".]([a-z]+(?:_[a-z]+)+)\b", sources))
    policies = deployer.make_policy(ROOT, settings_of(*EVERYTHING)), make_rehearsal_policy(settings_of())
    actions = {action for policy in policies for s in policy["Statement"] for action in s["Action"]}
    named = {(SPELT.get(service, service), S3.get(operation, operation) if service == "s3" else operation) for service in (
        "cloudformation", "ec2", "ecr", "emr", "emr-serverless", "iam", "kms", "s3", "service-quotas")
        for operation in model(service).operation_names if xform_name(operation) in words}
    assert len(named) > 30
    assert [f"{service}:{operation}" for service, operation in sorted(named)
            if not any(holds(action, f"{service}:{operation}") for action in actions)] == []
