"""The remover of a rehearsal: its machine played with a real JSONata against an account, its rights, its template."""

import json
from datetime import UTC, datetime
from itertools import count

import pytest
from cfnlint.api import lint
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from command.load_settings import load
from contract.errors import UsageError
from emr.rehearsal import rights
from emr.rehearsal.removal_machine import define_machine
from emr.rehearsal.small import make_settings
from emr.rehearsal.template import SCHEDULE, Removal, make_rehearsal_template
from emr.template.whole import write_body
from tests.emr.everything import BOUNDARY, KEY, PATH
from tests.fakes.states import States

ROOT, NAME, BUCKET = "s3://trueup-rehearsal-1a2b3c4d/rehearsal", "trueup-rehearsal", "trueup-rehearsal-1a2b3c4d"
AT = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)
NETWORK = ["emr.create_network=true", "emr.nat=true"]
DEMANDS = [f"emr.kms_key={KEY}", f"emr.permissions_boundary={BOUNDARY}", f"emr.role_path={PATH}"]


def made(*overrides):
    settings = make_settings(load(root="s3://b/p", model="m", env={}, overrides=overrides), ROOT)
    return make_rehearsal_template(Removal(ROOT, settings, AT))


class Account:
    """Clusters, a bucket with versions, a network's groups, a stack that is deleted some looks after it was asked to be."""

    def __init__(self, clusters=(), objects=0, network=False, late=0, broken=()):
        self.clusters = {f"j-{n}": [name, "RUNNING"] for n, name in enumerate(clusters)}
        self.objects = [{"Key": f"k{n}", "VersionId": f"v{n}", "ETag": "e" * 32, "Size": n} for n in range(objects)]
        self.markers = [{"Key": "gone", "VersionId": "m1"}] if objects else []
        self.groups = {f"sg-{n}": [["rule"], ["rule"]] for n in range(2)} if network else {}
        self.network, self.state, self.late, self.bucket = network, "CREATE_COMPLETE", late, True
        self.broken, self.asked, self.ticks = list(broken), [], count()

    def __call__(self, service, operation, arguments):
        self.asked.append((service, operation))
        if self.broken and self.broken[0] == operation:
            self.broken.pop(0)
            raise RuntimeError(f"{operation}: Rate exceeded")
        return getattr(self, operation)(**arguments)

    def pass_time(self, seconds):
        next(self.ticks)
        for cluster in self.clusters.values():
            cluster[1] = "TERMINATED" if cluster[1] == "TERMINATING" else cluster[1]
        if self.state == "DELETE_IN_PROGRESS":
            if self.late:  # a node's last log, after the bucket was emptied
                self.late -= 1
                self.objects.append({"Key": "logs/late", "VersionId": "late"})
            working = [f"trueup {NAME} train-1 1", "RUNNING"] in self.clusters.values()
            blocked = self.objects or self.markers or self.groups or working
            self.state = "DELETE_FAILED" if blocked else "DELETE_COMPLETE"

    def listClusters(self, ClusterStates, Marker=None):  # noqa: N802
        living = [{"Id": i, "Name": name} for i, (name, state) in self.clusters.items() if state in ClusterStates]
        place = int(Marker or 0)
        return {"Clusters": living[place:place + 2]} | ({"Marker": str(place + 2)} if len(living) > place + 2 else {})

    def terminateJobFlows(self, JobFlowIds):  # noqa: N802
        assert all(self.clusters[i][0].startswith(f"trueup {NAME} ") for i in JobFlowIds), "AccessDenied: somebody else's"
        for i in JobFlowIds:
            self.clusters[i][1] = "TERMINATING" if self.clusters[i][1] == "RUNNING" else self.clusters[i][1]
        return {}

    def describeStacks(self, StackName):  # noqa: N802
        network = [{"OutputKey": "Network", "OutputValue": "vpc-1"}] if self.network else []
        outputs = [{"OutputKey": "Topic", "OutputValue": "t"}, *network]
        return {"Stacks": [{"StackStatus": self.state, "Outputs": outputs}]}

    def describeSecurityGroups(self, Filters):  # noqa: N802
        assert Filters[0] == {"Name": "vpc-id", "Values": ["vpc-1"]}
        return {"SecurityGroups": [{"GroupId": i, "IpPermissions": a, "IpPermissionsEgress": b}
                                   for i, (a, b) in self.groups.items()]}

    def revokeSecurityGroupIngress(self, GroupId, IpPermissions):  # noqa: N802
        self.groups[GroupId][0] = []
        return {"Return": True}

    def revokeSecurityGroupEgress(self, GroupId, IpPermissions):  # noqa: N802
        self.groups[GroupId][1] = []
        return {"Return": True}

    def deleteSecurityGroup(self, GroupId):  # noqa: N802
        if any(rules for pair in self.groups.values() for rules in pair):
            raise RuntimeError("DependencyViolation")
        del self.groups[GroupId]
        return {}

    def listObjectVersions(self, Bucket, MaxKeys):  # noqa: N802
        if not self.bucket:
            raise RuntimeError("NoSuchBucket")
        page = {"Versions": self.objects[:MaxKeys]} if self.objects else {}
        return page | ({"DeleteMarkers": self.markers} if self.markers and not self.objects else {})

    def deleteObjects(self, Bucket, Delete):  # noqa: N802
        assert set(Delete) == {"Objects", "Quiet"} and set(Delete["Objects"][0]) == {"Key", "VersionId"}
        gone = {o["VersionId"] for o in Delete["Objects"]}
        self.objects = [o for o in self.objects if o["VersionId"] not in gone]
        self.markers = [o for o in self.markers if o["VersionId"] not in gone]
        return {}

    def deleteStack(self, StackName):  # noqa: N802
        self.state = "DELETE_IN_PROGRESS"
        return {}

    @property
    def empty(self):
        return not (self.objects or self.markers or self.groups) and self.state == "DELETE_COMPLETE"


