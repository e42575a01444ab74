"""`trueup emr rehearse` end to end on the fake account; killed at any step, the machine in its stack removes everything."""

import contextlib
import importlib
import io
import json
import re
from datetime import timedelta

import boto3
import pytest

from contract import clock
from contract.documents.rehearsal import Rehearsal
from contract.storage import open_root
from emr import cli, needs
from emr.rehearsal import cli as rehearsal_cli
from emr.rehearsal import commands, rehearse
from tests.emr.test_emr_cli import account  # noqa: F401  (a fixture)
from tests.fakes.states import States
from tests.pipeline import roots
from tests.pipeline.conftest import fake_stages  # noqa: F401

NAME = "mine-rehearsal"
OPTIONS = ["--set", "emr.subnets=[subnet-1]", "--set", "emr.stack=mine"]


def put_digits(root, model):
    """What pipeline/demo/first_day.py leaves, without pictures."""
    roots.make_root(root, right=120, n=200)
    return {"predictions": 200, "day": roots.DAY, "right": 120}


def start_here(module, argv, settings, until):
    """The commands of a rehearsal in this process."""
    options = dict(zip(argv[::2], argv[1::2], strict=False))
    if module == rehearse.DIGITS:
        return 0, put_digits(options["--root"], options["--model"])
    output = io.StringIO()
    with contextlib.redirect_stdout(output), open("rehearsal.yaml", "w") as file:
        file.write(commands.write_config(settings))
        file.flush()
        code = importlib.import_module(module).main([*argv, "--in-process", "--config", file.name, "--json"])
    return code, commands.read_document(module, code, output.getvalue().encode())


