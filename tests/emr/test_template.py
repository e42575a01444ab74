"""The template: what it holds, and the parts that name each other."""

import json

import pytest

from command.load_settings import load
from contract.errors import UsageError
from emr import cli
from emr.template.bucket import EXPIRES
from emr.template.whole import make_template
from tests.emr.everything import ROOT, template_of

WITH_DRIVER = ["emr.driver_image=123456789012.dkr.ecr.us-east-1.amazonaws.com/trueup:1", "emr.notify=a@b.example",
               "emr.subnets=[subnet-0123456789abcdef0]"]

SERVERLESS = ["emr.compute=serverless", "emr.serverless_image=123456789012.dkr.ecr.us-east-1.amazonaws.com/workers:1",
              "emr.score_from=[s3://camera/new]"]


def test_only_stages_that_run_there_trust_emr_serverless():
    resources = template_of(*SERVERLESS)["Resources"]
    trusting = [name for name, r in resources.items() if "emr-serverless.amazonaws.com" in json.dumps(
        r["Properties"].get("AssumeRolePolicyDocument", {}))]
    assert trusting == ["DatasetRole", "EvaluateRole", "ScoreRole"]
    assert "emr-serverless" not in json.dumps(template_of())


def test_the_bucket_is_closed_and_stays():
    bucket = template_of()["Resources"]["Bucket"]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["BucketEncryption"] and bucket["Properties"]["BucketName"] == "my-bucket"
    (deny,) = template_of()["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_nothing_that_is_needed_expires():
    rules = template_of()["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = [r["Prefix"] for r in rules if "ExpirationInDays" in r]
    assert expiring == [f"a/prefix/{folder}" for folder in EXPIRES] == ["a/prefix/logs/emr/"]
    assert any("AbortIncompleteMultipartUpload" in r for r in rules)


def test_without_an_image_there_is_no_schedule():
    kinds = {r["Type"] for r in template_of()["Resources"].values()}
    assert "AWS::Scheduler::Schedule" not in kinds and "AWS::IAM::Role" in kinds


def test_the_schedule_starts_the_task_or_the_machine():
    task = template_of(*WITH_DRIVER)["Resources"]["Schedule"]["Properties"]["Target"]
    machine = template_of(*WITH_DRIVER, "emr.start=machine")["Resources"]["Schedule"]["Properties"]["Target"]
    assert task["EcsParameters"]["TaskDefinitionArn"] == {"Ref": "DriverTask"} and machine["Arn"] == {"Ref": "Machine"}


def test_the_driver_runs_the_cycle_with_the_settings_that_were_chosen():
    resources = template_of(*WITH_DRIVER, "gates.min_accuracy=0.8")["Resources"]
    (driver,) = resources["DriverTask"]["Properties"]["ContainerDefinitions"]
    environment = {e["Name"]: e["Value"] for e in driver["Environment"]}
    assert driver["Command"] == ["cycle", "--runner", "emr", "--unless-held"]
    settings = load(env=environment)
    assert (settings.root, settings.model, settings.gates.min_accuracy) == (ROOT, "digits", 0.8)
    assert settings.emr.subnets == ["subnet-0123456789abcdef0"]


def test_the_alarms_rest_on_what_the_cycle_prints():
    resources = template_of(*WITH_DRIVER)["Resources"]
    alarms = [n for n, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"]
    assert sorted(alarms) == ["GateFailed", "NoLabels", "NotStartedAlarm", "OutboxAge"]
    machine = template_of(*WITH_DRIVER, "emr.start=machine")["Resources"]
    assert {n for n, r in machine.items() if r["Type"] == "AWS::CloudWatch::Alarm"} - set(alarms) == {
        "MachineExecutionsAborted", "MachineExecutionsFailed", "MachineExecutionsTimedOut"}
    assert all(resources[n]["Properties"]["AlarmActions"] == [{"Ref": "Topic"}] for n in alarms)


def test_a_schedule_without_a_model_is_refused():
    with pytest.raises(UsageError, match="expected emr.subnets and a model"):
        make_template(ROOT, load(root=ROOT, env={}, overrides=WITH_DRIVER))


def test_the_same_settings_give_the_same_bytes(capsys):
    assert cli.main(["template", "--root", ROOT]) == 0
    first = capsys.readouterr().out
    assert cli.main(["template", "--root", ROOT]) == 0
    assert capsys.readouterr().out == first and json.loads(first)["Resources"]
