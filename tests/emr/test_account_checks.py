"""What must be in an account beside the stack: each thing missing is said with what to do, each refused question is no fault."""

import boto3
import pytest

from command.load_settings import load
from emr import account
from emr.access import split_root
from emr.account import Caller
from emr.checks import finding, images
from emr.checks.account import ACTIONS, check_surroundings
from emr.cluster import POLICY_TAG
from pipeline import doctor
from pipeline.checks import machine
from tests.fakes.surroundings import FakeEcr, FakeQuotas, FakeReleases, refuse

DEFAULTS = {("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances"): 0.0,
            ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"): 32.0,
            ("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"): 32.0,
            ("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count"): 6.0,
            ("emr-serverless", "L-1", "Max requests"): 5.0,
            ("emr-serverless", "L-D05C8A75", "Max concurrent vCPUs per account"): 16.0}
TAG = {"Key": POLICY_TAG, "Value": "true"}


class Place:
    """An account: a network in moto, everything tagged, a way to S3; what is missing is taken away by a test."""

    def __init__(self, root, clients):
        self.root, self.clients, self.ec2 = root, clients, clients["ec2"]
        self.region = self.ec2.meta.region_name
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnet = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
        tables = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        self.table = tables[0]["RouteTableId"]
        self.settings = {"emr.subnets": f"[{self.subnet}]", "emr.spot_nodes": "4"}

    def tag(self, *names):
        self.ec2.create_tags(Resources=list(names), Tags=[TAG])

    def add_endpoint(self, service, kind):
        more = {"RouteTableIds": [self.table]} if kind == "Gateway" else {"SubnetIds": [self.subnet]}
        self.ec2.create_vpc_endpoint(VpcId=self.vpc, ServiceName=f"com.amazonaws.{self.region}.{service}", VpcEndpointType=kind,
                                     **more)

    def add_nat(self):
        nat = self.ec2.create_nat_gateway(SubnetId=self.subnet, ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        self.ec2.create_route(RouteTableId=self.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)

    def look(self, **overrides):
        given = self.settings | {f"emr.{name}": value for name, value in overrides.items()}
        settings = load(root=self.root, model="m", env={}, overrides=[f"{name}={value}" for name, value in given.items()])
        return {found.check: found for found in check_surroundings(self.root, settings)}


@pytest.fixture
def place(s3_root, monkeypatch):
    clients = {service: boto3.client(service) for service in ("ec2", "iam", "s3")}
    ecr = FakeEcr(clients["ec2"].meta.region_name)
    clients |= {"service-quotas": FakeQuotas(DEFAULTS), "ecr": ecr, "emr": FakeReleases()}
    monkeypatch.setattr(account, "connect", lambda service="emr": clients[service])
    monkeypatch.setattr(images, "download", ecr.download)
    return Place(s3_root, clients)


def test_the_states_are_those_of_the_doctor():
    for name in ("OK", "ABSENT", "BAD", "UNASKED"):
        assert getattr(finding, name) == getattr(machine, name)


def test_a_new_account_is_told_what_to_do_about_each(place):
    found = place.look()
    assert found["region"].state == found["release"].state == found["EMR's security groups"].state == "ok"
    assert found["release"].found == "emr-7.12.0: Spark 3.5.6-amzn-1, Hadoop 3.4.1-amzn-4"
    gpus = found["quota L-DB2E81BA"]
    assert gpus.state == "bad" and gpus.found == "Running On-Demand G and VT instances: 0 vCPUs, train asks 8"
    assert "--service-code ec2 --quota-code L-DB2E81BA --desired-value 8" in gpus.do
    assert (found["quota L-1216C47A"].state, found["quota L-34B43A08"].state) == ("ok", "ok")  # 20 and 32 of 32
    cleanup = found["AWSServiceRoleForEMRCleanup"]
    assert (cleanup.state, cleanup.do.split()[-1]) == ("bad", "elasticmapreduce.amazonaws.com")
    assert "spot.amazonaws.com" in found["AWSServiceRoleForEC2Spot"].do
    assert found["subnets"].state == "bad" and f"--resources {place.subnet} {place.vpc} --tags" in found["subnets"].do
    assert found[f"ways of {place.subnet}"].found == "no way to S3: neither an endpoint nor a way out"
    assert found["driver image"].state == "absent"


def test_an_account_that_has_everything_is_well(place):
    place.clients["service-quotas"].changed = {("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances"): 8.0}
    names = [role["RoleName"] for role in place.clients["iam"].list_roles()["Roles"]]
    wanted = [name for name in ("AWSServiceRoleForEMRCleanup", "AWSServiceRoleForEC2Spot", "AWSServiceRoleForECS",
                                "AWSServiceRoleForAmazonEMRServerless") if name not in names]
    for name in wanted:  # create_service_linked_role of moto gives them other names
        place.clients["iam"].create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    place.tag(place.subnet, place.vpc)
    place.add_endpoint("s3", "Gateway")
    place.add_nat()
    registry = f"123456789012.dkr.ecr.{place.region}.amazonaws.com"
    place.clients["ecr"].push("driver", "1", "linux/amd64")
    place.clients["ecr"].push("workers", "1", "linux/amd64", "linux/arm64")
    found = place.look(driver_image=f"{registry}/driver:1", compute="serverless", serverless_image=f"{registry}/workers:1",
                       serverless_workers=3)
    try:
        assert {name: (f.state, f.found) for name, f in found.items() if f.state != "ok"} == {}
        assert found["serverless image"].found.endswith("linux/amd64, linux/arm64")
        assert found["quota emr-serverless"].found == "Max concurrent vCPUs per account: 16 vCPUs, evaluate, dataset asks 16"
        assert place.look(compute="serverless")["quota emr-serverless"].state == "bad"  # 20 of 16
    finally:
        for name in wanted:
            place.clients["iam"].delete_role(RoleName=name)


def test_the_doctor_shows_them_in_its_table(place, monkeypatch, capsys):
    monkeypatch.setattr(machine, "CHECKS", {})
    monkeypatch.setitem(place.clients, "sts", boto3.client("sts"))
    sets = ["--set", "emr.stack=none", "--set", f"emr.subnets=[{place.subnet}]"]
    assert doctor.main(["--account", "--root", place.root, *sets]) == 1
    said = capsys.readouterr().out
    assert "quota L-DB2E81BA" in said.partition("To do:")[0]
    assert "quota L-DB2E81BA: aws service-quotas request-service-quota-increase" in said.partition("To do:")[2]


def test_ways_out_of_a_subnet_are_told_apart(place):
    name = f"ways of {place.subnet}"
    place.add_endpoint("s3", "Gateway")
    assert "no interface endpoint for ecr.api, ecr.dkr, elasticmapreduce, logs" in place.look()[name].found
    for service in ("ecr.api", "ecr.dkr", "logs", "elasticmapreduce"):
        place.add_endpoint(service, "Interface")
    assert (place.look()[name].state, place.look()[name].found) == ("ok", "S3 by an endpoint, the rest by endpoints")
    other = place.ec2.create_route_table(VpcId=place.vpc)["RouteTable"]["RouteTableId"]
    place.ec2.associate_route_table(RouteTableId=other, SubnetId=place.subnet)  # one without the gateway endpoint
    assert place.look()[name].found == "no way to S3: neither an endpoint nor a way out"
    place.table = other
    place.add_nat()
    found = place.look()[name]
    assert found.state == "ok" and "S3 through nat-" in found.found and f"--route-table-ids {other}" in found.found
    place.ec2.delete_route(RouteTableId=other, DestinationCidrBlock="0.0.0.0/0")
    gateway = place.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    place.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=place.vpc)
    place.ec2.create_route(RouteTableId=other, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert place.look()[name].found.startswith("a public subnet")


def test_security_groups_of_earlier_use_are_to_be_tagged(place):
    group = place.ec2.create_security_group(GroupName="ElasticMapReduce-slave", Description="x", VpcId=place.vpc)["GroupId"]
    found = place.look()["EMR's security groups"]
    assert found.state == "bad" and f"create-tags --resources {group}" in found.do
    place.tag(group)
    assert place.look()["EMR's security groups"].state == "ok"


WRONG = [
    ({"release": "emr-7.77.0"}, "release", "bad", "InvalidRequestException it is"),
    ({"release": "emr-7.99.0"}, "release", "bad", "emr-7.99.0: Spark 4.0.1"),
    ({"subnets": "[subnet-0123456789abcdef0]"}, "subnets", "bad", "InvalidSubnetID.NotFound"),
    ({"subnets": "[]"}, "subnets", "bad", "emr.subnets names none"),
    ({"driver_image": "{registry}/nothing:1"}, "driver image", "bad", "is not there"),
    ({"driver_image": "{registry}/mac:2"}, "driver image", "bad", "is not there"),
    ({"driver_image": "{registry}/mac:1"}, "driver image", "bad", "is for linux/arm64"),
    ({"driver_image": "public.ecr.aws/x/y:1"}, "driver image", "not asked", "not in ECR of this region"),
    ({"gpu_types": "[p3.2xlarge]"}, "quota L-417A185B", "not asked", "knows no Running On-Demand P instances here")]


def test_what_is_wrong_is_told_by_name(place):
    place.clients["ecr"].push("mac", "1", "linux/arm64")
    registry = f"123456789012.dkr.ecr.{place.region}.amazonaws.com"
    for overrides, check, state, said in WRONG:
        found = place.look(**{name: value.format(registry=registry) for name, value in overrides.items()})[check]
        assert found.state == state and said in found.found and (found.do or state == "not asked"), found


def test_a_bucket_elsewhere_is_found_by_its_region(place):
    elsewhere = "ap-south-1" if place.region != "ap-south-1" else "eu-west-1"
    place.clients["s3"] = boto3.client("s3", region_name=elsewhere)
    found = place.look()["region"]
    assert found.state == "bad" and found.do == f"export AWS_REGION={place.region}" and split_root(place.root)[0] in found.found
    place.root = "s3://not-made-yet-0/p"
    assert place.look()["region"].state == "absent"


def test_a_question_that_is_refused_is_no_fault_and_every_right_is_named(place, monkeypatch):
    asked = set()

    def refused(self, operation, **_):
        asked.add((self.service, operation))
        code = "UnauthorizedOperation" if self.service == "EC2" else "AccessDeniedException"
        raise account.AccountError(str(refuse(code)), code)

    monkeypatch.setattr(Caller, "call", refused)
    registry = f"123456789012.dkr.ecr.{place.region}.amazonaws.com"
    found = place.look(driver_image=f"{registry}/driver:1", compute="serverless", serverless_image=f"{registry}/driver:1")
    assert {f.state for f in found.values()} == {"not asked"} and len(found) >= 12
    prefixes = {"S3": "s3", "EMR": "elasticmapreduce", "IAM": "iam", "ECR": "ecr", "EC2": "ec2",
                "Service Quotas": "servicequotas"}
    rights = {action.lower() for action in ACTIONS}
    assert {f"{prefixes[service]}:{operation.replace('_', '')}" for service, operation in asked} <= rights
