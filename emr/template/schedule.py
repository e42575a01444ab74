"""The schedule, the driver's container, and the Step Functions machine around it.

EventBridge Scheduler starts a small Fargate task that runs `trueup cycle --runner emr`; a task that is started again
continues the open run. It ends in seconds when there is nothing new.
"""

import json
from typing import Any

from contract.errors import UsageError
from contract.settings import Settings
from emr.template.parts import Resource, allow, arn, make_role, ref, sub

CPU, MEMORY = "1024", "4096"  # the driver counts up to emr.here_bytes itself
LOG_RETENTION_DAYS = 90
OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def make_resources(root: str, settings: Settings) -> dict[str, Resource]:
    """Makes everything that starts the cycle; nothing without an image of the driver."""
    chosen = settings.emr
    if chosen.driver_image is None:
        return {}
    if not chosen.subnets or not settings.model:
        raise UsageError("emr.driver_image is set: expected emr.subnets and a model (`model:` or --model) as well, since the "
                         "schedule starts a task in those subnets for that model.")
    stack = chosen.stack
    logs = {"LogDriver": "awslogs", "Options": {"awslogs-group": ref("DriverLogs"), "awslogs-region": ref("AWS::Region"),
                                                "awslogs-stream-prefix": "cycle"}}
    container = {
        "Name": "driver", "Image": chosen.driver_image, "Essential": True, "LogConfiguration": logs, "StopTimeout": 120,
        "Command": ["cycle", "--runner", "emr"], "ReadonlyRootFilesystem": False,
        "Environment": [{"Name": name, "Value": value} for name, value in sorted(make_environment(root, settings).items())]}
    driver = {
        "DriverLogs": Resource("AWS::Logs::LogGroup", {"LogGroupName": f"/trueup/{stack}",
                                                       "RetentionInDays": LOG_RETENTION_DAYS}),
        "DriverCluster": Resource("AWS::ECS::Cluster", {"ClusterName": stack}),
        "ExecutionRole": make_role(f"{stack}-execution", "ecs-tasks.amazonaws.com", [],
                              [sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")]),
        "DriverTask": Resource("AWS::ECS::TaskDefinition", {
            "Family": f"{stack}-driver", "Cpu": CPU, "Memory": MEMORY, "NetworkMode": "awsvpc",
            "RuntimePlatform": {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"},
            "RequiresCompatibilities": ["FARGATE"], "TaskRoleArn": arn("DriverRole"),
            "ExecutionRoleArn": arn("ExecutionRole"), "ContainerDefinitions": [container]}),
    }
    return driver | _make_machine(settings) | _make_schedule(settings)


def make_environment(root: str, settings: Settings) -> dict[str, str]:
    """Writes the chosen settings as the container's environment; lists and tables as JSON, which is YAML."""
    variables = {"TRUEUP_ROOT": root, "TRUEUP_MODEL": settings.need_model()}
    document = settings.model_dump(mode="json")
    for name in settings.origins:
        section, _, inner = name.partition(".")
        if inner:
            value = document[section][inner]
            variables[f"TRUEUP_{section}_{inner}".upper()] = value if isinstance(value, str) else json.dumps(value)
    return variables


def _make_network(settings: Settings) -> dict[str, Any]:
    return {"AwsvpcConfiguration": {"Subnets": list(settings.emr.subnets), "AssignPublicIp": "DISABLED"}}


def _allow_task() -> list[dict[str, Any]]:
    return [allow(["ecs:RunTask"], [ref("DriverTask")]),
            allow(["iam:PassRole"], [arn("DriverRole"), arn("ExecutionRole")],
                  {"StringLike": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}})]


def _make_machine(settings: Settings) -> dict[str, Resource]:
    """Makes the machine: run the task, choose by its exit code, notify. ECS calls any exit code but 0 a failure."""
    rule = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/StepFunctionsGetEventsForECSTaskRule"
    watch = [allow(["ecs:StopTask", "ecs:DescribeTasks"], ["*"]),
             allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [sub(rule)]),
             allow(["sns:Publish"], [ref("Topic")])]
    return {
        "MachineRole": make_role(f"{settings.emr.stack}-machine", "states.amazonaws.com", [*_allow_task(), *watch]),
        "Machine": Resource("AWS::StepFunctions::StateMachine", {
            "StateMachineName": f"{settings.emr.stack}-cycle", "RoleArn": arn("MachineRole"),
            "Definition": define_machine(settings),
            "DefinitionSubstitutions": {"Cluster": arn("DriverCluster"), "Task": ref("DriverTask"), "Topic": ref("Topic")}}),
    }


def define_machine(settings: Settings) -> dict[str, Any]:
    """Writes the machine in Amazon States Language, with JSONata: three states, and a quiet end."""
    code = "{% $exists($states.errorOutput.Cause) ? $parse($states.errorOutput.Cause).Containers[0].ExitCode : 1 %}"
    run = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync",
           "Arguments": {"LaunchType": "FARGATE", "Cluster": "${Cluster}", "TaskDefinition": "${Task}",
                         "NetworkConfiguration": _make_network(settings)},
           # The task could not be started; a task that ran and failed is told apart by its exit code.
           "Retry": [{"ErrorEquals": ["ECS.AmazonECSException", "ECS.ServerException"], "IntervalSeconds": 60,
                      "MaxAttempts": 3, "BackoffRate": 2}],
           "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Output": {"code": code}, "Next": "Choose"},
                     {"ErrorEquals": ["States.ALL"], "Output": {"code": 1}, "Next": "Choose"}],
           "Output": {"code": 0}, "Next": "Choose"}
    messages = {3: "The candidate was refused: the gate found it no better. See the log of the driver.",
            1: "The cycle failed. See the log of the driver; the next start continues the run."}
    choices = [{"Condition": "{% $states.input.code = 0 or $states.input.code = 4 %}", "Next": "Quiet"},
               {"Condition": "{% $states.input.code = 3 %}", "Output": {"said": messages[3]}, "Next": "Notify"}]
    return {"QueryLanguage": "JSONata", "StartAt": "Run", "States": {
        "Run": run,
        "Choose": {"Type": "Choice", "Choices": choices, "Default": "Notify"},
        "Notify": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": True, "Arguments": {
            "TopicArn": "${Topic}", "Subject": f"Trueup: {settings.model}",
            "Message": "{% $exists($states.input.said) ? $states.input.said : '" + messages[1] + "' %}"}},
        "Quiet": {"Type": "Succeed"}}}


def _make_schedule(settings: Settings) -> dict[str, Resource]:
    chosen = settings.emr
    if chosen.start == "machine":
        statements = [allow(["states:StartExecution"], [ref("Machine")])]
        target: dict[str, Any] = {"Arn": ref("Machine")}
    else:
        statements = _allow_task()
        target = {"Arn": arn("DriverCluster"), "EcsParameters": {
            "LaunchType": "FARGATE", "TaskDefinitionArn": ref("DriverTask"), "NetworkConfiguration": _make_network(settings)}}
    return {
        "SchedulerRole": make_role(f"{chosen.stack}-scheduler", "scheduler.amazonaws.com", statements, condition=OWN_ACCOUNT),
        "Schedule": Resource("AWS::Scheduler::Schedule", {
            "Name": f"{chosen.stack}-cycle", "ScheduleExpression": chosen.schedule, "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {**target, "RoleArn": arn("SchedulerRole"),
                       "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}}}),
    }
