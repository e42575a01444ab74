"""`trueup emr rehearse` end to end on the fake account; killed at any step, the machine in its stack removes everything."""

import contextlib
import importlib
import io
import json
import re
from datetime import timedelta

import boto3
import pytest

from command.child import write_settings
from command.load_settings import load
from contract import clock
from contract.documents.rehearsal import Rehearsal, RehearsedStage
from contract.storage import open_root
from emr import cli, needs
from emr.costs.prices import read_prices
from emr.policy.rehearsal import make_rehearsal_policy
from emr.rehearsal import commands, rehearse, small
from emr.rehearsal.ceiling import compute_ceiling
from emr.rehearsal.cli import write_text
from emr.rehearsal.compare import list_differences
from emr.rehearsal.template import Removal, make_rehearsal_template
from emr.stack import StackError
from tests.emr import page
from tests.emr.everything import settings_of
from tests.emr.test_deployer import allows
from tests.emr.test_deployer_calls import list_refused, requests  # noqa: F401  (a fixture)
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
    with contextlib.redirect_stdout(output), write_settings(settings.dump_for_stages()) as path:
        code = importlib.import_module(module).main([*argv, "--in-process", "--config", path, "--json"])
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


def test_a_rehearsal_plays_the_whole_turn_and_leaves_nothing(rehearsed, requests, capsys, tmp_path):  # noqa: F811
    rehearsed.requests.clear()
    document, said = told(capsys, "--ceiling", "20", "--yes")
    asked = [*requests, *(("emr", *one) for one in rehearsed.requests)]
    assert [(s["step"], s["state"]) for s in document["steps"]] == [
        (name, "done") for name in ("linked roles", "stack", "packages", "digits", "turn", "end clusters", "bill", "take down")]
    assert [s["stage"] for s in document["stages"]] == ["evaluate", "dataset", "train", "assess"]
    assert {s["state"] for s in document["stages"]} == {"TERMINATED"} and {s["minutes"] for s in document["stages"]} == {12}
    assert document["differed"] == [] and document["error"] is None and list_left() == [] and rehearsed.alive == []
    assert 0 < document["dollars"] < document["ceiling"]["dollars"] and "AWSServiceRole" not in json.dumps(document["steps"])
    assert Rehearsal.parse(json.loads((tmp_path / "rehearsal.json").read_text()), "x").to_dict() == document
    assert "removes itself at" in said and "published" in document["steps"][4]["said"][0]
    page.check("rehearse", write_text(Rehearsal.parse(document, "x")).replace(NAME, "trueup-rehearsal"))
    policy = make_rehearsal_policy(settings_of(*OPTIONS[1::2]))
    assert list_refused(policy, asked, NAME, "/") == [] and {"ListInstances", "DeleteObjects"} < {name for _, name, _ in asked}
    assert not allows(policy, "s3:DeleteObjectVersion", "arn:aws:s3:::mine/x")
    assert not allows(policy, "cloudformation:DeleteStack", "arn:aws:cloudformation:eu-west-1:123456789012:stack/mine/1")


def test_a_turn_that_fails_is_said_and_taken_down_all_the_same(rehearsed, capsys, monkeypatch):
    def fails(module, argv, settings, until):
        if module == rehearse.CYCLE:
            raise commands.CommandFailed("pipeline.cycle: dataset: no room for g5.xlarge")
        return 0, {"predictions": 1, "day": "2026-11-29", "right": 0}

    monkeypatch.setattr(rehearse, "start_process", fails)
    document, _ = told(capsys, "--ceiling", "20", "--yes", code=1)
    assert document["error"] == "pipeline.cycle: dataset: no room for g5.xlarge" and list_left() == []
    assert document["differed"][-1] == "step turn failed: pipeline.cycle: dataset: no room for g5.xlarge"
    assert document["differed"][0] == "evaluate: planned, no cluster was made" and document["steps"][-1]["state"] == "done"


def test_what_cannot_be_taken_down_is_left_to_the_remover_and_refuses_a_second_one(rehearsed, capsys, monkeypatch):
    def refused(*_):
        raise StackError("CloudFormation: Rate exceeded")

    with monkeypatch.context() as broken:
        broken.setattr(rehearse, "start_process", lambda *_: (0, {"predictions": 1, "day": "d", "right": 0, "status": "refused"}))
        broken.setattr("emr.stack.remove", refused)
        document, _ = told(capsys, "--ceiling", "20", "--yes", code=1)
    assert any(line.startswith(f"stack {NAME}, which removes itself at 20") for line in document["left"])
    second, _ = told(capsys, "--ceiling", "20", "--yes", code=1)
    assert "a rehearsal is at work, or one was killed" in second["error"]["message"]
    told(capsys, "--remove", "--yes")
    assert list_left() == []


