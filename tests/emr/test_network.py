"""A network of the stack's own: what it holds, who reads its subnets, and how it goes again."""

import json
import uuid

import boto3
import pytest

from command.load_settings import load
from contract.errors import UsageError
from contract.settings import EmrSettings
from emr import account, cli, made_network, needs, stack
from emr.template import network
from tests.emr.conftest import put_packages
from tests.emr.everything import template_of
from tests.pipeline.roots import MODEL, make_root

OWN = ["emr.create_network=true", "emr.driver_image=123456789012.dkr.ecr.us-east-1.amazonaws.com/trueup:1"]
SERVERLESS = ["emr.compute=serverless", "emr.serverless_image=123456789012.dkr.ecr.us-east-1.amazonaws.com/workers:1"]


def services(template):
    return sorted(r["Properties"]["ServiceName"]["Fn::Sub"].split("}.")[1] for r in template["Resources"].values()
                  if r["Type"] == "AWS::EC2::VPCEndpoint")


def test_what_is_called_has_an_endpoint_or_a_gateway():
    assert services(template_of(*OWN)) == ["ecr.api", "ecr.dkr", "elasticmapreduce", "logs", "s3"]
    assert services(template_of(*OWN, *SERVERLESS)) == ["ecr.api", "ecr.dkr", "elasticmapreduce", "emr-serverless", "logs", "s3",
                                                         "sts"]
    nat = template_of(*OWN, "emr.nat=true")
    assert services(nat) == ["s3"] and nat["Resources"]["NatRoute"]["Properties"]["NatGatewayId"] == {"Ref": "Nat"}
    assert services(template_of()) == [] and "Network" not in template_of()["Resources"]


def test_emr_may_touch_the_network_and_private_subnets_have_no_way_in():
    resources = template_of(*OWN, "emr.nat=true")["Resources"]
    for kind in ("VPC", "Subnet", "SecurityGroup"):
        tags = {name: found["Properties"]["Tags"] for name, found in resources.items() if found["Type"] == f"AWS::EC2::{kind}"}
        assert tags and all({"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"} in of for of in tags.values())
    routes = {name: resources[f"{name}Routes"]["Properties"]["RouteTableId"]["Ref"] for name in network.PRIVATE}
    assert set(routes.values()) == {"PrivateRoutes"}
    assert resources["PublicRoute"]["Properties"]["RouteTableId"]["Ref"] == "PublicRoutes"
    blocks = [resources[name]["Properties"]["CidrBlock"] for name in (*network.PRIVATE, *network.PUBLIC)]
    zoned = template_of(*OWN, "emr.zones=[us-east-1a, us-east-1c]")["Resources"]
    assert [zoned[name]["Properties"]["AvailabilityZone"] for name in network.PRIVATE] == ["us-east-1a", "us-east-1c"]
    assert blocks == ["10.77.0.0/20", "10.77.16.0/20", "10.77.32.0/20", "10.77.48.0/20"]


@pytest.mark.parametrize("start", ["task", "machine"])
def test_the_driver_starts_in_the_made_network_and_knows_its_subnets(start):
    resources = template_of(*OWN, f"emr.start={start}")["Resources"]
    target = resources["Machine"]["Properties"]["Definition"]["States"]["Run"]["Arguments"] if start == "machine" else \
        resources["Schedule"]["Properties"]["Target"]["EcsParameters"]
    assert target["NetworkConfiguration"]["AwsvpcConfiguration"] == {
        "Subnets": [{"Ref": name} for name in network.PRIVATE], "SecurityGroups": [{"Ref": "DriverGroup"}],
        "AssignPublicIp": "DISABLED"}
    assert "SecurityGroupIngress" not in resources["DriverGroup"]["Properties"]
    (driver,) = resources["DriverTask"]["Properties"]["ContainerDefinitions"]
    environment = {e["Name"]: e["Value"] for e in driver["Environment"]}
    text = environment["TRUEUP_EMR_SUBNETS"]["Fn::Sub"].replace("${PrivateSubnet", "subnet-").replace("}", "")
    settings = load(env={**{k: v for k, v in environment.items() if isinstance(v, str)}, "TRUEUP_EMR_SUBNETS": text})
    assert settings.emr.subnets == made_network.find_subnets(settings.emr) == ["subnet-1", "subnet-2"]


