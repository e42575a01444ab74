"""The network that the stack made, as its outputs name it: for whoever starts clusters without the driver's environment.

EMR leaves its own security groups behind (ElasticMapReduce-…, which refer to each other), and a VPC with groups in it cannot
be deleted: hashicorp/terraform-provider-aws#8285 and #1454. So they are removed before the stack is.
"""

from collections.abc import Callable
from typing import Any

from contract.errors import UsageError
from contract.settings import EmrSettings
from emr import account
from emr.account import AccountError, Caller

SUBNETS, NETWORK = "Subnets", "Network"
EMR_GROUPS = "ElasticMapReduce-*"
IN_USE = "DependencyViolation"
LOOKS, SECONDS = 60, 10.0  # until the nodes of clusters that were ended are gone


def find_subnets(settings: EmrSettings) -> list[str]:
    """Finds the subnets that clusters may start in: those that are named, else those of the stack. UsageError without any."""
    if settings.subnets or not settings.create_network:
        return list(settings.subnets)
    found = read_outputs(settings.stack).get(SUBNETS, "")
    if not found:
        raise UsageError(f"emr.create_network: expected stack {settings.stack!r} to have made subnets, found none among its "
                         f"outputs. Run `trueup emr deploy` with this setting, or name subnets with emr.subnets.")
    return found.split(",")


def read_outputs(stack: str) -> dict[str, str]:
    """Reads the stack's outputs; none when there is no such stack. AccountError where CloudFormation refuses."""
    caller = Caller(account.connect("cloudformation"), service="CloudFormation")
    try:
        (found,) = caller.call("describe_stacks", StackName=stack)["Stacks"]
    except AccountError as error:
        if "does not exist" in str(error):
            return {}
        raise
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", ())}


def clear_groups(stack: str, say: Callable[[str], None]) -> list[str]:
    """Removes EMR's security groups from the network of the stack; returns their ids. Nothing happens without one of ours."""
    network = read_outputs(stack).get(NETWORK)
    if network is None:
        return []
    ec2 = Caller(account.connect("ec2"), service="EC2")
    filters = [{"Name": "vpc-id", "Values": [network]}, {"Name": "group-name", "Values": [EMR_GROUPS]}]
    groups = ec2.call("describe_security_groups", Filters=filters)["SecurityGroups"]
    for group in groups:
        _empty_group(ec2, group)
    for group in groups:
        say(f"security group {group['GroupName']}: deleting")
        _delete_group(ec2, group["GroupId"])
    return [group["GroupId"] for group in groups]


def _empty_group(ec2: Caller, group: dict[str, Any]) -> None:
    """Takes away the rules, in which the groups refer to each other."""
    for rules, operation in ((group["IpPermissions"], "revoke_security_group_ingress"),
                             (group["IpPermissionsEgress"], "revoke_security_group_egress")):
        if rules:
            ec2.call(operation, GroupId=group["GroupId"], IpPermissions=rules)


def _delete_group(ec2: Caller, group: str) -> None:
    for look in range(LOOKS):
        try:
            ec2.call("delete_security_group", GroupId=group)
            return
        except AccountError as error:
            if error.code != IN_USE or look == LOOKS - 1:
                raise
        ec2.sleep(SECONDS)
