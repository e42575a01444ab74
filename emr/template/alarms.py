"""What somebody should hear of: a gate that fails, no verdict for a week, rows that wait too long; failures.py has the rest."""

from typing import Any

from contract.settings import EmrSettings
from emr.template import failures
from emr.template.parts import Resource, ref

NAMESPACE = "Trueup"
DAY = 86400
OUTBOX_SECONDS = 3600
# The last line of a cycle is `<status>: <sentence>` (pipeline/cycle.py).
PATTERNS = {
    "GateFailed": '?"refused: " ?"published: " ?"awaiting approval: " ?"No retraining: "',
    "Verdict": '?"healthy: " ?"refused: " ?"published: " ?"awaiting approval: " ?"awaiting shadow: "',
}


def make_resources(settings: EmrSettings) -> dict[str, Resource]:
    """Makes the topic, the metrics made of the driver's log, the alarms."""
    topic: dict[str, Any] = {"TopicName": f"{settings.stack}-alarms"}
    if settings.notify:
        topic["Subscription"] = [{"Protocol": "email", "Endpoint": settings.notify}]
    resources = {"Topic": Resource("AWS::SNS::Topic", topic), "OutboxAge": _make_outbox_alarm(settings)}
    if settings.driver_image is None:
        return resources
    for name, pattern in PATTERNS.items():
        resources[f"{name}Metric"] = Resource("AWS::Logs::MetricFilter", {
            "LogGroupName": ref("DriverLogs"), "FilterPattern": pattern, "MetricTransformations": [
                {"MetricNamespace": NAMESPACE, "MetricName": _name_metric(settings, name), "MetricValue": "1",
                 "DefaultValue": 0}]})
    resources["GateFailed"] = _make_alarm(settings, "GateFailed", "The gate says that the live version no longer holds.")
    # Every line of a driver that is no verdict counts as 0, so a day in which cycles ran has a value, and a day before the
    # first one has none: seven days with zeros are needed, and the first week is silent. What keeps cycles from running has
    # alarms of its own (failures.py).
    resources["NoLabels"] = Resource("AWS::CloudWatch::Alarm", {
        "AlarmName": f"{settings.stack}-no-labels", "MetricName": _name_metric(settings, "Verdict"), "Namespace": NAMESPACE,
        "AlarmDescription": "Cycles ran for a week and none had a verdict: too few labels arrive.",
        "Statistic": "Sum", "Period": DAY, "EvaluationPeriods": 7, "DatapointsToAlarm": 7, "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold", "TreatMissingData": "notBreaching", "AlarmActions": [ref("Topic")]})
    return resources | failures.make_resources(settings)


def _name_metric(settings: EmrSettings, name: str) -> str:
    return f"{settings.stack}-{name}"


def _make_alarm(settings: EmrSettings, name: str, description: str) -> Resource:
    return Resource("AWS::CloudWatch::Alarm", {
        "AlarmName": f"{settings.stack}-{name}", "AlarmDescription": description, "MetricName": _name_metric(settings, name),
        "Namespace": NAMESPACE, "Statistic": "Sum", "Period": 300, "EvaluationPeriods": 1, "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
        "AlarmActions": [ref("Topic")]})


def _make_outbox_alarm(settings: EmrSettings) -> Resource:
    """Watches the service's own gauge, which each of its instances tells CloudWatch (service_instances.py)."""
    return Resource("AWS::CloudWatch::Alarm", {
        "AlarmName": f"{settings.stack}-outbox-age", "MetricName": "trueup_outbox_age_seconds", "Namespace": NAMESPACE,
        "AlarmDescription": "Answered predictions wait in an outbox for more than an hour.", "Statistic": "Maximum",
        "Period": 300, "EvaluationPeriods": 3, "Threshold": OUTBOX_SECONDS, "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching", "AlarmActions": [ref("Topic")]})
