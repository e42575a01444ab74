"""A network of the stack's own (`emr.create_network`): private subnets in two zones, and the ways out of them.

S3 is reached by a gateway endpoint, which costs nothing. The other services are reached by interface endpoints, each with
an hourly price in each zone, or with `emr.nat` by one NAT gateway, which has one hourly price and one a gigabyte.
EMR's managed policy touches only a network with POLICY_TAG.
"""

import ipaddress
from typing import Any

from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.cluster import POLICY_TAG
from emr.needs import SERVERLESS
from emr.template.parts import Resource, ref, sub

ZONES = 2
PRIVATE, PUBLIC = ("PrivateSubnet1", "PrivateSubnet2"), ("PublicSubnet1", "PublicSubnet2")
SUBNET_BITS = 4  # of the network: sixteen parts, the first two private, the next two public
WORLD = "0.0.0.0/0"
# What the driver's task calls: its image, its log, EMR. Step Functions and the schedule work from outside of the network.
DRIVER_CALLS = ("ecr.api", "ecr.dkr", "elasticmapreduce", "logs")
SERVERLESS_CALLS = ("emr-serverless", "sts")  # sts: whose account this is, for the ARN of a job's role
# What an instance of ECS calls beside them, and where its outbox's age is told.
SERVICE_CALLS = ("ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs", "monitoring")


def make_resources(settings: EmrSettings, public: bool = False, service: bool = False) -> dict[str, Resource]:
    """Makes the network; none unless it is asked for. `public`: with public subnets; `service`: for its instances, too."""
    if not settings.create_network:
        return {}
    if settings.subnets or settings.security_groups:
        raise UsageError("emr.create_network: expected no emr.subnets and no emr.security_groups beside it, since the stack "
                         "makes its own. Remove those, or set emr.create_network to false.")
    name, cidr = settings.stack, settings.network_cidr
    made = {"Network": Resource("AWS::EC2::VPC", {
        "CidrBlock": cidr, "EnableDnsSupport": True, "EnableDnsHostnames": True, "Tags": _tag(name)}),
        "DriverGroup": make_group(settings, "driver", "The driver's task: speaks, is never spoken to", ref("Network"), [])}
    made |= _make_private_subnets(settings)
    if public or settings.nat:
        made |= _make_public_subnets(settings)
    return made | (_make_nat(name) if settings.nat else _make_endpoints(settings, service))


def list_endpoints(settings: EmrSettings, service: bool = False) -> list[str]:
    """Lists the services that need an interface endpoint; empty with a NAT gateway, or without a network of ours."""
    if not settings.create_network or settings.nat:
        return []
    calls = {*DRIVER_CALLS, *(SERVERLESS_CALLS if settings.compute == SERVERLESS else ()), *(SERVICE_CALLS if service else ()),
             *(("sts",) if settings.role_path != "/" else ())}  # likewise: roles with a path are named by their ARN
    return sorted(calls)


def list_subnets(settings: EmrSettings) -> list[Any]:
    """Lists the private subnets as a template names them: references to ours, or the ids that were brought."""
    return [ref(name) for name in PRIVATE] if settings.create_network else list(settings.subnets)


def make_task_network(settings: EmrSettings) -> dict[str, Any]:
    """Makes the network configuration of the driver's task."""
    groups = [ref("DriverGroup")] if settings.create_network else list(settings.security_groups)
    network = {"Subnets": list_subnets(settings), "AssignPublicIp": "DISABLED"}
    return {"AwsvpcConfiguration": network | ({"SecurityGroups": groups} if groups else {})}


def name_made_subnets(settings: EmrSettings) -> list[dict[str, Any]]:
    """Names the made subnets in the environment of a container that makes clusters, as a setting takes a list."""
    text = sub("[" + ", ".join(f'"${{{name}}}"' for name in PRIVATE) + "]")
    return [{"Name": "TRUEUP_EMR_SUBNETS", "Value": text}] if settings.create_network else []


def make_outputs(settings: EmrSettings) -> dict[str, Any]:
    """Makes the stack's outputs that emr/made_network.py reads."""
    if not settings.create_network:
        return {}
    return {"Network": {"Value": ref("Network")}, "DriverGroup": {"Value": ref("DriverGroup")},
            "Subnets": {"Value": {"Fn::Join": [",", list_subnets(settings)]}}}