@pytest.mark.parametrize(("options", "words"), [
    (["--ceiling", "3", "--yes"], r"ceiling \$3.00: expected \$10\.\d\d or more.*Nothing was made"),
    (["--yes"], "expected --ceiling DOLLARS"), (["--remove"], "expected --yes"),
    (["--ceiling", "20", "--yes", "--set", "emr.gpu_types=[x9.large]"], "expected a price of x9.large")])
def test_what_cannot_be_rehearsed_is_refused_before_anything_is_made(monkeypatch, capsys, tmp_path, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emr.account.connect", lambda *_: pytest.fail("a call"))
    monkeypatch.setattr("emr.stack.connect", lambda *_: pytest.fail("a call"))
    document, _ = told(capsys, *options, code=2)
    assert re.search(words, document["error"]["message"]) and not list(tmp_path.iterdir())


def test_the_ceiling_is_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("click.prompt", lambda text, **_: asked.append(text) or 1.0)
    told(capsys, code=2)
    assert asked == ["Ceiling in dollars"]


def test_the_ceiling_is_limits_times_prices():
    prices = read_prices()

    def most(*more):
        settings = small.make_settings(load(root="s3://b/p", model="m", env={}, overrides=more), "s3://b-1/r")
        removal = Removal("s3://b-1/r", settings, clock.now())
        return compute_ceiling(settings, make_rehearsal_template(removal), prices)

    found = most()
    train = 2 * prices.price_hour(["g5.xlarge"]) + prices.price_hour(["m5.xlarge"]) + 3 * 168 * 0.08 / 730
    assert found["minutes"] == 4 * 30 + 60 + 15 and found["dearest"] == "train"
    assert found["parts"]["clusters"] == pytest.approx(train * 195 / 60, abs=1e-3)
    assert 0 <= found["dollars"] - sum(found["parts"].values()) <= 0.0101
    assert most("emr.stage_minutes={train: 90}")["minutes"] == found["minutes"] + 60
    assert most("emr.spot_nodes=9")["dollars"] == found["dollars"] > most("emr.gpu_types=[]")["dollars"]
    assert most("emr.create_network=true")["parts"]["network"] != found["parts"]["network"]


STAGE = RehearsedStage(
    stage="train", cluster="j-1", state="TERMINATED", planned_nodes={"a/b": 2, "c": 1}, nodes={"a": 1, "b": 1, "c": 1},
    limit_minutes=30, minutes=12, planned_dollars={"low": 0.1, "high": 1.0}, dollars=0.5)


@pytest.mark.parametrize(("changes", "words"), [
    ({}, None), ({"nodes": None}, None), ({"nodes": {"a": 2, "c": 1}}, None),
    ({"nodes": {"a": 2, "d": 1}}, "planned were 2 a/b + 1 c, used 2 a + 1 d"), ({"nodes": {"a": 3, "c": 1}}, "used 3 a"),
    ({"minutes": 31}, "took 31 minutes, its limit is 30"), ({"dollars": 1.5}, "$1.50, planned were $0.10 to $1.00"),
    ({"state": "TERMINATED_WITH_ERRORS"}, "ended as TERMINATED_WITH_ERRORS"), ({"cluster": None}, "no cluster was made")])
def test_what_was_not_as_planned_is_said(changes, words):
    said = list_differences([STAGE.model_copy(update=changes)], [], 10, 5)
    assert said == [] if words is None else len(said) == 1 and words in said[0]


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


def test_gates_are_the_rehearsals_own_since_few_labels_satisfy_no_installations():
    given = ["gates.min_held_out=5000", "gates.min_audit_labels=900", "emr.score_on=s3://camera/new", "emr.notify=a@b.example"]
    settings = small.make_settings(load(root="s3://b/p", model="m", env={}, overrides=given), "s3://b-1/r")
    assert settings.gates == small.GATES and settings.gates.min_held_out <= 78 and settings.gates.min_audit_labels is None
    assert settings.emr.score_on is settings.emr.notify is settings.emr.driver_image is None


def test_commands_are_processes_with_the_rehearsals_settings_that_end_in_time(monkeypatch):
    monkeypatch.setenv("TRUEUP_TRAIN_EPOCHS", "77")  # of the person who rehearses: the settings have been read already
    settings = small.make_settings(load(root="s3://b/p", model="m", env={}, overrides=["evaluate.days=3"]), "s3://b-1/r")
    later = clock.now() + timedelta(minutes=5)
    code, shown = commands.start_process("pipeline.config", [], settings, later)
    values = {row["setting"]: row["value"] for row in shown["settings"]}
    assert (code, values["train.epochs"], values["evaluate.days"], values["emr.stack"]) == (0, 1, 3, "trueup-rehearsal")
    with pytest.raises(commands.CommandFailed, match="expected the command to end before .*emr.stage_minutes"):
        commands.start_process("pipeline.config", [], settings, clock.now() - timedelta(minutes=1))
    with pytest.raises(commands.CommandFailed, match="pipeline.cycle: .*expected"):
        commands.start_process("pipeline.cycle", ["--runner", "emr", "--root", "/nowhere"], settings, later)