def play(account, network=False):
    definition = json.loads(json.dumps(define_machine(BUCKET, f"trueup {NAME} ", network)).replace("${AWS::Partition}", "aws"))
    for state in _tasks(definition):
        state["Resource"] = state["Resource"]["Fn::Sub"]
    return States(definition, account, account.pass_time).run()[0]


def _tasks(machine):
    for state in machine["States"].values():
        yield from _tasks(state["ItemProcessor"]) if state["Type"] == "Map" else ()
        if state["Type"] == "Task":
            yield state


OURS = [f"trueup {NAME} train-1 1", f"trueup {NAME} dataset-2 1"]
OTHERS = ["trueup digits train-1 1", "etl", f"trueup {NAME}s x 1"]


@pytest.mark.parametrize("account", [
    {}, {"objects": 1}, {"objects": 450}, {"clusters": OURS}, {"clusters": [*OTHERS, *OURS, *OURS]}, {"objects": 3, "late": 2},
    {"clusters": OURS, "objects": 5, "broken": ["listClusters"] * 5},
    {"clusters": OURS, "objects": 5, "broken": ["terminateJobFlows"] * 4},
    {"objects": 5, "broken": ["deleteObjects"] * 9}, {"objects": 5, "broken": ["deleteStack"] * 4},
    {"objects": 5, "broken": ["describeStacks"] * 4}, {"objects": 5, "broken": ["listObjectVersions"] * 4}])
def test_whatever_it_finds_it_leaves_nothing(account):
    found = Account(**account)
    assert play(found) == "Gone" and found.empty
    left = {name: state for name, state in found.clusters.values()}
    assert {name for name, state in left.items() if state == "RUNNING"} == set(account.get("clusters", ())) & set(OTHERS)


@pytest.mark.parametrize("broken", [[], ["revokeSecurityGroupIngress"] * 4, ["deleteSecurityGroup"] * 4])
def test_emrs_groups_go_before_the_network(broken):
    found = Account(clusters=OURS, objects=2, network=True, broken=broken)
    assert play(found, network=True) == "Gone" and found.empty
    without = Account(objects=2, network=False)
    assert play(without, network=True) == "Gone" and ("ec2", "describeSecurityGroups") not in without.asked


