"""Pictures that arrive start a scoring run (`emr.score_on: s3://bucket/prefix`), as labels start a turn (events.py).

A starter names the execution by the current window, so there is one in a window however many pictures come; the execution waits
for the window's end, then runs `trueup emr run --stage score` in the driver's task. The run is named by the execution: each
window asks anew, and a task that is started again finds what its own window has asked.
"""

from typing import Any

from contract.errors import UsageError
from contract.settings import Settings
from emr.access import split_root
from emr.template.events import define_starter, make_starter
from emr.template.failures import make_alarm
from emr.template.machine import define_machine
from emr.template.network import make_task_network
from emr.template.parts import Resource, arn, ref

SCORE = "score"
ENDS = {"ExecutionsFailed": "failed", "ExecutionsTimedOut": "timed out"}


def make_resources(root: str, settings: Settings) -> dict[str, Resource]:
    """Makes rule, starter, machine, roles and alarms; nothing without `emr.score_on`. UsageError for a place in the root."""
    chosen, place = settings.emr, settings.emr.score_on
    if place is None:
        return {}
    check_place(root, place)
    if chosen.driver_image is None:
        raise UsageError("emr.score_on: expected emr.driver_image as well, since pictures start the driver's task, got none.")
    stack = chosen.stack
    return {
        "Scorer": Resource("AWS::StepFunctions::StateMachine", {
            "StateMachineName": f"{stack}-score", "RoleArn": arn("MachineRole"),
            "Definition": define_machine(settings, make_task_network(chosen), write_command(settings, place), "scoring"),
            "DefinitionSubstitutions": {"Cluster": arn("DriverCluster"), "Task": ref("DriverTask"), "Topic": ref("Topic")}}),
        **make_starter(chosen, "Score", "pictures", "Scorer", define_starter(chosen, SCORE), make_pattern(place),
                       "Pictures arrived and their scoring could not be started; the next ones try again."),
        **{f"Scorer{metric}": make_alarm(
            chosen, f"scorer-{metric}", f"The machine around the scoring {how}. Its console shows the execution.",
            "AWS/States", metric, "StateMachineArn", ref("Scorer"), "Sum") for metric, how in ENDS.items()}}


def check_place(root: str, place: str) -> None:
    """Refuses a place in the root, or one that the root is in: what we write there ourselves would start a run."""
    (bucket, inside), (theirs, prefix) = split_root(root), split_root(place)
    if bucket == theirs and (prefix.startswith(inside) or inside.startswith(prefix)):
        raise UsageError(f"emr.score_on: {place}: expected a place outside the root {root}, whose own uploads would start a run "
                         f"each. Name another bucket, or a prefix beside the root's.")


def make_pattern(place: str) -> dict[str, Any]:
    """Writes the events of interest: an object was put under that prefix."""
    bucket, prefix = split_root(place)
    key = {"key": [{"prefix": prefix}]} if prefix else {}
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": {
        "bucket": {"name": [bucket]}, **({"object": key} if key else {})}}


def write_command(settings: Settings, place: str) -> list[str]:
    """Writes what the driver's container runs: the run is named by the execution, which is named by its window."""
    return ["emr", "run", "--stage", SCORE, "--model", settings.need_model(), "--run", "{% $states.context.Execution.Name %}",
            "--", "--images", place]
