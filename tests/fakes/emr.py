"""A stateful EMR at the client boundary: clusters progress as they are looked at, and steps really run.

Every request is checked by botocore's own validation. `faults` is a list of (operation, when, error): "before" means that
the request was not carried out, "after" that the response was lost.
"""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import botocore.session
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.validate import ParamValidator

ALIVE = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")
BEGAN = datetime(2026, 11, 20, tzinfo=UTC)
MODEL = botocore.session.get_session().get_service_model("emr")
OPERATIONS = {botocore.xform_name(name): name for name in MODEL.operation_names}


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


class FakeEmr:
    """The operations of boto3's EMR client that Trueup uses. `work(args) -> exit code` runs a step's command line."""

    def __init__(self, work=lambda args: 0, faults=()):
        self.work, self.faults = work, list(faults)
        self.made, self.calls, self.slept = {}, Counter(), 0.0
        self.requests, self._numbers = [], itertools.count(1)
        self.delay_listing = 0

    def __getattr__(self, name):
        if name not in OPERATIONS:
            raise AttributeError(name)

        def call(**arguments):
            self.calls[name] += 1
            self.requests.append((OPERATIONS[name], arguments))
            report = ParamValidator().validate(arguments, MODEL.operation_model(OPERATIONS[name]).input_shape)
            assert not report.has_errors(), report.generate_report()
            fault = self._fault(name)
            if fault and fault[1] == "before":
                raise fault[2]
            answer = getattr(self, f"_{name}")(**arguments)
            if fault:
                raise fault[2]
            return answer

        return call

    def _fault(self, name):
        for fault in self.faults:
            if fault[0] == name:
                self.faults.remove(fault)
                return fault
        return None

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
        made = BEGAN + timedelta(seconds=cluster.number)
        reason = {"Message": cluster.message} if cluster.message else {}
        return {"Id": cluster.id, "Name": cluster.request["Name"], "LogUri": cluster.request["LogUri"],
                "Tags": cluster.request["Tags"], "Status": {
                    "State": cluster.state, "StateChangeReason": reason, "Timeline": {"CreationDateTime": made}}}

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
