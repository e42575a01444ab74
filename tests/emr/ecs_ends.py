"""How a task of ECS ends, in the shapes that its users see: the event of EventBridge, and the cause that Step Functions gives.

Shapes after the ECS developer guide ("Task state change events", "Stopped tasks error codes") and Step Functions' ("Run Amazon
ECS/Fargate tasks"): the cause is the same description with capital letters, as JSON in a text.
"""

import json

STOPPED = "Essential container in task exited"
PULL = ("CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/trueup:1: not found")
ARN = "arn:aws:ecs:eu-west-1:123456789012"


def describe(code=None, reason=None, stop="EssentialContainerExited", why=STOPPED, containers=True, **more):
    """A stopped task of the driver, as DescribeTasks has it."""
    container = {"name": "driver", "lastStatus": "STOPPED", "image": "trueup:1", "cpu": "0"}
    container |= ({"exitCode": code} if code is not None else {}) | ({"reason": reason} if reason else {})
    return {"clusterArn": f"{ARN}:cluster/trueup", "taskDefinitionArn": f"{ARN}:task-definition/trueup-driver:7",
            "taskArn": f"{ARN}:task/trueup/0123456789abcdef", "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
            "launchType": "FARGATE", "group": "family:trueup-driver", "stopCode": stop, "stoppedReason": why,
            "containers": [container] if containers else [], **more}


ENDS = {
    "healthy": describe(0), "refused": describe(3), "cannot tell": describe(4),
    "an error": describe(1), "wrong options": describe(2), "a crash in C": describe(139),
    "out of memory": describe(137, "OutOfMemoryError: Container killed due to memory usage"),
    "stopped by somebody": describe(143, stop="UserInitiated", why='Task stopped by "ada"'),
    "no image": describe(stop="TaskFailedToStart", why=PULL),
    "no image, in the container": describe(reason=PULL, stop="TaskFailedToStart", why="Task failed to start"),
    "no room": describe(stop="TaskFailedToStart", why="Capacity is unavailable at this time.", containers=False),
    "the host went": describe(stop="TerminationNotice", why="Your task is being stopped."),
}
QUIET = ("healthy", "cannot tell")


def write_cause(task):
    """The `Cause` of a failed ecs:runTask.sync."""
    def capital(value):
        if isinstance(value, dict):
            return {name[0].upper() + name[1:]: capital(inner) for name, inner in value.items()}
        return [capital(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(capital(task), separators=(",", ":"))
