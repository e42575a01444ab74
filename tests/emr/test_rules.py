"""What an organisation demands of all that is made: a boundary and a path of every role, tags wherever there can be some."""

import json

import pytest

from command.load_settings import load
from contract.settings import EmrSettings
from contract.storage import open_root
from emr import cli, stack
from emr.cluster import locate_role
from emr.requests import add_attempt
from emr.serverless.job import make_job
from emr.template.network import list_endpoints
from emr.template.whole import write_body
from tests.emr.everything import BOUNDARY, ECR, PATH, ROOT, template_of
from tests.emr.test_emr_follow import ASK
from tests.emr.test_emr_requests import made as made_request
from tests.emr.test_first_deploy import Stacks
from tests.emr.test_key import ALL

OWNER, TAGS = "arn:aws:iam::123456789012", {"cost-center": "42", "owner": "ada@b.example"}
RULES = [f"emr.permissions_boundary={BOUNDARY}", f"emr.role_path={PATH}", f"emr.tags={json.dumps(TAGS)}"]
LISTED = [{"Key": key, "Value": value} for key, value in sorted(TAGS.items())]


def of_kind(document, kind):
    return {name: r["Properties"] for name, r in document["Resources"].items() if r["Type"] == f"AWS::{kind}"}


def test_every_role_has_the_boundary_and_the_path():
    document = template_of(*ALL, *RULES)
    roles, profiles = of_kind(document, "IAM::Role"), of_kind(document, "IAM::InstanceProfile")
    assert len(roles) >= 15 and len(profiles) == 7
    assert {(p["PermissionsBoundary"], p["Path"]) for p in roles.values()} == {(BOUNDARY, PATH)}
    assert {p["Path"] for p in profiles.values()} == {PATH}


def test_every_arn_of_a_role_has_the_path():
    """Whoever passes a role passes one of ours: each name after `role/` in a statement is a role's, under its path."""
    document = template_of(*ALL, *RULES)
    names = {f"{PATH[1:]}{p['RoleName']}" for p in of_kind(document, "IAM::Role").values()}
    arns = [text for text in find_texts(document) if ":role/" in text and "aws-service-role" not in text]
    assert len(arns) >= 10 and {text.partition(":role/")[2] for text in arns} <= names
    plain = [text for text in find_texts(template_of(*ALL)) if ":role/" in text and "aws-service-role" not in text]
    assert len(plain) == len(arns) and not [text for text in plain if PATH in text]


def find_texts(value):
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from find_texts(inner)
    elif isinstance(value, str):
        yield value


def test_the_driver_reads_the_demands_as_they_were_set():
    (container,) = template_of(*ALL, *RULES)["Resources"]["DriverTask"]["Properties"]["ContainerDefinitions"]
    environment = {e["Name"]: e["Value"] for e in container["Environment"] if isinstance(e["Value"], str)}
    found = load(env=environment).emr
    assert (found.tags, found.role_path, found.permissions_boundary, found.certificates) == (
        TAGS, PATH, BOUNDARY, "s3://certs/nodes.zip")


def test_requests_name_roles_with_a_path_by_their_arn(tmp_path, monkeypatch):
    monkeypatch.setattr("emr.serverless.account.find_owner", lambda: OWNER)
    sent = made_request(tmp_path, "train", role_path=PATH)
    assert sent["ServiceRole"] == f"{OWNER}:role{PATH}trueup-service"
    assert sent["JobFlowRole"] == f"{OWNER}:instance-profile{PATH}trueup-train"
    assert locate_role(EmrSettings(role_path=PATH), "score") == "trueup/prod/trueup-score"
    assert "sts" in list_endpoints(EmrSettings(create_network=True, role_path=PATH))  # whose account this is
    monkeypatch.setattr("emr.serverless.account.find_owner", lambda: pytest.fail("nobody needs to know"))
    assert made_request(tmp_path, "train")["JobFlowRole"] == "trueup-train"
    assert "sts" not in list_endpoints(EmrSettings(create_network=True))


def test_the_plan_names_them_without_asking_whose_account_it_is(s3_root, monkeypatch, capsys):
    monkeypatch.setattr("emr.serverless.account.find_owner", lambda: pytest.fail("a plan calls nothing"))
    sets = ["--set", f"emr.role_path={PATH}", "--set", "emr.subnets=[subnet-1]"]
    assert cli.main(["plan", "--root", s3_root, "--model", "digits", "--json", *sets]) == 0
    sent = json.loads(capsys.readouterr().out)["stages"][0]["run_job_flow"]
    assert sent["ServiceRole"] == f"arn:aws:iam::<account>:role{PATH}trueup-service"


