"""The Step Functions machine around the driver's task: run it, choose by its exit code, say what happened.

The expressions are JSONata; tests/emr/test_machine.py evaluates them against what ECS really answers.
"""

from collections.abc import Sequence
from typing import Any

from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO
from contract.settings import Settings
from emr.template.parts import sub

NO_CODE = -1
WEEK = 7 * 86400
# What a failed `ecs:runTask.sync` brings in `Cause`: ECS's description of the task as JSON, without `ExitCode` when the
# container never ran, or a plain sentence when ECS refused to start it. Searched, not parsed: $parse ends the execution
# on anything that is no JSON, and Step Functions cuts long causes off.
READ_CAUSE = r"""{% (
$cause := $states.errorOutput.Cause;
$code := $match($cause, /"ExitCode":\s*(\d+)/)[0].groups[0];
$reasons := $match($cause, /"(?:StoppedReason|Reason)":\s*"((?:[^\\"]|\\.)*)"/).groups[0];
{"code": $exists($code) ? $number($code) : NO_CODE,
 "why": $exists($reasons) ? $join($reasons, "; ") : $exists($cause) ? $substring($cause, 0, 1000)
        : $states.errorOutput.Error}
) %}""".replace("NO_CODE", str(NO_CODE))
QUIET = f"{{% $states.input.code = {DONE} or $states.input.code = {CANNOT_TELL} %}}"
REFUSED = f"{{% $states.input.code = {GATE_SAYS_NO} %}}"
NEVER_RAN = f"{{% $states.input.code = {NO_CODE} %}}"
LOG = "See the log of the driver"
CYCLE = "cycle"
SAID = {
    REFUSED: f"The candidate was refused: the gate found it no better. {LOG}.",
    NEVER_RAN: "{% 'The cycle did not run, or was stopped before it could say how it ended: ' & $states.input.why %}",
}
FAILED = ("{% 'The cycle failed with exit code ' & $string($states.input.code) & ' (' & $states.input.why & '). "
          f"{LOG}; the next start continues the run.' %}}")


def define_machine(settings: Settings, network: dict[str, Any], command: Sequence[str] = (), what: str = CYCLE) -> dict[str, Any]:
    """Writes the machine in Amazon States Language: wait for the labels, run, choose, tell.

    `command`: what the task runs in place of the cycle, and `what` that is called.
    """
    run: dict[str, Any] = {
        "Type": "Task", "Resource": sub("arn:${AWS::Partition}:states:::ecs:runTask.sync"), "TimeoutSeconds": WEEK,
        "Arguments": {"LaunchType": "FARGATE", "Cluster": "${Cluster}", "TaskDefinition": "${Task}",
                      "NetworkConfiguration": network,
                      **({"PropagateTags": "TASK_DEFINITION"} if settings.emr.tags else {})},
        # ECS is not to be reached; a task that ran and failed is told apart by its exit code.
        "Retry": [{"ErrorEquals": ["ECS.AmazonECSException", "ECS.ServerException"], "IntervalSeconds": 60,
                   "MaxAttempts": 3, "BackoffRate": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Output": READ_CAUSE, "Next": "Choose"}],
        "Output": {"code": DONE}, "Next": "Choose"}
    if command:
        run["Arguments"]["Overrides"] = {"ContainerOverrides": [{"Name": "driver", "Command": list(command)}]}
    choices = [{"Condition": QUIET, "Next": "Quiet"},
               *({"Condition": when, "Output": {"said": said.replace("The cycle", f"The {what}")}, "Next": "Notify"}
                 for when, said in SAID.items())]
    return {"QueryLanguage": "JSONata", "StartAt": "Begin", "States": {
        # Started by labels (events.py), it waits for the end of their window; started by the schedule, it does not.
        "Begin": {"Type": "Choice", "Default": "Run", "Choices": [
            {"Condition": "{% $exists($states.input.until) %}", "Next": "Gather"}]},
        "Gather": {"Type": "Wait", "Timestamp": "{% $states.input.until %}", "Next": "Run"},
        "Run": run,
        "Choose": {"Type": "Choice", "Choices": choices, "Default": "Failed"},
        "Failed": {"Type": "Pass", "Output": {"said": FAILED.replace("The cycle", f"The {what}")}, "Next": "Notify"},
        "Notify": {"Type": "Task", "Resource": sub("arn:${AWS::Partition}:states:::sns:publish"), "End": True, "Arguments": {
            "TopicArn": "${Topic}", "Subject": f"Trueup: {settings.model}", "Message": "{% $states.input.said %}"}},
        "Quiet": {"Type": "Succeed"}}}
