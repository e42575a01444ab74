"""A driver that fails is told, whatever ended it; what is no failure is not; and those who tell may."""

import json
import re

import pytest
from moto.events.models import EventPattern

from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.template.failures import make_pattern, make_words
from pipeline import cycle
from tests.emr.ecs_ends import ARN, ENDS, describe
from tests.emr.everything import template_of
from tests.emr.test_template import WITH_DRIVER

NO_MAIL = ("healthy", "refused", "cannot tell")  # a refusal has a mail of its own, made of the log


def resolve(node):
    """What CloudFormation makes of the functions in a pattern, in account 123456789012."""
    if isinstance(node, list):
        return [resolve(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Sub" in node:
        names = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012"}
        return re.sub(r"\$\{([^}]+)\}", lambda m: names[m[1]], node["Fn::Sub"])
    if node == {"Fn::GetAtt": ["DriverCluster", "Arn"]}:
        return f"{ARN}:cluster/trueup"
    return {name: resolve(inner) for name, inner in node.items()}


def is_told(task, start="task"):
    """Whether the rule takes the event of a task; moto matches objects, so each container stands once for the list.

    EventBridge flattens lists of objects the same way (user guide, "Arrays in event patterns").
    """
    pattern = json.loads(json.dumps(resolve(make_pattern(EmrSettings(start=start)))))
    events = [{"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": {**task, "containers": container}}
              for container in task["containers"] or [{}]]
    return any(EventPattern(None, pattern).matches_event(event) for event in events)


@pytest.mark.parametrize("end", ENDS)
def test_a_stop_is_told_when_no_end_of_a_cycle_is_behind_it(end):
    assert is_told(ENDS[end]) == (end not in NO_MAIL)


@pytest.mark.parametrize("other", [
    {"lastStatus": "RUNNING"}, {"clusterArn": f"{ARN}:cluster/other"},
    {"taskDefinitionArn": f"{ARN}:task-definition/trueup-driver-of-others:1"},
    {"taskDefinitionArn": f"{ARN}:task-definition/trueup-service:1"}])
def test_tasks_of_others_and_tasks_that_run_are_not_told(other):
    assert not is_told(describe(1) | other)


def test_the_machine_tells_of_its_own_tasks_and_the_rule_of_those_started_by_hand():
    own = describe(1, startedBy="AWS Step Functions")
    assert not is_told(own, "machine") and is_told(own)
    assert is_told(describe(1), "machine") and is_told(describe(1, startedBy="ada"), "machine")


@pytest.mark.parametrize("end", ["an error", "out of memory", "no image"])
def test_the_mail_says_what_happened(end):
    words = make_words(EmrSettings())
    names = re.findall(r"<(\w+)>", words["InputTemplate"])
    assert sorted(names) == sorted(words["InputPathsMap"])
    for line in words["InputTemplate"].split("\n"):
        json.loads(line)
    container = ENDS[end]["containers"][0]
    event = {"time": "2026-11-29T00:00:00Z", "detail": ENDS[end]}
    found = {name: walk(event, path) for name, path in words["InputPathsMap"].items()}
    mail = re.sub(r"<(\w+)>", lambda m: str(found[m[1]] or ""), words["InputTemplate"])
    assert ENDS[end]["stoppedReason"] in mail and ENDS[end]["stopCode"] in mail
    assert str(container.get("exitCode", "none")) in mail and container.get("reason", "") in mail


def walk(event, path):
    for name, place in re.findall(r"\.(\w+)(?:\[(\d+)\])?", path):
        event = event.get(name) if isinstance(event, dict) else None
        event = event[int(place)] if event and place else event
    return event


@pytest.mark.parametrize("more", [[], ["emr.start=machine"]])
def test_who_tells_may_write_where_it_tells(more):
    resources = template_of(*WITH_DRIVER, *more)["Resources"]
    said = resources["TopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    conditions = {s["Principal"]["Service"]: "Condition" in s for s in said}
    assert conditions == {"events.amazonaws.com": False, "cloudwatch.amazonaws.com": True}
    queued = resources["NotStartedPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert {s["Principal"]["Service"] for s in queued} == {"events.amazonaws.com", "scheduler.amazonaws.com"}
    assert all(s["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}} for s in queued)
    queue = {"Fn::GetAtt": ["NotStarted", "Arn"]}
    assert resources["Schedule"]["Properties"]["Target"]["DeadLetterConfig"] == {"Arn": queue}
    (target,) = resources["DriverFailed"]["Properties"]["Targets"]
    assert target["DeadLetterConfig"] == {"Arn": queue} and target["Arn"] == {"Ref": "Topic"}
    (policy,) = resources["SchedulerRole"]["Properties"]["Policies"]
    sends = [s for s in policy["PolicyDocument"]["Statement"] if "sqs:SendMessage" in s["Action"]]
    assert [(s["Action"], s["Resource"]) for s in sends] == [(["sqs:SendMessage"], [queue])]


def test_no_alarm_is_breaching_before_anything_ran():
    for more in ([], WITH_DRIVER, [*WITH_DRIVER, "emr.start=machine"]):
        alarms = [r["Properties"] for r in template_of(*more)["Resources"].values() if r["Type"] == "AWS::CloudWatch::Alarm"]
        assert alarms and {a["TreatMissingData"] for a in alarms} == {"notBreaching"}


def test_a_week_without_a_verdict_needs_a_cycle_on_each_of_its_days():
    resources = template_of(*WITH_DRIVER)["Resources"]
    (heard,) = resources["VerdictMetric"]["Properties"]["MetricTransformations"]
    assert (heard["DefaultValue"], heard["MetricValue"]) == (0, "1")
    alarm = resources["NoLabels"]["Properties"]
    assert (alarm["Period"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (86400, 7, 7)


def test_waiting_and_leaving_exclude_each_other(capsys):
    assert cycle.main(["--root", "x", "--model", "m", "--wait", "--unless-held"]) == UsageError.exit_code
    assert "expected one of them, got both" in capsys.readouterr().err
