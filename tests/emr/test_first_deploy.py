"""The first hour of an empty account: service-linked roles, a first stack that fails, a stack that cannot be updated."""

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

from contract.settings import EmrSettings, Settings
from emr import account, linked_roles, stack
from emr.access import make_emr_statements
from emr.account import AccountError

ROOT = "s3://first-bucket/pre"
SETTINGS = Settings(model="m", emr=EmrSettings(stack="first"))


def refuse(operation, code, words):
    return ClientError({"Error": {"Code": code, "Message": words}}, operation)


@pytest.fixture
def iam(moto_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(account, "connect", lambda service="emr": boto3.client(service))
    monkeypatch.setattr(account, "pause", lambda seconds: None)


@pytest.mark.parametrize("more, services", [
    ({}, []), ({"spot_nodes": 2}, ["spot"]), ({"compute": "serverless"}, ["ops.emr-serverless"]),
    ({"driver_image": "x"}, ["ecs"]),
    ({"service_image": "x"}, ["ecs", "autoscaling", "elasticloadbalancing", "ecs.application-autoscaling"])])
def test_the_services_are_those_that_the_settings_use(more, services):
    wanted = ["elasticmapreduce", *services]
    assert linked_roles.list_services(EmrSettings(**more)) == [f"{name}.amazonaws.com" for name in wanted]


def test_roles_are_made_once(iam, monkeypatch):
    class Iam:
        there = set()

        def create_service_linked_role(self, AWSServiceName):
            if AWSServiceName in self.there:
                raise refuse("CreateServiceLinkedRole", "InvalidInput", "Service role name X has been taken in this account")
            self.there.add(AWSServiceName)

    monkeypatch.setattr(account, "connect", lambda service="emr": Iam())
    said = []
    assert len(linked_roles.make_roles(EmrSettings(spot_nodes=1), said.append)) == len(said) == 2
    assert linked_roles.make_roles(EmrSettings(spot_nodes=1), said.append) == [] and len(said) == 2


def test_who_may_not_make_them_hears_what_to_do(iam, monkeypatch):
    class Iam:
        def create_service_linked_role(self, AWSServiceName):
            raise refuse("CreateServiceLinkedRole", "AccessDenied", "not authorized")

    monkeypatch.setattr(account, "connect", lambda service="emr": Iam())
    with pytest.raises(AccountError, match="aws iam create-service-linked-role --aws-service-name elasticmapreduce"):
        linked_roles.make_roles(EmrSettings(), print)


def test_the_driver_may_make_those_and_no_others():
    statement, = (s for s in make_emr_statements("first", "123456789012") if "iam:CreateServiceLinkedRole" in s["Action"])
    assert statement["Condition"] == {"StringEquals": {"iam:AWSServiceName": [linked_roles.CLEANUP, linked_roles.SPOT]}}
    assert statement["Resource"] == ["arn:aws:iam::123456789012:role/aws-service-role/*"]


class Stacks:
    """CloudFormation with one stack: what it made, its events by id, and how its next creation ends."""

    def __init__(self):
        self.state, self.events, self.asked, self.made = None, {}, [], 0

    def describe_stacks(self, StackName):
        if self.state is None:
            raise refuse("DescribeStacks", "ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackStatus": self.state}]}

    def create_stack(self, StackName, OnFailure, RetainExceptOnCreate, **_):
        assert (OnFailure, RetainExceptOnCreate) == ("DELETE", True)
        self.made += 1
        identity = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{StackName}/{self.made}"
        of = {"ResourceType": "AWS::CloudFormation::Stack", "LogicalResourceId": StackName}
        self.events[identity] = [
            {**of, "ResourceStatus": "DELETE_COMPLETE"},
            {"ResourceType": "AWS::S3::Bucket", "LogicalResourceId": "Bucket", "ResourceStatus": "CREATE_FAILED",
             "ResourceStatusReason": "Resource creation cancelled"},
            {"ResourceType": "AWS::IAM::Role", "LogicalResourceId": "TrainRole", "ResourceStatus": "CREATE_FAILED",
             "ResourceStatusReason": "not authorized to perform: iam:ListRolePolicies"},
            {**of, "ResourceStatus": "CREATE_IN_PROGRESS", "ResourceStatusReason": "User Initiated"}]
        self.state = None if self.made == 1 else "CREATE_COMPLETE"
        return {"StackId": identity}

    def get_waiter(self, name):
        return self

    def wait(self, StackName, WaiterConfig):
        if self.state is None:
            raise WaiterError("StackCreateComplete", "Waiter encountered a terminal failure state", {})

    def get_paginator(self, name):
        return self

    def paginate(self, StackName):
        self.asked.append(StackName)
        return [{"StackEvents": self.events[StackName]}]


def test_a_first_stack_that_fails_says_why_and_can_be_tried_again(monkeypatch):
    stacks = Stacks()
    monkeypatch.setattr(stack, "connect", lambda: stacks)
    monkeypatch.setattr(stack, "make_roles", lambda *_: [])
    with pytest.raises(stack.StackError) as failed:
        stack.deploy(ROOT, SETTINGS, print)
    assert "TrainRole (AWS::IAM::Role): not authorized to perform: iam:ListRolePolicies" in str(failed.value)
    assert "cancelled" not in str(failed.value) and stacks.asked[0].endswith("stack/first/1")
    assert stack.deploy(ROOT, SETTINGS, print) == "CREATE_COMPLETE"


@pytest.mark.parametrize("state, advice", [
    ("ROLLBACK_COMPLETE", "trueup emr destroy --yes"), ("ROLLBACK_FAILED", "emr destroy"),
    ("DELETE_FAILED", "emr destroy"),
    ("UPDATE_IN_PROGRESS", "wait until"), ("DELETE_IN_PROGRESS", "wait until")])
def test_a_stack_that_cannot_be_updated_is_said(monkeypatch, state, advice):
    stacks = Stacks()
    stacks.state = state
    monkeypatch.setattr(stack, "connect", lambda: stacks)
    monkeypatch.setattr(stack, "make_roles", lambda *_: [])
    with pytest.raises(stack.StackError, match=f"in state {state}.*{advice}"):
        stack.deploy(ROOT, SETTINGS, print)