def test_clusters_applications_and_jobs_have_the_tags(tmp_path):
    sent = made_request(tmp_path, "dataset", tags=TAGS)
    assert [tag for tag in LISTED if tag not in sent["Tags"]] == [] and len(sent["Tags"]) == len(TAGS) + 4
    storage = open_root(str(tmp_path), create=True)
    settings = EmrSettings(compute="serverless", serverless_image=f"{ECR}/workers:1", tags=TAGS)
    asked = make_job(storage, ASK, add_attempt(storage, "digits", ASK), settings, f"{OWNER}:role/trueup-evaluate")
    assert asked.application["tags"].items() >= TAGS.items() and asked.job["tags"].items() >= TAGS.items()
    assert asked.application["tags"]["trueup:stack"] == "trueup"


@pytest.mark.parametrize("start", ["task", "machine"])
def test_what_the_stacks_own_tags_do_not_reach_is_tagged_in_the_template(start):
    chosen = [o for o in ALL if not o.startswith("emr.start")]
    document = template_of(*chosen, *RULES, f"emr.start={start}")
    (group,), (template,) = (of_kind(document, kind).values()
                             for kind in ("AutoScaling::AutoScalingGroup", "EC2::LaunchTemplate"))
    assert [tag | {"PropagateAtLaunch": True} for tag in LISTED] == [t for t in group["Tags"] if t["Key"] in TAGS]
    assert template["LaunchTemplateData"]["TagSpecifications"] == [{"ResourceType": "volume", "Tags": LISTED}]
    assert of_kind(document, "ECS::Service")["Service"]["PropagateTags"] == "SERVICE"
    machine = document["Resources"]["Machine"]["Properties"]["Definition"]["States"]["Run"]["Arguments"]
    assert machine["PropagateTags"] == "TASK_DEFINITION"
    target = document["Resources"]["Schedule"]["Properties"]["Target"]
    assert start == "machine" or target["EcsParameters"]["PropagateTags"] == "TASK_DEFINITION"
    for name in ("MachineRole", *(["SchedulerRole"] if start == "task" else [])):
        (policy,) = document["Resources"][name]["Properties"]["Policies"]
        (tag,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Action"] == ["ecs:TagResource"]]
        assert tag["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}


def test_without_rules_nothing_is_demanded(tmp_path):
    body = write_body(template_of(*ALL))
    assert not [word for word in ("PermissionsBoundary", '"Path"', "PropagateTags", "TagSpecifications") if word in body]
    assert len(made_request(tmp_path, "dataset")["Tags"]) == 4


class Updates(Stacks):
    """CloudFormation that makes a stack, then updates it; what was asked of it."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def create_stack(self, **arguments):
        self.sent.append(arguments)
        self.made = 1  # the first one fails there
        return super().create_stack(**arguments)

    def update_stack(self, **arguments):
        self.sent.append(arguments)


def test_the_stack_has_the_tags_and_loses_them(monkeypatch):
    stacks = Updates()
    monkeypatch.setattr(stack, "connect", lambda: stacks)
    monkeypatch.setattr(stack, "make_roles", lambda *_: [])
    for tags in (TAGS, {}):
        stack.deploy(ROOT, load(root=ROOT, env={}, overrides=[f"emr.tags={json.dumps(tags)}"]), print)
    assert [sent["Tags"] for sent in stacks.sent] == [LISTED, []]  # none: UpdateStack takes away those of before


@pytest.mark.parametrize(("name", "wrong", "words"), [
    ("tags", {"aws:x": "1"}, "are AWS's own"), ("tags", {"AWS:x": "1"}, "are AWS's own"), ("tags", {"Name": "x"}, "gives this"),
    ("tags", {"trueup:run": "x"}, "gives this one itself"), ("tags", {"a": "x" * 257}, "at most 256, got 1 and 257"),
    ("tags", {"": "x"}, "a name of 1 to 128"), ("tags", {"a": "<b>"}, "expected letters, digits, spaces"),
    ("tags", {f"t{n}": "" for n in range(45)}, "expected at most 44"),
    ("role_path", "trueup/", "begins and ends with a slash"), ("role_path", "/a b/", "begins and ends with a slash"),
    ("role_path", f"/{'x' * 511}/", "at most 512 letters"), ("permissions_boundary", "edge", "expected the ARN of a policy"),
    ("certificates", "s3://b/x.pem", "expected a zip file of PEM files")])
def test_what_aws_would_refuse_is_refused_with_words(name, wrong, words):
    with pytest.raises(ValueError, match=words):
        EmrSettings(**{name: wrong})
