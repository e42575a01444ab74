"""Labels that arrive start a turn: S3 tells EventBridge, a starter names the execution by its window, the machine waits.

Every file of labels starts the starter, an express machine of one call: StartExecution of the cycle's machine by the name of the
current window. Step Functions refuses the same name twice, so there is at most one start in a window; the execution waits for
the window's end, so that all labels of the window are there when it counts. No queue, no table, no function.
"""

from typing import Any

from contract import layout
from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.access import split_root
from emr.template.failures import QUEUE, make_alarm
from emr.template.parts import OWN_ACCOUNT, Resource, allow, arn, make_role, ref, sub

LABELS = "labels"  # emr.start_on
TAKEN = ["Sfn.ExecutionAlreadyExistsException", "Sfn.ExecutionAlreadyExists"]  # the SDK's name, and the service's


def make_resources(root: str, settings: EmrSettings) -> dict[str, Resource]:
    """Makes rule, starter, their roles and an alarm; nothing without `emr.start_on: labels`. UsageError without a machine."""
    if settings.start_on != LABELS:
        return {}
    if settings.driver_image is None or settings.start != "machine":
        raise UsageError("emr.start_on: labels: expected emr.driver_image and `emr.start: machine` as well, since labels start "
                         f"the machine; got emr.driver_image {settings.driver_image}, emr.start {settings.start}.")
    return make_starter(settings, "", LABELS, "Machine", define_starter(settings), make_pattern(root),
                        "Labels arrived and no turn could be started; the schedule still starts turns.")


def make_starter(settings: EmrSettings, of: str, what: str, machine: str, definition: dict[str, Any], pattern: dict[str, Any],
                 said: str) -> dict[str, Resource]:
    """Makes what starts a machine when objects arrive: a rule for `what`, a starter, their roles, an alarm that says `said`.

    `of` begins the starter's name where it is not the cycle's.
    """
    stack, starter, name = settings.stack, f"{of}Starter", f"{of.lower()}-starter" if of else "starter"
    return {
        f"{starter}Role": make_role(f"{stack}-{name}", "states.amazonaws.com", [allow(["states:StartExecution"], [ref(machine)])],
                                    condition=OWN_ACCOUNT),
        starter: Resource("AWS::StepFunctions::StateMachine", {
            "StateMachineName": f"{stack}-{name}", "StateMachineType": "EXPRESS", "RoleArn": arn(f"{starter}Role"),
            "Definition": definition, "DefinitionSubstitutions": {"Machine": ref(machine)}}),
        f"{what.capitalize()}Role": make_role(f"{stack}-{what}", "events.amazonaws.com", [
            allow(["states:StartExecution"], [ref(starter)])], condition=OWN_ACCOUNT),
        f"{what.capitalize()}Arrived": Resource("AWS::Events::Rule", {
            "Name": f"{stack}-{what}-arrived", "EventPattern": pattern, "Targets": [{
                "Id": "starter", "Arn": ref(starter), "RoleArn": arn(f"{what.capitalize()}Role"),
                "DeadLetterConfig": {"Arn": arn(QUEUE)}}]}),
        f"{starter}Failed": make_alarm(settings, f"{name}-failed", said, "AWS/States", "ExecutionsFailed", "StateMachineArn",
                                       ref(starter), "Sum")}


def make_pattern(root: str) -> dict[str, Any]:
    """Writes the events of interest: an object was put among the labels of this root."""
    bucket, prefix = split_root(root)
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {
        "bucket": {"name": [bucket]}, "object": {"key": [{"prefix": f"{prefix}{layout.LABELS}/"}]}}}


def define_starter(settings: EmrSettings, what: str = LABELS) -> dict[str, Any]:
    """Writes the starter: one call, whose name and input are those of the window, so that a second one is refused."""
    milliseconds = settings.start_hours * 3600 * 1000
    window = f"$floor($millis() / {milliseconds})"
    name = f"{{% '{what}-{settings.start_hours}h-' & $string({window}) %}}"
    start = {"Type": "Task", "Resource": sub("arn:${AWS::Partition}:states:::aws-sdk:sfn:startExecution"),
             "Arguments": {"StateMachineArn": "${Machine}", "Name": name,
                           "Input": f"{{% $string({{'until': $fromMillis(({window} + 1) * {milliseconds})}}) %}}"},
             "Retry": [{"ErrorEquals": ["Sfn.SfnException", "States.Timeout"], "IntervalSeconds": 5, "MaxAttempts": 3,
                        "BackoffRate": 2}],
             "Catch": [{"ErrorEquals": TAKEN, "Next": "Taken"}], "End": True}
    return {"QueryLanguage": "JSONata", "StartAt": "Start", "States": {"Start": start, "Taken": {"Type": "Succeed"}}}