def test_a_network_that_was_brought_may_bring_groups():
    brought = ["emr.subnets=[subnet-0123456789abcdef0]", "emr.security_groups=[sg-0123456789abcdef0]", OWN[1]]
    target = template_of(*brought)["Resources"]["Schedule"]["Properties"]["Target"]["EcsParameters"]
    assert target["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"] == ["sg-0123456789abcdef0"]
    with pytest.raises(UsageError, match="expected no emr.subnets and no emr.security_groups beside it"):
        template_of(*brought, "emr.create_network=true")


@pytest.mark.parametrize(("chosen", "says"), [
    ({"network_cidr": "10.0.0.0/24"}, "from /16 to /20"), ({"network_cidr": "10.0.0.1/16"}, "expected a network such as"),
    ({"zones": ["us-east-1a"]}, "expected two zones"), ({"zones": ["a", "a"]}, "expected two zones")])
def test_a_network_that_cannot_be_made_is_refused(chosen, says):
    with pytest.raises(ValueError, match=says):
        EmrSettings(**chosen)


@pytest.fixture
def deployed(emr, moto_server, monkeypatch, capsys):
    """An account whose stack made a network."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    monkeypatch.setattr(account, "connect", lambda service="emr": emr if service == "emr" else boto3.client(service))
    options = ["--root", f"s3://network-{uuid.uuid4().hex[:12]}/pre", "--set", "emr.stack=net",
               "--set", "emr.create_network=true"]
    assert cli.main(["deploy", "--no-packages", *options]) == 0
    capsys.readouterr()
    yield options
    cli.main(["destroy", "--yes", *options])


def test_a_person_finds_the_made_subnets_in_the_outputs(deployed, emr, monkeypatch):
    monkeypatch.setitem(needs.ENGINES, "spark", ("--engine", "embedded"))
    put_packages(make_root(deployed[1], right=120, n=200))
    assert cli.main(["run", "--stage", "evaluate", "--model", MODEL, *deployed]) == 0
    sent = dict(emr.requests)["RunJobFlow"]["Instances"]["Ec2SubnetIds"]
    there = boto3.client("ec2").describe_subnets(SubnetIds=sent)["Subnets"]
    assert {s["VpcId"] for s in there} == {made_network.read_outputs("net")["Network"]} and len(there) == 2


def test_the_groups_that_emr_left_go_with_the_network(deployed):
    ec2, vpc = boto3.client("ec2"), made_network.read_outputs("net")["Network"]
    one, other = (ec2.create_security_group(GroupName=f"ElasticMapReduce-{name}", Description="EMR", VpcId=vpc)["GroupId"]
                  for name in ("Primary-Private", "Core-Private"))
    for group, its in ((one, other), (other, one)):
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": [{"GroupId": its}]}])
    assert sorted(made_network.clear_groups("net", lambda line: None)) == sorted([one, other])
    left = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    assert not [g for g in left if g["GroupName"].startswith("ElasticMapReduce")]
    assert made_network.clear_groups("no-such-stack", print) == []


def test_without_a_stack_it_is_said_what_to_do(emr, moto_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(account, "connect", lambda service="emr": boto3.client(service))
    with pytest.raises(UsageError, match="expected stack 'not-there' to have made subnets"):
        made_network.find_subnets(EmrSettings(stack="not-there", create_network=True))


def test_a_plan_is_made_before_there_is_a_network(s3_root, capsys):
    assert cli.main(["plan", "--root", s3_root, "--model", "digits", "--set", "emr.create_network=true", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "<PrivateSubnet1 of stack trueup>" in document["stages"][0]["run_job_flow"]["Instances"]["Ec2SubnetIds"]
