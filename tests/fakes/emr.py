"""A stateful EMR at the client boundary: clusters progress as they are looked at, and steps really run.

Requests are checked, and faults are told, as tests/fakes/aws_client.py says.
"""

import itertools
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fakes.aws_client import FakeClient

ALIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
BEGAN = datetime.now(UTC)


def throttle(operation="RunJobFlow"):
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)


def lost():
    return ReadTimeoutError(endpoint_url="emr")


class Cluster:
    """One cluster: its request, and how far it has come."""

    def __init__(self, number, request):
        self.id, self.request, self.number = f"j-{number:013d}", request, number
        self.state, self.step_state, self.looks, self.message = "STARTING", "PENDING", 0, ""
        self.ready = True


class FakeEmr(FakeClient):
    """The operations of boto3's EMR client that Trueup uses. `work(args) -> exit code` runs a step's command line."""

    service = "emr"

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.made, self._numbers, self.delay_listing = {}, itertools.count(1), 0
        self.began, self.minutes = BEGAN, 12  # of the first cluster; how long each lives

    @property
    def alive(self):
        return [c for c in self.made.values() if c.state in ALIVE]

    def sleep(self, seconds):
        self.slept += seconds

    def _run_job_flow(self, **request):
        cluster = Cluster(next(self._numbers), request)
        self.made[cluster.id] = cluster
        cluster.hidden = self.delay_listing
        return {"JobFlowId": cluster.id}

    def _list_clusters(self, ClusterStates=(), Marker=None, **_):
        for cluster in self.made.values():
            cluster.hidden -= 1
        found = [c for c in self.made.values() if c.state in ClusterStates and c.hidden < 0]
        place = int(Marker or 0)
        page = {"Clusters": [self._summary(c) for c in found[place:place + 2]]}  # small pages: they have to be followed
        return page | ({"Marker": str(place + 2)} if len(found) > place + 2 else {})

    def _summary(self, cluster):
        timeline = {"CreationDateTime": self.began + timedelta(seconds=cluster.number)}
        if cluster.state.startswith("TERMINATED"):
            timeline["EndDateTime"] = timeline["CreationDateTime"] + timedelta(minutes=self.minutes)
        reason = {"Message": cluster.message} if cluster.message else {}
        return {"Id": cluster.id, "Name": cluster.request["Name"], "LogUri": cluster.request["LogUri"],
                "Tags": cluster.request["Tags"], "Status": {
                    "State": cluster.state, "StateChangeReason": reason, "Timeline": timeline}}

    def _describe_cluster(self, ClusterId):
        cluster = self.made[ClusterId]
        self._progress(cluster)
        return {"Cluster": self._summary(cluster)}

    def _list_steps(self, ClusterId):
        cluster = self.made[ClusterId]
        step = cluster.request["Steps"][0]
        failed = {"FailureDetails": {"Message": "the step failed"}} if cluster.step_state == "FAILED" else {}
        return {"Steps": [{"Id": f"s-{cluster.number}", "Name": step["Name"],
                           "Status": {"State": cluster.step_state, **failed}}]}

    def _list_instances(self, ClusterId, **_):
        """Every machine that the fleets asked for, of the first type of each."""
        cluster = self.made[ClusterId]
        kinds = [fleet["InstanceTypeConfigs"][0]["InstanceType"] for fleet in cluster.request["Instances"]["InstanceFleets"]
                 for _ in range(fleet["TargetOnDemandCapacity"] + fleet["TargetSpotCapacity"])]
        timeline = self._summary(cluster)["Status"]["Timeline"]
        return {"Instances": [{"Id": f"ci-{n}", "InstanceType": kind, "Status": {"State": "TERMINATED", "Timeline": timeline}}
                              for n, kind in enumerate(kinds)]}

    def _progress(self, cluster):
        """One state further with every look: STARTING, BOOTSTRAPPING, RUNNING (the step runs), TERMINATING, TERMINATED."""
        if cluster.state == "STARTING":
            cluster.state = "BOOTSTRAPPING"
        elif cluster.state == "BOOTSTRAPPING":
            cluster.state, cluster.step_state = "RUNNING", "RUNNING"
        elif cluster.state == "RUNNING":
            code = self.work(cluster.request["Steps"][0]["HadoopJarStep"]["Args"])
            if code is None:  # the machine died
                cluster.step_state, cluster.state, cluster.message = "FAILED", "TERMINATING", "lost its primary node"
            else:
                cluster.step_state = "FAILED" if code else "COMPLETED"
                cluster.state = "TERMINATING"
        elif cluster.state == "TERMINATING":
            cluster.state = "TERMINATED_WITH_ERRORS" if cluster.step_state == "FAILED" else "TERMINATED"

    def _cancel_steps(self, ClusterId, StepIds, **_):
        self.made[ClusterId].step_state = "CANCELLED"
        return {}

    def _terminate_job_flows(self, JobFlowIds):
        for name in JobFlowIds:
            if self.made[name].state in ALIVE:
                self.made[name].state = "TERMINATING"
        return {}
