"""The schedule, the driver's container, and the Step Functions machine around it.

EventBridge Scheduler starts a small Fargate task that runs `trueup cycle --runner emr`; a task that is started again
continues the open run. It ends in seconds when there is nothing new.
"""

import json
from typing import Any

from contract.errors import UsageError
from contract.settings import EmrSettings, Settings
from emr.security.key import READ, WRITE, make_statements
from emr.template.failures import QUEUE
from emr.template.machine import define_machine
from emr.template.network import make_task_network, name_made_subnets
from emr.template.parts import OWN_ACCOUNT, REGION, Resource, allow, arn, make_role, ref, sub

CPU, MEMORY = "1024", "4096"  # the driver counts up to emr.here_bytes itself
LOG_RETENTION_DAYS = 90
# A start while the run before it is at work is no failure that somebody should get mail about.
COMMAND = ["cycle", "--runner", "emr", "--unless-held"]


def make_resources(root: str, settings: Settings) -> dict[str, Resource]:
    """Makes everything that starts the cycle; nothing without an image of the driver."""
    chosen = settings.emr
    if chosen.driver_image is None:
        return {}
    if not (chosen.subnets or chosen.create_network) or not settings.model:
        raise UsageError("emr.driver_image is set: expected emr.subnets and a model (`model:` or --model) as well, since the "
                         "schedule starts a task in those subnets for that model.")
    stack = chosen.stack
    logs = {"LogDriver": "awslogs", "Options": {"awslogs-group": ref("DriverLogs"), "awslogs-region": ref("AWS::Region"),
                                                "awslogs-stream-prefix": "cycle"}}
    container = {
        "Name": "driver", "Image": chosen.driver_image, "Essential": True, "LogConfiguration": logs, "StopTimeout": 120,
        "Command": COMMAND, "ReadonlyRootFilesystem": False,
        "Environment": [{"Name": name, "Value": value} for name, value in sorted(make_environment(root, settings).items())]
        + [{"Name": "AWS_REGION", "Value": REGION}] + name_made_subnets(chosen)}
    driver = {
        "DriverLogs": Resource("AWS::Logs::LogGroup", {"LogGroupName": f"/trueup/{stack}",
                                                       "RetentionInDays": LOG_RETENTION_DAYS}),
        "DriverCluster": Resource("AWS::ECS::Cluster", {"ClusterName": stack}),
        "ExecutionRole": make_role(
            f"{stack}-execution", "ecs-tasks.amazonaws.com", [],
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


def _allow_task(settings: EmrSettings) -> list[dict[str, Any]]:
    tasks = sub(f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:task/{settings.stack}/*")
    tag = [allow(["ecs:TagResource"], [tasks], {"StringEquals": {"ecs:CreateAction": "RunTask"}})] if settings.tags else []
    return [allow(["ecs:RunTask"], [ref("DriverTask")]),
            allow(["iam:PassRole"], [arn("DriverRole"), arn("ExecutionRole")],
                  {"StringLike": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}), *tag]


def _make_machine(settings: Settings) -> dict[str, Resource]:
    """Makes the machine: run the task, choose by its exit code, notify. ECS calls any exit code but 0 a failure."""
    rule = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/StepFunctionsGetEventsForECSTaskRule"
    watch = [allow(["ecs:StopTask", "ecs:DescribeTasks"], ["*"]),
             allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [sub(rule)]),
             allow(["sns:Publish"], [ref("Topic")]), *make_statements("KeyOfTopic", settings.emr, [READ, WRITE], "sns")]
    return {
        "MachineRole": make_role(f"{settings.emr.stack}-machine", "states.amazonaws.com", [*_allow_task(settings.emr), *watch]),
        "Machine": Resource("AWS::StepFunctions::StateMachine", {
            "StateMachineName": f"{settings.emr.stack}-cycle", "RoleArn": arn("MachineRole"),
            "Definition": define_machine(settings, make_task_network(settings.emr)),
            "DefinitionSubstitutions": {"Cluster": arn("DriverCluster"), "Task": ref("DriverTask"), "Topic": ref("Topic")}}),
    }


def _make_schedule(settings: Settings) -> dict[str, Resource]:
    chosen = settings.emr
    if chosen.start == "machine":
        statements = [allow(["states:StartExecution"], [ref("Machine")])]
        target: dict[str, Any] = {"Arn": ref("Machine")}
    else:
        statements = _allow_task(chosen)
        target = {"Arn": arn("DriverCluster"), "EcsParameters": {
            "LaunchType": "FARGATE", "TaskDefinitionArn": ref("DriverTask"),
            "NetworkConfiguration": make_task_network(settings.emr),
            **({"PropagateTags": "TASK_DEFINITION"} if chosen.tags else {})}}
    statements = [*statements, allow(["sqs:SendMessage"], [arn(QUEUE)]),
                  *make_statements("KeyOfQueue", chosen, [READ, WRITE], "sqs")]
    return {
        "SchedulerRole": make_role(f"{chosen.stack}-scheduler", "scheduler.amazonaws.com", statements, condition=OWN_ACCOUNT),
        "Schedule": Resource("AWS::Scheduler::Schedule", {
            "Name": f"{chosen.stack}-cycle", "ScheduleExpression": chosen.schedule, "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {**target, "RoleArn": arn("SchedulerRole"), "DeadLetterConfig": {"Arn": arn(QUEUE)},
                       "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600}}}),
    }
