"""The words of CloudFormation as small typed functions: references, roles, resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, PARTITION, REGION = {"Ref": "AWS::AccountId"}, {"Ref": "AWS::Partition"}, {"Ref": "AWS::Region"}
OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}  # a condition: only for what is of this account


@dataclass(frozen=True)
class Resource:
    """One resource of the template."""

    kind: str
    properties: Mapping[str, Any]
    keep: bool = False  # stays when the stack goes
    after: Sequence[str] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Writes it as it stands in the template."""
        document: dict[str, Any] = {"Type": self.kind, "Properties": dict(self.properties)}
        if self.keep:
            document |= {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
        return document | ({"DependsOn": list(self.after)} if self.after else {})


def ref(name: str) -> dict[str, str]:
    """Writes `Ref`."""
    return {"Ref": name}


def arn(name: str) -> dict[str, list[str]]:
    """Writes the ARN of a resource of this template."""
    return {"Fn::GetAtt": [name, "Arn"]}


def sub(text: str) -> dict[str, str]:
    """Writes `Fn::Sub`, for texts with ${AWS::AccountId} in them."""
    return {"Fn::Sub": text}


def make_role(name: str, service: str, statements: Sequence[Mapping[str, Any]], managed: Sequence[Any] = (),
              condition: Mapping[str, Any] | None = None, also: Sequence[Mapping[str, Any]] = ()) -> Resource:
    """Makes a role that one service may take, with one inline policy; `also`: further statements on who may take it."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    properties: dict[str, Any] = {"RoleName": name, "AssumeRolePolicyDocument": {
        "Version": "2012-10-17", "Statement": [trust | ({"Condition": condition} if condition else {}), *also]}}
    if statements:
        document = {"Version": "2012-10-17", "Statement": [_substitute(dict(s)) for s in statements]}
        properties["Policies"] = [{"PolicyName": "access", "PolicyDocument": document}]
    return Resource("AWS::IAM::Role", properties | ({"ManagedPolicyArns": list(managed)} if managed else {}))


def _substitute(statement: dict[str, Any]) -> dict[str, Any]:
    resources = statement["Resource"]
    if isinstance(resources, list):
        statement["Resource"] = [sub(r) if isinstance(r, str) and "${" in r else r for r in resources]
    return statement


def allow(actions: Sequence[str], resources: Sequence[Any], condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Writes one statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return statement | ({"Condition": dict(condition)} if condition else {})