def make_group(settings: EmrSettings, name: str, description: str, network: Any, ingress: list[dict[str, Any]]) -> Resource:
    """Makes a security group that may call anything by https, and be called as `ingress` says."""
    out = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": WORLD, "Description": "AWS, through endpoints or NAT"}]
    return Resource("AWS::EC2::SecurityGroup", {
        "GroupDescription": f"{settings.stack}: {description}".replace("'", ""), "VpcId": network, "SecurityGroupEgress": out,
        "Tags": _tag(f"{settings.stack}-{name}")} | ({"SecurityGroupIngress": ingress} if ingress else {}))


def _tag(name: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": name}, {"Key": POLICY_TAG, "Value": "true"}]


def _make_private_subnets(settings: EmrSettings) -> dict[str, Resource]:
    routes = {"VpcId": ref("Network"), "Tags": _tag(f"{settings.stack}-private")}
    made = {"PrivateRoutes": Resource("AWS::EC2::RouteTable", routes),
            "S3Endpoint": Resource("AWS::EC2::VPCEndpoint", {
                "VpcEndpointType": "Gateway", "VpcId": ref("Network"), "RouteTableIds": [ref("PrivateRoutes")],
                "ServiceName": sub("com.amazonaws.${AWS::Region}.s3")})}
    return made | _make_subnets(settings, PRIVATE, 0, "PrivateRoutes")


def _make_public_subnets(settings: EmrSettings) -> dict[str, Resource]:
    made = {
        "Gateway": Resource("AWS::EC2::InternetGateway", {"Tags": _tag(settings.stack)}),
        "GatewayAttachment": Resource("AWS::EC2::VPCGatewayAttachment", {
            "VpcId": ref("Network"), "InternetGatewayId": ref("Gateway")}),
        "PublicRoutes": Resource("AWS::EC2::RouteTable", {"VpcId": ref("Network"), "Tags": _tag(f"{settings.stack}-public")}),
        "PublicRoute": Resource("AWS::EC2::Route", {
            "RouteTableId": ref("PublicRoutes"), "DestinationCidrBlock": WORLD, "GatewayId": ref("Gateway")},
            after=("GatewayAttachment",))}
    return made | _make_subnets(settings, PUBLIC, ZONES, "PublicRoutes")


def _make_subnets(settings: EmrSettings, names: tuple[str, ...], first: int, routes: str) -> dict[str, Resource]:
    parts = list(ipaddress.ip_network(settings.network_cidr).subnets(SUBNET_BITS))
    made: dict[str, Resource] = {}
    for n, name in enumerate(names):
        zone: Any = settings.zones[n] if settings.zones else {"Fn::Select": [n, {"Fn::GetAZs": ""}]}
        made[name] = Resource("AWS::EC2::Subnet", {
            "VpcId": ref("Network"), "CidrBlock": str(parts[first + n]), "AvailabilityZone": zone,
            "MapPublicIpOnLaunch": False, "Tags": _tag(f"{settings.stack}-{name}")})
        made[f"{name}Routes"] = Resource("AWS::EC2::SubnetRouteTableAssociation", {
            "SubnetId": ref(name), "RouteTableId": ref(routes)})
    return made


def _make_nat(name: str) -> dict[str, Resource]:
    """One gateway in the first zone: when that zone fails, the next start of the schedule waits for it."""
    return {
        "NatAddress": Resource("AWS::EC2::EIP", {"Domain": "vpc", "Tags": _tag(name)}, after=("GatewayAttachment",)),
        "Nat": Resource("AWS::EC2::NatGateway", {
            "SubnetId": ref(PUBLIC[0]), "AllocationId": {"Fn::GetAtt": ["NatAddress", "AllocationId"]}, "Tags": _tag(name)}),
        "NatRoute": Resource("AWS::EC2::Route", {
            "RouteTableId": ref("PrivateRoutes"), "DestinationCidrBlock": WORLD, "NatGatewayId": ref("Nat")})}


def _make_endpoints(settings: EmrSettings, service: bool) -> dict[str, Resource]:
    inside = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": settings.network_cidr}]
    made = {"EndpointGroup": make_group(settings, "endpoints", "Endpoints: https from the network", ref("Network"), inside)}
    for name in list_endpoints(settings, service):
        title = "".join(word.capitalize() for word in name.replace(".", "-").split("-"))
        made[f"{title}Endpoint"] = Resource("AWS::EC2::VPCEndpoint", {
            "VpcEndpointType": "Interface", "VpcId": ref("Network"), "SubnetIds": list_subnets(settings),
            "SecurityGroupIds": [ref("EndpointGroup")], "PrivateDnsEnabled": True,
            "ServiceName": sub(f"com.amazonaws.${{AWS::Region}}.{name}")})
    return made