def test_a_bucket_that_is_gone_is_no_hindrance():
    found = Account()
    found.bucket = False
    assert play(found) == "Gone"


def test_clusters_end_while_their_roles_are_there():
    found = Account(clusters=OURS)
    play(found)
    first = found.asked.index(("cloudformation", "deleteStack"))
    assert ("emr", "terminateJobFlows") not in found.asked[first:]


def test_cfn_lint_finds_nothing():
    assert [f"{m.rule.id} {m.message}" for m in lint(write_body(made(*NETWORK)), None, ["eu-west-1"])] == []


@pytest.mark.parametrize("more", [[], NETWORK, ["emr.create_network=true"]])
def test_nothing_is_kept_but_one_role(more):
    resources = made(*more)["Resources"]
    assert [n for n, r in resources.items() if "DeletionPolicy" in r or "UpdateReplacePolicy" in r] == ["RemoverRole"]
    # The time runs before anything that costs is there, and what counts it is deleted last.
    remover = {"RemoverRole", "Remover", "RemoverStart", SCHEDULE}
    assert all(SCHEDULE in r["DependsOn"] for n, r in resources.items() if n not in remover)
    named = json.dumps([r for n, r in resources.items() if n in remover])
    assert not [n for n in set(resources) - remover if f'"Ref": "{n}"' in named or f'["{n}", "Arn"]' in named]
    assert resources[SCHEDULE]["Properties"]["ScheduleExpression"] == "at(2026-11-29T12:30:00)"


@pytest.mark.parametrize("more", [[], NETWORK, ["emr.create_network=true"], DEMANDS])
def test_the_remover_may_delete_every_resource_by_what_its_handler_declares(more):
    resources = made(*more)["Resources"]
    (policy,) = resources["RemoverRole"]["Properties"]["Policies"]
    may = {action for s in policy["PolicyDocument"]["Statement"] for action in s["Action"]}
    for kind in {r["Type"] for r in resources.values()}:
        needed = set(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["handlers"]["delete"]["permissions"])
        # The registry names it; IAM has no such action (AWS's service reference, of which cfn-lint keeps a copy).
        assert needed - may <= {"vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation"}, kind


def test_the_remover_touches_nothing_but_the_rehearsal():
    (policy,) = made(*NETWORK)["Resources"]["RemoverRole"]["Properties"]["Policies"]
    reads = ("Describe", "List", "Get")
    changing = [statement for statement in policy["PolicyDocument"]["Statement"]
                if not all(action.partition(":")[2].startswith(reads) for action in statement["Action"])]
    assert len(changing) >= 4
    for statement in changing:
        for resource in statement["Resource"]:
            text = resource["Fn::Sub"] if isinstance(resource, dict) else resource
            assert NAME in text or "ResourceTag" in json.dumps(statement["Condition"]), statement
    trust = made()["Resources"]["RemoverRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert json.dumps(trust[0]["Condition"]["ArnLike"]).endswith(f'stateMachine:{NAME}-remover"}}}}')


def test_what_an_organisation_demands_is_demanded_of_the_remover_too():
    resources = made(*DEMANDS)["Resources"]
    roles = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::IAM::Role"]
    assert {(role["PermissionsBoundary"], role["Path"]) for role in roles} == {(BOUNDARY, PATH)}
    (policy,) = resources["RemoverRole"]["Properties"]["Policies"]
    on = {r["Fn::Sub"] for s in policy["PolicyDocument"]["Statement"] for a in s["Action"] if a.startswith("iam:")
          for r in s["Resource"]}
    assert {text.partition("AccountId}:")[2] for text in on} == {f"role{PATH}{NAME}-*", f"instance-profile{PATH}{NAME}-*"}


def test_what_it_cannot_delete_is_not_made():
    with pytest.raises(UsageError, match="got some that make AWS::Lambda::Function"):
        rights.make_statements(NAME, BUCKET, ["AWS::Lambda::Function", "AWS::S3::Bucket"])
    with pytest.raises(UsageError, match="emr.compute: serverless: expected clusters"):
        made("emr.compute=serverless")
