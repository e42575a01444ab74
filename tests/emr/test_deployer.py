"""`trueup emr policy` against what CloudFormation's handlers declare to call, IAM's own list of actions, and our own requests."""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from cfnlint.api import lint

from contract.errors import TrueupError
from contract.settings import EmrSettings
from emr import cli
from emr.policy import declared, deployer, documents
from emr.policy.names import holds
from emr.policy.rehearsal import make_rehearsal_policy
from tests.emr.everything import ACCOUNT, BOUNDARY, EVERYTHING, ROOT, VARIANTS, resources_of, settings_of
from tests.emr.handlers import list_types, read_handlers

NAMED = {  # what each resource is to IAM, written down here for the second time
    "AWS::AutoScaling::AutoScalingGroup": lambda p: f"autoscaling:{ACCOUNT}:autoScalingGroup:1-2:autoScalingGroupName/trueup-I-1",
    "AWS::CloudWatch::Alarm": lambda p: f"cloudwatch:{ACCOUNT}:alarm:{p['AlarmName']}",
    "AWS::ApplicationAutoScaling::ScalableTarget":
        lambda p: f"cloudwatch:{ACCOUNT}:alarm:TargetTracking-service/trueup-serve/trueup-serve-AlarmHigh-1",
    "AWS::ECS::CapacityProvider": lambda p: f"ecs:{ACCOUNT}:capacity-provider/trueup-ServiceCapacity-1A2B",
    "AWS::ECS::Cluster": lambda p: f"ecs:{ACCOUNT}:cluster/{p['ClusterName']}",
    "AWS::ECS::Service": lambda p: f"ecs:{ACCOUNT}:service/trueup-serve/{p['ServiceName']}",
    "AWS::ECS::TaskDefinition": lambda p: f"ecs:{ACCOUNT}:task-definition/{p['Family']}:7",
    "AWS::Events::Rule": lambda p: f"events:{ACCOUNT}:rule/{p['Name']}",
    "AWS::IAM::InstanceProfile": lambda p: f"iam::123456789012:instance-profile{p.get('Path', '/')}{p['InstanceProfileName']}",
    "AWS::IAM::Role": lambda p: f"iam::123456789012:role{p.get('Path', '/')}{p['RoleName']}",
    "AWS::Logs::LogGroup": lambda p: f"logs:{ACCOUNT}:log-group:{p['LogGroupName']}",
    "AWS::S3::Bucket": lambda p: f"s3:::{p['BucketName']}",
    "AWS::SNS::Topic": lambda p: f"sns:{ACCOUNT}:{p['TopicName']}",
    "AWS::SQS::Queue": lambda p: f"sqs:{ACCOUNT}:{p['QueueName']}",
    "AWS::Scheduler::Schedule": lambda p: f"scheduler:{ACCOUNT}:schedule/default/{p['Name']}",
    "AWS::StepFunctions::StateMachine": lambda p: f"states:{ACCOUNT}:stateMachine:{p['StateMachineName']}",
}
REHEARSAL = "rehearsal"
# On `*`: their resources have ids that EC2 and its kin make up, or the statement has a condition.
NAMELESS = ("application-autoscaling:", "ec2:", "elasticloadbalancing:")
# Only looked at; and what IAM could narrow by an ARN that nobody knows before it is made.
LOOKED_AT = ("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "elasticmapreduce:DescribeCluster",
             "emr-serverless:GetApplication", "servicequotas:")


@cache
def policy_of(name):
    if name == REHEARSAL:
        return make_rehearsal_policy(settings_of(*EVERYTHING, "emr.compute=clusters"))
    return deployer.make_policy(ROOT, settings_of(*VARIANTS[name]))


