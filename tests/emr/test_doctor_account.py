"""`trueup doctor --account`: the stack, its roles one by one, the packages; IAM is played at the client boundary."""

import json

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from contract.layout import MARKER
from contract.storage import open_storage
from emr import account, stack
from emr.checks import account as surroundings
from emr.template.size import write_short
from emr.template.whole import make_template
from pipeline import doctor
from pipeline.checks import machine
from tests.emr.conftest import put_packages
from tests.emr.everything import KEY
from tests.emr.recorder import Asked, allowing
from tests.pipeline.test_doctor import checks

ROLES = ["evaluate", "dataset", "train", "assess", "score", "driver"]


class FakeIam:
    """SimulatePrincipalPolicy over the policies that roles have in moto."""

    def __init__(self, client):
        self.client = client
        self.create_service_linked_role = client.create_service_linked_role

    def simulate_principal_policy(self, PolicySourceArn, ActionNames, ResourceArns, Marker="0", ContextEntries=()):
        try:
            found = self.client.get_role_policy(RoleName=PolicySourceArn.rpartition("/")[2], PolicyName="access")
        except ClientError:
            raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": "no such role"}}, "Simulate") from None
        document = found["PolicyDocument"]  # what CloudFormation made is text in moto
        document = yaml.safe_load(document) if isinstance(document, str) else document
        lists = ("Action", "Resource")  # which IAM takes as one text, too
        statements = [{"Sid": "", **s} | {name: [s[name]] for name in lists if isinstance(s[name], str)}
                      for s in document["Statement"]]
        results = [{"EvalActionName": action, "EvalResourceName": arn, "EvalDecision":
                    "allowed" if allowing(statements, Asked(action, arn)) else "implicitDeny"}
                   for action in ActionNames for arn in ResourceArns[int(Marker):int(Marker) + 3]]
        return {"EvaluationResults": results, "IsTruncated": int(Marker) + 3 < len(ResourceArns), "Marker": str(int(Marker) + 3)}


@pytest.fixture
def root(emr, moto_server, monkeypatch, capsys):
    """An account with a stack and packages."""
    from emr import cli

    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    monkeypatch.setattr(machine, "CHECKS", {})
    monkeypatch.setattr(surroundings, "check_surroundings", lambda *_: iter(()))  # test_account_checks.py
    # Made of the form that a long template is sent in; test_emr_cli.py makes stacks of the plain one.
    monkeypatch.setattr(stack, "write_template", lambda root, settings, *_: write_short(make_template(root, settings), root))
    clients = {"emr": emr, "iam": FakeIam(boto3.client("iam"))}
    monkeypatch.setattr(account, "connect", lambda service="emr": clients.get(service) or boto3.client(service))
    assert cli.main(["deploy", "--no-packages", "--root", "s3://doctors-bucket/pre", "--set", "emr.stack=doc"]) == 0
    capsys.readouterr()
    yield put_packages("s3://doctors-bucket/pre")
    cli.main(["destroy", "--yes", "--root", "s3://doctors-bucket/pre", "--set", "emr.stack=doc"])


def test_an_account_is_looked_at_role_by_role(root, capsys, monkeypatch):
    options = ["--account", "--root", root, "--set", "emr.stack=doc"]
    found = checks(capsys, *options)
    assert found["stack"]["found"] == "doc: CREATE_COMPLETE" and found["account"]["found"].startswith("arn:aws:")
    assert [found[f"role {name}"]["state"] for name in ROLES] == ["ok"] * len(ROLES)
    assert found["package train"]["state"] == "ok"
    iam = boto3.client("iam")
    iam.put_role_policy(RoleName="doc-train", PolicyName="access", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["*"]}]}))
    iam.delete_role_policy(RoleName="doc-assess", PolicyName="access")
    found = checks(capsys, *options, code=1)
    assert "refused: s3:GetObject trueup.json" in found["role train"]["found"]
    assert "should not be: s3:PutObject packages/train-0.tar.gz" in found["role train"]["found"]
    assert "no such role" in found["role assess"]["found"] and "SimulatePrincipalPolicy" in found["role assess"]["do"]
    found = checks(capsys, *options, "--set", f"emr.kms_key={KEY}", code=1)
    assert found["role driver"]["found"] == "refused: kms:Decrypt of emr.kms_key, kms:GenerateDataKey of emr.kms_key"
    statement = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": [KEY]}
    iam.put_role_policy(RoleName="doc-driver", PolicyName="access", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [statement]}))
    assert "kms" not in checks(capsys, *options, "--set", f"emr.kms_key={KEY}", code=1)["role driver"]["found"]
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, "SimulatePrincipalPolicy")
    monkeypatch.setattr(FakeIam, "simulate_principal_policy", lambda self, **_: (_ for _ in ()).throw(denied))
    found = checks(capsys, *options)  # whoever may not ask knows of nothing bad
    assert {found[f"role {name}"]["state"] for name in ROLES} == {"not asked"}


def test_without_a_stack_it_is_said(emr, moto_server, monkeypatch, capsys, s3_root):
    monkeypatch.setattr(machine, "CHECKS", {})
    monkeypatch.setattr(surroundings, "check_surroundings", lambda *_: iter(()))
    open_storage(s3_root).put(MARKER, b'{"schema": "1"}')
    monkeypatch.setattr(account, "connect", lambda service="emr": boto3.client(service))
    found = checks(capsys, "--account", "--root", s3_root, "--set", "emr.stack=none-here")
    assert (found["stack"]["state"], found["stack"]["do"]) == ("absent", "`trueup emr deploy` makes or mends it")
    assert doctor.main(["--account", "--root", "/a/folder"]) == 2
