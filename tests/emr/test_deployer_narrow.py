"""How far the deployer's policy goes: the stack's own names and path, its boundary, its key, its partition; and no further."""

import json

import pytest

from emr.policy import deployer
from tests.emr.everything import ACCOUNT, BOUNDARY, EVERYTHING, KEY, PATH, ROOT, VARIANTS, settings_of
from tests.emr.test_deployer import CONTEXT, allows, policy_of


@pytest.mark.parametrize("name", VARIANTS)
def test_roles_are_the_stacks_own_and_no_action_on_them_is_a_pattern(name):
    about = [(a, s) for s in policy_of(name)["Statement"] for a in s["Action"] if a.startswith(("iam:", "*"))]
    assert about and not [a for a, _ in about if "*" in a]
    path = settings_of(*VARIANTS[name]).emr.role_path
    ours = (f"arn:aws:iam::*:role{path}trueup-", f"arn:aws:iam::*:instance-profile{path}trueup-",
            "arn:aws:iam::*:role/aws-service-role/")
    assert [r for _, s in about for r in s["Resource"] if not r.startswith(ours)] == []
    with_condition = {"iam:PassRole": "iam:PassedToService", "iam:AttachRolePolicy": "iam:PolicyARN",
                      "iam:CreateServiceLinkedRole": "iam:AWSServiceName"}
    for action, key in with_condition.items():
        conditions = [json.dumps(s["Condition"]) for a, s in about if a == action]
        assert conditions and all(key in condition for condition in conditions)


@pytest.mark.parametrize(("action", "arn"), [
    ("iam:PutRolePolicy", "iam::123456789012:role/admin"), ("iam:PassRole", "iam::123456789012:role/trueup-driver"),
    ("iam:AttachRolePolicy", "iam::123456789012:role/trueup-driver"), ("sns:DeleteTopic", f"sns:{ACCOUNT}:others"),
    ("sqs:PurgeQueue", f"sqs:{ACCOUNT}:others"), ("s3:DeleteBucket", "s3:::others"), ("s3:GetObject", "s3:::my-bucket/b/x"),
    ("ecs:RunTask", f"ecs:{ACCOUNT}:task-definition/others:1"), ("ecs:DeleteCluster", f"ecs:{ACCOUNT}:cluster/others"),
    ("cloudformation:DeleteStack", f"cloudformation:{ACCOUNT}:stack/others/1"),
    ("logs:DeleteLogGroup", f"logs:{ACCOUNT}:log-group:x"), ("s3:GetObject", "s3:::my-bucket/a/prefixes"),
    ("elasticmapreduce:TerminateJobFlows", f"elasticmapreduce:{ACCOUNT}:cluster/j-1"), ("elasticmapreduce:RunJobFlow", "*"),
    ("iam:CreateServiceLinkedRole", "iam::123456789012:role/aws-service-role/x/y")])
def test_what_is_not_the_stacks_is_refused(action, arn):
    arn = arn if arn == "*" else f"arn:aws:{arn}"
    assert not allows(policy_of("everything"), action, arn, PassedToService="lambda.amazonaws.com", AWSServiceName="x.aws",
                      PolicyARN="arn:aws:iam::aws:policy/AdministratorAccess", **{"ResourceTag/trueup:stack": "others"})


def test_roles_are_passed_to_the_services_that_may_take_them():
    def passed(name):
        (found,) = (s["Condition"]["StringLike"]["iam:PassedToService"] for s in policy_of(name)["Statement"]
                    if s["Action"] == ["iam:PassRole"])
        return found

    assert passed("plain") == ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "elasticmapreduce.amazonaws.com"]
    assert set(passed("everything")) - set(passed("plain")) == {f"{name}.amazonaws.com" for name in (
        "emr-serverless", "events", "scheduler", "states")}


def test_paths_and_boundaries_of_the_templates_roles_are_those_of_the_policy():
    """Whoever makes a role may give it anything, unless the policy that lets them says under which boundary."""
    policy, role = policy_of("everything"), f"arn:aws:iam::123456789012:role{PATH}trueup-driver"
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary", "iam:AttachRolePolicy"):
        context = CONTEXT[action]
        assert allows(policy, action, role, **context)
        assert not allows(policy, action, role, **context | {"PermissionsBoundary": f"{BOUNDARY}-of-others"})
        assert not allows(policy, action, role, **context | {"PermissionsBoundary": ""})
        assert not allows(policy, action, role.replace(PATH, "/"), **context)
    assert not allows(policy, "iam:DeleteRole", role.replace(PATH, "/")) and allows(policy, "iam:DeleteRole", role)
    assert not allows(policy, "iam:DeleteRolePermissionsBoundary", role)


def via(service):
    return {"ViaService": f"{service}.eu-west-1.amazonaws.com"}


@pytest.mark.parametrize(("name", "on"), [
    ("everything", {}), ("brought", {}), ("otherwise", {"ResourceAliases": "alias/trueup"})])
def test_the_key_is_used_by_services_only_and_looked_at(name, on):
    policy, grant = policy_of(name), {"GrantIsForAWSResource": "true"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):  # what S3 asks in the name of whoever reads and writes
        assert allows(policy, action, KEY, **on, **via("s3")) and not allows(policy, action, KEY, **on, **via("ebs"))
        assert not allows(policy, action, KEY, **on)
    assert allows(policy, "kms:Decrypt", KEY, **on, **via("sqs"))  # `aws sqs receive-message` of the page
    assert allows(policy, "kms:DescribeKey", KEY, **on) and allows(policy, "kms:GetKeyPolicy", KEY, **on)
    assert allows(policy, "kms:CreateGrant", KEY, **on, **grant, **via("emr-serverless")) is (name == "everything")
    assert not allows(policy, "kms:CreateGrant", KEY, **on, **grant)
    other = {"ResourceAliases": "alias/others"} if on else {}
    assert not allows(policy, "kms:Decrypt", KEY if on else KEY.replace("12345678-", "22345678-"), **other, **via("s3"))
    assert not [a for s in policy_of("plain")["Statement"] for a in s["Action"] if a.startswith("kms:")]


def test_another_partition_has_its_own_arns_and_services():
    there = {"arn:aws:": "arn:aws-cn:", "eu-west-1": "cn-north-1", ".amazonaws.com/": ".amazonaws.com.cn/"}
    chosen = list(EVERYTHING)
    for here, other in there.items():
        chosen = [option.replace(here, other) for option in chosen]
    policy = deployer.make_policy(ROOT, settings_of(*chosen), "aws-cn")
    assert "arn:aws:" not in json.dumps(policy)
    assert allows(policy, "iam:PassRole", f"arn:aws-cn:iam::1:role{PATH}trueup-train", PassedToService="ec2.amazonaws.com.cn")
    assert allows(policy, "kms:Decrypt", KEY.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-1", "cn-north-1"),
                  ViaService="s3.cn-north-1.amazonaws.com.cn")
    assert allows(policy, "ecr:PutImage", "arn:aws-cn:ecr:cn-north-1:123456789012:repository/trueup-driver")