@cache
def iam():
    """Service -> IAM's own list of its actions, in small letters, with the kinds of resource that each takes."""
    table = json.loads((files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())
    return {service: {name: found.get("Resources", []) for name, found in about["Actions"].items()}
            for service, about in table.items() if "Actions" in about}


@cache
def kinds(action):
    """What IAM lists under an action, which may have a `*`: name -> kinds of resource; empty for what it does not list."""
    service, _, name = action.partition(":")
    return {listed: takes for listed, takes in iam().get(service, {}).items() if holds(name.lower(), listed)}


def allows(policy, action, resource="*", **context):
    return any(holds(a, action) and holds(r, resource) and _meets(s.get("Condition", {}), context)
               for s in policy["Statement"] for a in s["Action"] for r in s["Resource"])


def _meets(condition, context):
    return all(any(holds(w, context.get(key.partition(":")[2], "")) for w in ([wanted] if isinstance(wanted, str) else wanted))
               for keys in condition.values() for key, wanted in keys.items())


BOUNDED = {"PermissionsBoundary": BOUNDARY}
CONTEXT = {"iam:AttachRolePolicy": BOUNDED | {"PolicyARN": "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"},
           "iam:CreateRole": BOUNDED, "iam:PutRolePolicy": BOUNDED, "iam:PutRolePermissionsBoundary": BOUNDED,
           "iam:CreateServiceLinkedRole": {"AWSServiceName": "elasticmapreduce.amazonaws.com"},
           "iam:PassRole": {"PassedToService": "ec2.amazonaws.com"}}


def arns_for(action, resource, resources):
    """The ARNs that a handler's action is asked for: the resource's own, or those of that service in the template."""
    if action == "iam:CreateServiceLinkedRole":
        return ["arn:aws:iam::123456789012:role/aws-service-role/x/AWSServiceRoleForX"]
    if action == "s3:DeleteObject":
        return [f"arn:aws:s3:::{ROOT.removeprefix('s3://')}/runs/x"]
    if not any(kinds(action).values()) or action.startswith(NAMELESS):
        return ["*"]
    mine = f"{action.partition(':')[0]}:"
    named = [NAMED[r["Type"]](r["Properties"]) for r in (resource, *resources.values()) if r["Type"] in NAMED]
    fitting = [text for text in named if text.startswith(mine)]
    own = NAMED.get(resource["Type"], lambda p: "")(resource["Properties"]).startswith(mine)
    if action == "iam:PassRole":
        own, fitting = False, [text for text in fitting if ":role/" in text]
    return [f"arn:aws:{text}" for text in (fitting[:1] if own else fitting[-1:])]


def test_the_table_is_what_cloudformation_publishes():
    table = declared.read_table()
    assert {kind: read_handlers(kind) for kind in list_types()} == {kind: table.get(kind) for kind in list_types()}, (
        "write it anew: python -m tests.emr.handlers")


def test_a_type_without_data_is_refused():
    with pytest.raises(TrueupError, match=r"expected the permissions of AWS::New::Thing.*python -m tests.emr.handlers"):
        declared.list_actions({"X": {"Type": "AWS::New::Thing", "Properties": {}}})


def test_everything_is_on():
    """A setting that nobody turned on could bring a type, or a property, that no test here sees."""
    plain = EmrSettings()
    changed = {name.partition("=")[0].removeprefix("emr.") for more in VARIANTS.values() for name in more}
    off = {name for name, value in plain.model_dump().items() if value in (None, False, [], {}, 0, "") and name not in changed}
    assert off == set(), "turn it on in tests/emr/everything.py, then: python -m tests.emr.handlers"


@pytest.mark.parametrize("name", VARIANTS)
def test_each_action_of_each_handler_is_allowed(name):
    policy, resources = policy_of(name), resources_of(*VARIANTS[name])
    refused, asked = [], 0
    for logical, resource in resources.items():
        left_out = {a for p, actions in declared.ONLY_FOR.get(resource["Type"], {}).items() for a in actions
                    if p not in resource["Properties"]} | declared.NO_ACTIONS | declared.NOT_OURS.keys()
        for action in sorted({a for actions in read_handlers(resource["Type"]).values() for a in actions} - left_out):
            for arn in arns_for(action, resource, resources):
                asked += 1
                if not allows(policy, action, arn, **CONTEXT.get(action, {})):
                    refused.append(f"{logical}: {action} on {arn}")
    assert refused == [] and asked > 100


def test_what_is_left_out_is_needed_by_nothing_that_the_template_sets():
    declares = {kind: {a for actions in read_handlers(kind).values() for a in actions} for kind in list_types()}
    set_by_us = {(r["Type"], p) for more in VARIANTS.values() for r in resources_of(*more).values() for p in r["Properties"]}
    for kind, by_property in declared.ONLY_FOR.items():
        assert [p for p in by_property if (kind, p) in set_by_us] == [], f"{kind}: its actions are needed now: delete the line"
        assert [a for actions in by_property.values() for a in actions if a not in declares[kind]] == []
    every = set().union(*declares.values())
    assert {a for a in every if not kinds(a)} == declared.NO_ACTIONS
    assert declared.NOT_OURS.keys() <= every and all(declared.NOT_OURS.values())


def test_a_property_that_is_set_brings_its_actions():
    found = declared.list_of_type("AWS::S3::Bucket", {"WebsiteConfiguration": {}})
    assert "s3:PutBucketWebsite" in found and "s3:PutBucketWebsite" not in declared.list_of_type("AWS::S3::Bucket", {})


@pytest.mark.parametrize("name", [*VARIANTS, REHEARSAL])
def test_every_statement_is_one_that_iam_understands(name):
    policy = policy_of(name)
    sids = [s["Sid"] for s in policy["Statement"]]
    assert len(set(sids)) == len(sids) and all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    for s in policy["Statement"]:
        assert s["Effect"] == "Allow" and [a for a in s["Action"] if not kinds(a)] == [], s["Sid"]
        if s["Resource"] != ["*"]:  # an action that takes no resource is never allowed on one
            assert [a for a in s["Action"] if not any(kinds(a).values())] == [], s["Sid"]
        elif "Condition" not in s:
            wide = [a for a in s["Action"] if any(kinds(a).values()) and not a.startswith((*NAMELESS, *LOOKED_AT))]
            assert wide == ["autoscaling:Describe*"] * len(wide), s["Sid"]


def test_cfn_lint_finds_nothing_in_its_documents():
    split = documents.split(policy_of("everything"))
    made = {f"P{n}": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": d}} for n, d in enumerate(split)}
    text = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": made})
    assert [f"{m.rule.id} {m.message}" for m in lint(text, None, ["eu-west-1"])] == []


@pytest.mark.parametrize("name", VARIANTS)
def test_documents_are_as_small_as_iam_takes_them_and_hold_everything(name):
    found = documents.split(policy_of(name))
    assert all(len(re.sub(r"\s", "", json.dumps(d))) <= 6144 for d in found)
    assert [s for d in found for s in d["Statement"]] == policy_of(name)["Statement"]
    assert len(found) == {"plain": 1, "everything": 3, "otherwise": 2, "most": 3, "brought": 2}[name]


def test_a_statement_that_is_too_long_is_cut():
    found = documents.split(policy_of("plain"), most=300)
    assert all(documents.count_characters(d) <= 300 for d in found)
    whole = {(a, r) for s in policy_of("plain")["Statement"] for a in s["Action"] for r in s["Resource"]}
    assert {(a, r) for d in found for s in d["Statement"] for a in s["Action"] for r in s["Resource"]} == whole


def test_the_command_prints_it_and_writes_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUEUP_MODEL", "digits")
    assert cli.main(["policy", "--root", ROOT]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == policy_of("plain") and told.err == ""
    assert cli.main(["policy", "--root", ROOT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == policy_of("plain")
    more = [word for option in EVERYTHING for word in ("--set", option)]
    assert cli.main(["policy", "--root", ROOT, *more]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == policy_of("everything") and "--write FOLDER writes this one as 3" in told.err
    assert cli.main(["policy", "--root", ROOT, *more, "--write", str(tmp_path / "made")]) == 0
    told = capsys.readouterr().out
    written = sorted((tmp_path / "made").iterdir())
    assert [json.loads(p.read_text()) for p in written] == documents.split(policy_of("everything"))
    assert [p.name for p in written] == [f"trueup-deployer-{n}.json" for n in (1, 2, 3)]
    assert all(f"--policy-document file://{path}" in told for path in written)


def test_the_page_shows_what_the_command_says(capsys, tmp_path, monkeypatch):
    page = (Path(__file__).resolve().parents[2] / "docs/deploy.md").read_text()
    every = {s["Sid"] for name in VARIANTS for s in policy_of(name)["Statement"]}
    rights = page.partition("## Rights of whoever deploys\n")[2].partition("\n## ")[0]
    assert {sid for row in re.findall(r"^\| (`[^|]*)\|", rights, re.M) for sid in re.findall(r"`(\w+)`", row)} == every
    monkeypatch.chdir(tmp_path)
    Path("trueup.yaml").write_text(re.search(r"```yaml\n(# trueup\.yaml\n.*?)```", page, re.S)[1])
    assert cli.main(["policy", "--write", "rights"]) == 0
    assert f"```\n{capsys.readouterr().out}```" in page
