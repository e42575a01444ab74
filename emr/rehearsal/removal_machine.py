"""The machine that ends a rehearsal whatever became of whoever began it: clusters, the bucket's content, the stack.

One loop that may begin anywhere: end the clusters until none is left, empty the bucket, ask for the stack's deletion, look
again. The machine lies in the stack and is deleted after all that costs anything, which ends the loop; a bucket that got one
more log while it was being deleted is emptied once more. tests/emr/test_rehearsal_removal.py plays it with a real JSONata.
"""

from typing import Any

from emr.made_network import EMR_GROUPS, NETWORK
from emr.template.parts import sub

LIVING = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING")
OBJECTS = 200  # of one look: Step Functions carries 256 KiB from state to state
REST_SECONDS = 60
MOST_SECONDS = 2 * 86400
GONE, GOING = "DELETE_COMPLETE", "DELETE_IN_PROGRESS"
AGAIN = [{"ErrorEquals": ["States.ALL"], "Next": "Rest", "Output": {}}]
RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10, "MaxAttempts": 3, "BackoffRate": 2}]


def define_machine(bucket: str, clusters: str, network: bool) -> dict[str, Any]:
    """Writes the machine. `clusters`: how the names of the rehearsal's clusters begin; `network`: the stack makes one."""
    states = {**_end_clusters(clusters), **_look(network), **(_clear_groups() if network else {}), **_empty(bucket),
              "Remove": _task("cloudformation", "deleteStack", {"StackName": "${Stack}"}, {}, "Rest"),
              "Rest": {"Type": "Wait", "Seconds": REST_SECONDS, "Output": {}, "Next": "Find"},
              "Gone": {"Type": "Succeed"}}
    return {"QueryLanguage": "JSONata", "StartAt": "Find", "TimeoutSeconds": MOST_SECONDS, "States": states}


def _task(service: str, operation: str, arguments: Any, output: Any, then: str) -> dict[str, Any]:
    """Writes a call of AWS's API; one that fails three times is left, and the loop comes by again."""
    return {"Type": "Task", "Resource": sub(f"arn:${{AWS::Partition}}:states:::aws-sdk:{service}:{operation}"),
            "Arguments": arguments, "Output": output, "Retry": RETRY, "Catch": AGAIN, "Next": then}


def _choose(condition: str, then: str, otherwise: str) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": [{"Condition": f"{{% {condition} %}}", "Next": then}], "Default": otherwise}


def _end_clusters(names: str) -> dict[str, Any]:
    """Ends all clusters of that name, page by page, and comes back until none lives."""
    asked = ('{% $merge([{"ClusterStates": ' + "[" + ", ".join(f'"{state}"' for state in LIVING) + "]}, "
             '$exists($states.input.marker) ? {"Marker": $states.input.marker} : {}]) %}')
    found = (f'{{% {{"clusters": [$states.result.Clusters[$substringBefore(Name & "|", "{names}") = ""].Id], '
             '"marker": $states.result.Marker} %}')
    return {"Find": _task("emr", "listClusters", asked, found, "Any"),
            "Any": _choose("$count($states.input.clusters) > 0", "End", "More"),
            "More": _choose("$exists($states.input.marker)", "Find", "Look"),
            "End": _task("emr", "terminateJobFlows", {"JobFlowIds": "{% $states.input.clusters %}"}, {}, "Rest")}


def _look(network: bool) -> dict[str, Any]:
    """Looks how far the stack is."""
    found = ('{% {"state": $states.result.Stacks[0].StackStatus, "network": '
             f'$states.result.Stacks[0].Outputs[OutputKey = "{NETWORK}"].OutputValue}} %}}')
    after = "HasNetwork" if network else "List"
    states = {"Look": _task("cloudformation", "describeStacks", {"StackName": "${Stack}"}, found, "State"),
              "State": {"Type": "Choice", "Default": after, "Choices": [
                  {"Condition": f'{{% $states.input.state = "{GONE}" %}}', "Next": "Gone"},
                  {"Condition": f'{{% $states.input.state = "{GOING}" %}}', "Next": "Rest"}]}}
    return states | ({"HasNetwork": _choose("$exists($states.input.network)", "Groups", "List")} if network else {})


def _clear_groups() -> dict[str, Any]:
    """Deletes EMR's own security groups, which refer to each other and keep a network from being deleted."""
    filters = [{"Name": "vpc-id", "Values": ["{% $states.input.network %}"]}, {"Name": "group-name", "Values": [EMR_GROUPS]}]

    def revoke(operation: str, rules: str, then: str) -> dict[str, Any]:
        arguments = {"GroupId": "{% $states.input.GroupId %}", "IpPermissions": f"{{% $states.input.{rules} %}}"}
        task = _task("ec2", operation, arguments, "{% $states.input %}", then)
        return task | {"Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input %}", "Next": then}]}

    ingress = _choose("$count($states.input.IpPermissions) > 0", "Ingress", "AnyEgress")
    egress = _choose("$count($states.input.IpPermissionsEgress) > 0", "Egress", "Emptied")
    each = {"StartAt": "AnyIngress", "States": {
        "AnyIngress": ingress, "Ingress": revoke("revokeSecurityGroupIngress", "IpPermissions", "AnyEgress"),
        "AnyEgress": egress, "Egress": revoke("revokeSecurityGroupEgress", "IpPermissionsEgress", "Emptied"),
        "Emptied": {"Type": "Pass", "End": True}}}
    delete = _task("ec2", "deleteSecurityGroup", {"GroupId": "{% $states.input.GroupId %}"}, {}, "Deleted")
    last = {"StartAt": "Delete", "States": {
        "Delete": delete | {"Catch": [{"ErrorEquals": ["States.ALL"], "Output": {}, "Next": "Deleted"}]},
        "Deleted": {"Type": "Pass", "End": True}}}
    return {"Groups": _task("ec2", "describeSecurityGroups", {"Filters": filters},
                            '{% {"groups": [$states.result.SecurityGroups]} %}', "Revoke"),
            "Revoke": {"Type": "Map", "Items": "{% $states.input.groups %}", "MaxConcurrency": 1, "ItemProcessor": each,
                       "Output": "{% $states.input %}", "Next": "DeleteGroups"},
            "DeleteGroups": {"Type": "Map", "Items": "{% $states.input.groups %}", "MaxConcurrency": 1, "ItemProcessor": last,
                             "Output": {}, "Next": "List"}}


def _empty(bucket: str) -> dict[str, Any]:
    """Deletes every version of every object, some at a time. Where there is no bucket any more, the stack is next."""
    found = ('{% {"objects": [$append($states.result.Versions, $states.result.DeleteMarkers)'
             '.{"Key": Key, "VersionId": VersionId}]} %}')
    looked = _task("s3", "listObjectVersions", {"Bucket": bucket, "MaxKeys": OBJECTS}, found, "AnyObject")
    wiped = {"Bucket": bucket, "Delete": {"Objects": "{% $states.input.objects %}", "Quiet": True}}
    refused = '{% {"refused": $count($states.result.Errors)} %}'
    return {"List": looked | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Remove", "Output": {}}]},
            "AnyObject": _choose("$count($states.input.objects) > 0", "Wipe", "Remove"),
            "Wipe": _task("s3", "deleteObjects", wiped, refused, "Wiped"),
            "Wiped": _choose("$states.input.refused > 0", "Rest", "List")}