@pytest.fixture
def rehearsed(account, fake_stages, monkeypatch, tmp_path):  # noqa: F811
    """The account, in which commands run in this process and stages take milliseconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(roots, "MODEL", NAME)
    monkeypatch.setattr(rehearse, "start_process", start_here)
    monkeypatch.setitem(needs.ENGINES, "spark", ("--engine", "embedded"))
    account.began = clock.now()
    return account


def told(capsys, *arguments, code=0):
    found = cli.main(["rehearse", *OPTIONS, *arguments, "--json"])
    said = capsys.readouterr()
    assert found == code, said
    return json.loads(said.out), said.err


def list_left(stack=NAME):
    """Everything in the account that a rehearsal could have made."""
    stacks = [s["StackName"] for s in boto3.client("cloudformation").list_stacks()["StackSummaries"]
              if s["StackStatus"] != "DELETE_COMPLETE"]
    buckets = [b["Name"] for b in boto3.client("s3").list_buckets()["Buckets"]]
    roles = [r["RoleName"] for r in boto3.client("iam").list_roles()["Roles"]]
    return [name for name in (*stacks, *buckets, *roles) if name.startswith(stack)]


def test_a_rehearsal_plays_the_whole_turn_and_leaves_nothing(rehearsed, capsys, tmp_path):
    document, said = told(capsys, "--ceiling", "20", "--yes")
    assert [(s["step"], s["state"]) for s in document["steps"]] == [
        (name, "done") for name in ("linked roles", "stack", "packages", "digits", "turn", "end clusters", "bill", "take down")]
    assert [s["stage"] for s in document["stages"]] == ["evaluate", "dataset", "train", "assess"]
    assert {s["state"] for s in document["stages"]} == {"TERMINATED"} and {s["minutes"] for s in document["stages"]} == {12}
    assert document["differed"] == [] and document["error"] is None and list_left() == [] and rehearsed.alive == []
    assert 0 < document["dollars"] < document["ceiling"]["dollars"] and "AWSServiceRole" not in json.dumps(document["steps"])
    assert Rehearsal.parse(json.loads((tmp_path / "rehearsal.json").read_text()), "x").to_dict() == document
    assert "removes itself at" in said and "published" in document["steps"][4]["said"][0]


class Killed(BaseException):
    """SIGKILL: nothing of ours runs afterwards."""


def kill_at(monkeypatch, place):
    """Kills the driver when it comes to that place, whatever it was about to do or to clean up."""
    finish, dead = rehearse.Rehearsing._finish, []

    def die(*_, **__):
        dead.append(place)
        raise Killed

    monkeypatch.setattr(rehearse.Rehearsing, "_finish", lambda self: None if dead else finish(self))
    monkeypatch.setattr("emr.follow.ClusterFollower._clean", lambda *_: None)
    monkeypatch.setattr(place, die)


def play_remover(emr, template):
    """What EventBridge Scheduler starts at its time: the machine of the stack's template, against the account."""
    machine = json.dumps(template["Resources"]["Remover"]["Properties"]["Definition"])
    stack = boto3.client("cloudformation").describe_stacks(StackName=NAME)["Stacks"][0]["StackId"]
    definition = json.loads(machine.replace("${Stack}", stack))
    for state in definition["States"].values():
        state["Resource"] = state.get("Resource", {}).get("Fn::Sub")
    role = template["Resources"]["RemoverRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    may, asked = {action for statement in role for action in statement["Action"]}, []

    def call(service, operation, arguments):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        asked.append(f"{service}:{operation}")
        return getattr(emr if service == "emr" else boto3.client(service), name)(**arguments)

    def wait(seconds):
        for cluster in emr.made.values():
            cluster.state = "TERMINATED" if cluster.state == "TERMINATING" else cluster.state

    end = States(definition, call, wait).run()
    assert {RIGHTS[name] for name in asked} <= may
    return end[0]


RIGHTS = {"emr:listClusters": "elasticmapreduce:ListClusters", "emr:terminateJobFlows": "elasticmapreduce:TerminateJobFlows",
          "s3:listObjectVersions": "s3:ListBucketVersions", "s3:deleteObjects": "s3:DeleteObjectVersion",
          "cloudformation:describeStacks": "cloudformation:DescribeStacks",
          "cloudformation:deleteStack": "cloudformation:DeleteStack"}
KILLS = pytest.mark.slow("kills")


@pytest.mark.parametrize("place", [
    "emr.account.pause",  # a cluster works
    pytest.param("emr.stack._wait", marks=KILLS),  # the stack was just asked for
    pytest.param("emr.rehearsal.rehearse.open_root", marks=KILLS),
    pytest.param("emr.rehearsal.rehearse.publish_package", marks=KILLS),
    pytest.param("emr.rehearsal.rehearse.start_process", marks=KILLS),
    pytest.param("emr.rehearsal.rehearse.read_stages", marks=KILLS),
    pytest.param("emr.rehearsal.take_down.empty_bucket", marks=KILLS),
    pytest.param("emr.stack.remove", marks=KILLS)])
def test_killed_anywhere_and_never_started_again_it_is_gone_after_its_time(rehearsed, monkeypatch, capsys, place):
    with monkeypatch.context() as dying, pytest.raises(Killed):
        kill_at(dying, place)
        cli.main(["rehearse", *OPTIONS, "--ceiling", "20", "--yes"])
    (bucket,) = [name for name in list_left() if re.search(r"-[0-9a-f]{8}$", name)]
    assert NAME in list_left() and (place != "emr.account.pause" or rehearsed.alive)
    open_root(f"s3://{bucket}/rehearsal", create=True).put("logs/late", b"of a cluster")
    template = boto3.client("cloudformation").get_template(StackName=NAME)["TemplateBody"]
    at = template["Resources"]["RemoverSchedule"]["Properties"]["ScheduleExpression"]
    assert clock.now() < clock.parse_moment(f"{at[3:-1]}Z") < clock.now() + timedelta(minutes=181)
    assert play_remover(rehearsed, template) == "Gone"
    assert list_left() == [f"{NAME}-remover"] and rehearsed.alive == []
    capsys.readouterr()
    assert cli.main(["rehearse", "--remove", "--yes", *OPTIONS]) == 0 and list_left() == []
