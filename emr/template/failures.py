"""A driver's task that failed, whatever ended it: told by how the task stopped, not by what it could still write to its log.

EventBridge sees each task of the driver stop; what cannot be started at all lies in a queue that is watched; the machine's own
end is a metric. A driver without an exit code never ran (its image was not pulled, Fargate had no room) or was lost.
"""

from typing import Any

from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO
from contract.settings import EmrSettings
from emr.template.parts import OWN_ACCOUNT, Resource, arn, ref, sub

NO_FAILURES = [DONE, GATE_SAYS_NO, CANNOT_TELL]  # the codes of a `trueup cycle` that came to an end of its own
QUEUE = "NotStarted"
QUEUE_SECONDS = 14 * 86400  # the longest that SQS keeps a message
MACHINE_ENDS = {"ExecutionsFailed": "failed", "ExecutionsTimedOut": "timed out", "ExecutionsAborted": "was stopped by somebody"}


def make_resources(settings: EmrSettings) -> dict[str, Resource]:
    """Makes the rule, the queue, who may write to topic and queue, and the alarms; for an installation with a driver."""
    made = {
        "TopicPolicy": make_topic_policy(), QUEUE: _make_queue(settings), f"{QUEUE}Policy": _make_queue_policy(),
        f"{QUEUE}Alarm": _make_queue_alarm(settings),
        "DriverFailed": Resource("AWS::Events::Rule", {
            "Name": f"{settings.stack}-driver-failed", "EventPattern": make_pattern(settings), "Targets": [{
                "Id": "topic", "Arn": ref("Topic"), "InputTransformer": make_words(settings),
                "DeadLetterConfig": {"Arn": arn(QUEUE)}}]})}
    if settings.start == "machine":
        made |= {f"Machine{metric}": _make_machine_alarm(settings, metric) for metric in MACHINE_ENDS}
    return made


def make_pattern(settings: EmrSettings) -> dict[str, Any]:
    """Writes the events of interest: a task of the driver stopped, and no end of `trueup cycle` was behind it."""
    task = sub(f"arn:${{AWS::Partition}}:ecs:${{AWS::Region}}:${{AWS::AccountId}}:task-definition/{settings.stack}-driver:")
    detail: dict[str, Any] = {
        "clusterArn": [arn("DriverCluster")], "lastStatus": ["STOPPED"], "taskDefinitionArn": [{"prefix": task}],
        "$or": [{"containers": {"exitCode": [{"anything-but": NO_FAILURES}, {"exists": False}]}},
                {"stopCode": ["TaskFailedToStart"]}]}
    if settings.start == "machine":  # which says how its own tasks ended; others are started by hand
        detail["startedBy"] = [{"anything-but": "AWS Step Functions"}, {"exists": False}]
    return {"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"], "detail": detail}


def make_words(settings: EmrSettings) -> dict[str, Any]:
    """Writes the mail: what stopped, why, with which code; a part that the event lacks stays empty."""
    paths = {"reason": "$.detail.stoppedReason", "stop": "$.detail.stopCode", "code": "$.detail.containers[0].exitCode",
             "why": "$.detail.containers[0].reason", "task": "$.detail.taskArn", "at": "$.time"}
    lines = [f"Trueup ({settings.stack}): the driver's task stopped at <at> and its cycle did not come to an end.",
             "Why: <reason> <why>",
             "Kind of stop: <stop>; exit code: <code> (none: it never ran; 137: killed, mostly for memory).",
             f"Task: <task>. Its log is in the log group /trueup/{settings.stack}. The next start continues the run."]
    return {"InputPathsMap": paths, "InputTemplate": "\n".join(f'"{line}"' for line in lines)}


def make_topic_policy() -> Resource:
    """Lets EventBridge publish; and CloudWatch, whose right by default goes with the topic's default policy."""
    def publish(service: str) -> dict[str, Any]:
        return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sns:Publish", "Resource": ref("Topic")}

    # EventBridge evaluates no condition of a topic's policy (its user guide): with one, no event would arrive.
    statements = [publish("events.amazonaws.com"), publish("cloudwatch.amazonaws.com") | {"Condition": OWN_ACCOUNT}]
    return Resource("AWS::SNS::TopicPolicy", {"Topics": [ref("Topic")], "PolicyDocument": {
        "Version": "2012-10-17", "Statement": statements}})


def _make_queue(settings: EmrSettings) -> Resource:
    return Resource("AWS::SQS::Queue", {"QueueName": f"{settings.stack}-not-started", "SqsManagedSseEnabled": True,
                                        "MessageRetentionPeriod": QUEUE_SECONDS})


def _make_queue_policy() -> Resource:
    statements = [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn(QUEUE),
                   "Condition": OWN_ACCOUNT} for service in ("events.amazonaws.com", "scheduler.amazonaws.com")]
    return Resource("AWS::SQS::QueuePolicy", {"Queues": [ref(QUEUE)], "PolicyDocument": {
        "Version": "2012-10-17", "Statement": statements}})


def _make_queue_alarm(settings: EmrSettings) -> Resource:
    what = ("The schedule could not start a cycle, or a mail could not be sent. The reason is with the message in the queue "
            f"{settings.stack}-not-started; purge the queue when it is mended.")
    name = {"Fn::GetAtt": [QUEUE, "QueueName"]}
    return make_alarm(settings, "not-started", what, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name,
                      "Maximum")


def _make_machine_alarm(settings: EmrSettings, metric: str) -> Resource:
    what = (f"The machine around the cycle {MACHINE_ENDS[metric]}, so it could not say how the cycle ended. Its console shows "
            "the execution.")
    return make_alarm(settings, f"machine-{metric}", what, "AWS/States", metric, "StateMachineArn", ref("Machine"), "Sum")


def make_alarm(settings: EmrSettings, name: str, description: str, space: str, metric: str, dimension: str, of: Any,
               statistic: str) -> Resource:
    """Makes an alarm on one count of five minutes that is not zero; silent while there is none."""
    return Resource("AWS::CloudWatch::Alarm", {
        "AlarmName": f"{settings.stack}-{name}", "AlarmDescription": description, "Namespace": space, "MetricName": metric,
        "Dimensions": [{"Name": dimension, "Value": of}], "Statistic": statistic, "Period": 300, "EvaluationPeriods": 1,
        "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
        "AlarmActions": [ref("Topic")]})
