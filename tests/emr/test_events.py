"""Labels that arrive start a turn: the rule's pattern against events of S3, the starter's names with a real JSONata."""

import json
from datetime import UTC, datetime

import pytest
from jsonata import Jsonata
from moto.events.models import EventPattern

from command.load_settings import load
from contract import clock, layout
from contract.errors import UsageError
from contract.settings import EmrSettings
from emr import access
from emr.template.events import TAKEN, define_starter, make_pattern
from emr.template.machine import define_machine
from tests.emr.everything import ROOT, template_of
from tests.emr.recorder import Asked, allowing
from tests.emr.test_machine import evaluate
from tests.emr.test_template import WITH_DRIVER

ON = [*WITH_DRIVER, "emr.start=machine", "emr.start_on=labels"]
HOUR = 3600 * 1000


def takes(pattern, key, bucket):
    """Whether a rule's pattern takes the event of an upload."""
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": {
        "version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 5}, "reason": "PutObject"}}
    return EventPattern(None, pattern).matches_event(event)


def taken(key, bucket="my-bucket", root=ROOT):
    return takes(make_pattern(root), key, bucket)


def test_only_labels_of_this_root_start_a_turn():
    assert taken("a/prefix/labels/dt=2026-11-10/w-1-1.parquet") and taken("labels/x", root="s3://my-bucket")
    assert not any(map(taken, ["labels/x", "a/prefix/predictions/x", "a/prefix/labels.json", "b/a/prefix/labels/x"]))
    assert not taken("a/prefix/labels/x", bucket="others")


def test_nothing_that_a_turn_writes_starts_a_turn():
    key = Asked("s3:PutObject", f"arn:aws:s3:::my-bucket/a/prefix/{layout.LABELS}/x")
    may = [of for of in access.ACCESS if allowing(access.make_statements(of, ROOT), key)]
    assert may == ["serve"]


def at(expression, milliseconds):
    """An expression of the starter at a moment (the engine's own clock is replaced in its text only)."""
    return Jsonata(expression.removeprefix("{%").removesuffix("%}").replace("$millis()", str(milliseconds))).evaluate(None)


@pytest.mark.parametrize("hours", [1, 6, 24])
def test_a_window_has_one_name_and_its_execution_waits_for_its_end(hours):
    start = define_starter(EmrSettings(start_hours=hours))["States"]["Start"]
    name, until = start["Arguments"]["Name"], start["Arguments"]["Input"]
    begin = 1_795_000_000_000 // (hours * HOUR) * (hours * HOUR)
    inside = [begin, begin + 1, begin + hours * HOUR - 1]
    assert len({at(name, ms) for ms in inside}) == len({at(until, ms) for ms in inside}) == 1
    assert at(name, begin + hours * HOUR) != at(name, begin) == f"labels-{hours}h-{begin // (hours * HOUR)}"
    end = clock.iso(datetime.fromtimestamp((begin + hours * HOUR) / 1000, UTC))
    assert json.loads(at(until, begin))["until"][:19] == end[:19]
    assert start["Catch"] == [{"ErrorEquals": TAKEN, "Next": "Taken"}]
    assert isinstance(evaluate(name, {}), str)


def test_the_machine_waits_only_for_labels():
    states = define_machine(load(model="digits", env={}), {})["States"]
    (gather,) = states["Begin"]["Choices"]
    moment = "2026-11-29T07:00:00.000Z"
    assert evaluate(gather["Condition"], {"input": {"until": moment}}) is True
    assert evaluate(gather["Condition"], {"input": {}}) is False and states["Begin"]["Default"] == "Run"
    assert evaluate(states["Gather"]["Timestamp"], {"input": {"until": moment}}) == moment


def test_each_may_start_the_next_and_nothing_else():
    resources = template_of(*ON)["Resources"]
    for role, machine in (("LabelsRole", "Starter"), ("StarterRole", "Machine")):
        (policy,) = resources[role]["Properties"]["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == (["states:StartExecution"], [{"Ref": machine}])
    assert resources["Bucket"]["Properties"]["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    without = template_of(*WITH_DRIVER)["Resources"]
    assert "NotificationConfiguration" not in json.dumps(without) and "Starter" not in without


@pytest.mark.parametrize("chosen", [["emr.start_on=labels"], [*WITH_DRIVER, "emr.start_on=labels"]])
def test_labels_need_a_machine_to_start(chosen):
    with pytest.raises(UsageError, match="expected emr.driver_image and `emr.start: machine`"):
        template_of(*chosen)
