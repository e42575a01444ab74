"""The driver may read the secrets that `notify:` names, those alone, and no role may where none is named."""

import pytest

from contract.errors import UsageError
from tests.emr.everything import resources_of

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:slack-AbCdEf"
TARGETS = ("notify.targets=[{name: ops, url: 'aws-secret:trueup/ops#url', secret: 'aws-secret:trueup/ops#key'}, "
           f"{{name: team, kind: slack, url: 'aws-secret:{ARN}'}}, {{name: here, kind: slack, url: 'env:HOOK'}}]")


def secrets_of(*overrides):
    """Role -> what it may read of Secrets Manager."""
    return {name: [r for policy in role["Properties"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]
                   if statement["Action"] == ["secretsmanager:GetSecretValue"] for r in statement["Resource"]]
            for name, role in resources_of(*overrides).items() if role["Type"] == "AWS::IAM::Role"
            if "secretsmanager" in str(role)}


def test_the_driver_alone_reads_those_that_are_named():
    own = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:trueup/ops-??????"
    assert secrets_of(TARGETS) == {"DriverRole": [ARN, {"Fn::Sub": own}]}


def test_without_such_a_reference_nobody_reads_any():
    assert secrets_of() == {}
    assert secrets_of("notify.targets=[{name: here, kind: slack, url: 'env:HOOK'}]") == {}


def test_a_network_without_a_way_out_is_refused():
    with pytest.raises(UsageError, match="notify.targets: expected emr.nat=true"):
        resources_of("emr.create_network=true", TARGETS)
