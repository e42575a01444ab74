"""Whether clusters can start in the subnets of `emr.subnets`, and reach what they need: S3, and the services' own APIs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.settings import EmrSettings
from emr.account import AccountError, Caller
from emr.checks.finding import BAD, OK, Finding
from emr.cluster import POLICY_TAG
from emr.template.network import DRIVER_CALLS

# EMR's own groups of the time before version 2 of its policy, which refuses them without the tag (EMR Management Guide).
EMR_GROUPS = ("ElasticMapReduce-master", "ElasticMapReduce-slave", "ElasticMapReduce-Master-Private",
              "ElasticMapReduce-Slave-Private", "ElasticMapReduce-ServiceAccess", "ElasticMapReduce-Primary-Private",
              "ElasticMapReduce-Core-Private")
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Network:
    """The subnets that are named, and their VPC."""

    subnets: Sequence[Mapping[str, Any]]
    vpc: str
    region: str


def find_network(ec2: Caller, settings: EmrSettings) -> Network | Finding:
    """Finds the subnets; a finding when they are not there, or lie in several networks."""
    try:
        found = ec2.call("describe_subnets", SubnetIds=list(settings.subnets))["Subnets"]
    except AccountError as error:
        if error.code != "InvalidSubnetID.NotFound":
            raise
        return Finding("subnets", BAD, str(error), "name subnets of this account and region: emr.subnets")
    vpcs = sorted({subnet["VpcId"] for subnet in found})
    if len(vpcs) > 1:
        return Finding("subnets", BAD, f"they lie in {', '.join(vpcs)}", "name subnets of one VPC: emr.subnets")
    return Network(found, vpcs[0], ec2.client.meta.region_name)


def check_tags(ec2: Caller, network: Network) -> Iterator[Finding]:
    """Looks for the tag that EMR's managed policy wants, on the subnets and their VPC."""
    vpc = ec2.call("describe_vpcs", VpcIds=[network.vpc])["Vpcs"][0]
    names = [*(subnet["SubnetId"] for subnet in network.subnets), network.vpc]
    untagged = [name for name, thing in zip(names, [*network.subnets, vpc], strict=True) if not is_tagged(thing)]
    yield make_tag_finding("subnets", f"{', '.join(names)}", untagged)


def check_groups(ec2: Caller, network: Network) -> Iterator[Finding]:
    """Looks for security groups that EMR made earlier, and that version 2 of its policy may not touch."""
    found = ec2.call("describe_security_groups", Filters=[{"Name": "vpc-id", "Values": [network.vpc]},
                                                          {"Name": "group-name", "Values": list(EMR_GROUPS)}])["SecurityGroups"]
    names = ", ".join(f"{group['GroupName']} ({group['GroupId']})" for group in found)
    yield make_tag_finding("EMR's security groups", names or "none of earlier use",
                           [group["GroupId"] for group in found if not is_tagged(group)])


def is_tagged(thing: Mapping[str, Any]) -> bool:
    """Tells whether a resource of EC2 carries the tag."""
    return any(tag == {"Key": POLICY_TAG, "Value": "true"} for tag in thing.get("Tags", ()))


def make_tag_finding(check: str, names: str, untagged: Sequence[str]) -> Finding:
    """Makes the finding: all tagged, or how to tag the rest."""
    if not untagged:
        return Finding(check, OK, names)
    return Finding(check, BAD, f"without the tag {POLICY_TAG}: {', '.join(untagged)}",
                   f"aws ec2 create-tags --resources {' '.join(untagged)} --tags Key={POLICY_TAG},Value=true")


def check_ways(ec2: Caller, network: Network) -> Iterator[Finding]:
    """Looks at how each subnet reaches S3 and the services: by endpoints, or by a way out."""
    endpoints = ec2.call("describe_vpc_endpoints", Filters=[{"Name": "vpc-id", "Values": [network.vpc]}])["VpcEndpoints"]
    for subnet in network.subnets:
        yield _judge_ways(subnet["SubnetId"], _find_routes(ec2, network, subnet["SubnetId"]), endpoints, network.region)


def _find_routes(ec2: Caller, network: Network, subnet: str) -> Mapping[str, Any]:
    """Finds the subnet's route table, which is its VPC's main one where it has none of its own."""
    own = [{"Name": "association.subnet-id", "Values": [subnet]}]
    main = [{"Name": "vpc-id", "Values": [network.vpc]}, {"Name": "association.main", "Values": ["true"]}]
    for filters in (own, main):
        if found := ec2.call("describe_route_tables", Filters=filters)["RouteTables"]:
            return found[0]
    return {"RouteTableId": "none", "Routes": []}


def _judge_ways(subnet: str, table: Mapping[str, Any], endpoints: Sequence[Mapping[str, Any]], region: str) -> Finding:
    check = f"ways of {subnet}"
    services = {e["ServiceName"].partition(f"{region}.")[2] for e in endpoints if e.get("VpcEndpointType") == "Interface"}
    gateway = any(e["ServiceName"].endswith(".s3") and table["RouteTableId"] in e.get("RouteTableIds", ()) for e in endpoints)
    out: Mapping[str, Any] = next((route for route in table["Routes"] if route.get("DestinationCidrBlock") == ANYWHERE
                and route.get("State", "active") == "active"), {})
    if str(out.get("GatewayId", "")).startswith("igw-"):
        return Finding(check, BAD, "a public subnet: the driver's task and clusters get no public address there",
                       "name private subnets with a NAT gateway or endpoints: emr.subnets")
    add = f"aws ec2 create-vpc-endpoint --vpc-endpoint-type Gateway --service-name com.amazonaws.{region}.s3 --vpc-id … " \
          f"--route-table-ids {table['RouteTableId']}"
    if not out and not (gateway or "s3" in services):
        return Finding(check, BAD, "no way to S3: neither an endpoint nor a way out", add)
    missing = [name for name in DRIVER_CALLS if name not in services]
    if not out and missing:
        return Finding(check, BAD, f"no way out, and no interface endpoint for {', '.join(missing)}",
                       "add them, or a NAT gateway (about $33 a month)")
    if not gateway and "s3" not in services:
        return Finding(check, OK, f"S3 through {_name_way(out)}, which is paid for by the GB; without that: {add}")
    return Finding(check, OK, f"S3 by an endpoint, the rest by {_name_way(out) if out else 'endpoints'}")


def _name_way(route: Mapping[str, Any]) -> str:
    targets = ("NatGatewayId", "TransitGatewayId", "VpcPeeringConnectionId", "NetworkInterfaceId", "GatewayId")
    return next((str(route[target]) for target in targets if route.get(target)), "a way out")
