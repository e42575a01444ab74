"""`trueup emr` from the command line: deploy and destroy against moto's CloudFormation, stages on the fake EMR."""

import json
import re
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import boto3
import pytest

from emr import cli, needs, package, requirements, stack
from emr.package import write_archive
from jobs.replaying import command
from tests.jobs import replayed_root
from tests.pipeline.roots import DAY, MODEL, make_root

ROOT = Path(__file__).resolve().parents[2]
EMR = ["--set", "emr.subnets=[subnet-1]", "--json"]


def told(capsys, *arguments, code=0):
    """A command's document."""
    found = cli.main(list(arguments))
    said = capsys.readouterr()
    assert found == code, said
    return json.loads(said.out)


def quick(environment, source, folder):
    """A package in no time."""
    (folder / "x").mkdir()
    (folder / "x/a.py").write_text(environment)
    return write_archive(folder / "x", folder / "x.tar.gz")


@pytest.fixture
def account(emr, moto_server, monkeypatch):
    """An empty account: no bucket, no stack, no cluster."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setattr(stack, "SECONDS", 0)
    monkeypatch.setattr(package, "build", quick)
    return emr


def test_an_account_is_filled_and_emptied_again(account, capsys):
    root, name = "s3://fresh-bucket-of-mine/pre", ["--set", "emr.stack=mine"]
    made = told(capsys, "deploy", "--root", root, *EMR, *name)
    assert made["state"] == "CREATE_COMPLETE" and set(made["packages"]) == {"count", "dataset", "train"}
    assert "mine-driver" in {r["RoleName"] for r in boto3.client("iam").list_roles()["Roles"]}
    again = told(capsys, "deploy", "--root", root, *EMR, *name)
    assert again["packages"] == made["packages"]
    assert told(capsys, "status", "--root", root, *EMR, *name)["clusters"] == []
    gone = told(capsys, "destroy", "--yes", "--root", root, *EMR, *name)
    assert gone["state"] in ("deleted", "DELETE_COMPLETE")
    assert "mine-driver" not in {r["RoleName"] for r in boto3.client("iam").list_roles()["Roles"]}


def test_where_packages_cannot_be_built_nothing_is_made(account, capsys, monkeypatch):
    def on_a_mac(name, of=requirements.distribution):
        if name.startswith(("nvidia-", "torch")):  # CUDA's wheels are for Linux
            raise PackageNotFoundError(name)
        return of(name)

    monkeypatch.setattr(requirements, "distribution", on_a_mac)
    root, options = "s3://bucket-of-a-mac/pre", [*EMR, "--set", "emr.stack=mac"]
    said = told(capsys, "deploy", "--root", root, *options, code=2)["error"]["message"]
    assert "expected it to be installed here" in said and "Nothing was made" in said and "Linux" in said
    assert told(capsys, "status", "--root", root, *options)["state"] is None
    assert told(capsys, "deploy", "--no-packages", "--root", root, *options)["state"] == "CREATE_COMPLETE"


def test_destroy_asks_first(account, capsys):
    assert told(capsys, "destroy", "--root", "s3://b/p", *EMR, code=2)["error"]["message"].startswith("expected --yes")


def test_a_stage_runs_on_a_cluster_and_answers(account, s3_root, capsys, monkeypatch):
    monkeypatch.setitem(needs.ENGINES, "spark", ("--engine", "embedded"))
    make_root(s3_root, right=120, n=200)
    options = ["run", "--stage", "evaluate", "--root", s3_root, "--model", MODEL, *EMR, "--", "--from", DAY, "--to", DAY]
    made = told(capsys, *options)
    assert made["versions"]["1"]["labelled"] == 200
    assert told(capsys, *options)["id"] == made["id"] and len(account.made) == 1 and account.alive == []


def test_a_replay_runs_on_a_cluster_once_and_again_under_another_name(account, s3_root, capsys, monkeypatch):
    monkeypatch.setitem(needs.NEEDS, "replay", replace(needs.NEEDS["replay"], arguments=("--engine", "embedded")))
    monkeypatch.setattr(command, "compute", replayed_root.compute_here)
    replayed_root.make(s3_root, per_day=2, versions=2)
    options = ["--stage", "replay", "--root", s3_root, "--model", "m", "--set", "emr.replay=true", *EMR]
    asked = ["--", "--version", "2", "--as-of", replayed_root.AS_OF]
    made = told(capsys, "run", *options, *asked)
    assert (made["version"], made["predictions"], made["replayed"], made["now"]["computed"]) == ("2", 4, 4, 4)
    assert told(capsys, "run", *options, *asked) == made and len(account.made) == 1  # its answer is there
    again = told(capsys, "run", *options, "--run", "again", *asked)
    assert (again["id"], again["now"]["computed"]) == (made["id"], 0)
    assert len(account.made) == 2 and account.alive == []
    (cluster, _) = account.made.values()
    step = cluster.request["Steps"][0]["HadoopJarStep"]["Args"]
    submitted = step[step.index("spark-submit"):]
    assert submitted[1:5] == ["--master", "yarn", "--deploy-mode", "client"] and "--request" in submitted
    assert cluster.request["JobFlowRole"] == "trueup-replay"
    assert len([f for f in cluster.request["Instances"]["InstanceFleets"] if f["InstanceFleetType"] == "CORE"]) == 1
    wrong = told(capsys, "run", *options, "--", "--version", "9", code=2)["error"]["message"]
    assert "expected a version of model 'm'" in wrong and account.alive == []
    without = [word for word in options if word != "emr.replay=true"]
    without.remove("--set")
    assert "emr.replay" in told(capsys, "run", *without, *asked, code=2)["error"]["message"] and len(account.made) == 3


def test_a_stage_that_fails_exits_with_its_code(account, s3_root, capsys, monkeypatch):
    monkeypatch.setitem(needs.ENGINES, "spark", ("--engine", "embedded"))
    make_root(s3_root, right=120, n=200)
    options = ["--root", s3_root, "--model", MODEL, *EMR, "--", "--from", "2026-11-20", "--to", "2026-11-01"]
    made = told(capsys, "run", "--stage", "evaluate", *options, code=2)
    assert made["error"]["code"] == "UsageError" and account.alive == []


def test_living_clusters_are_shown_and_ended(account, s3_root, capsys, tmp_path):
    from tests.emr.test_emr_requests import made

    account.run_job_flow(**made(tmp_path, "train"))
    account.run_job_flow(**{**made(tmp_path, "dataset"), "Name": "somebody else's"})
    shown = told(capsys, "status", "--root", s3_root, *EMR)
    assert [c["name"] for c in shown["clusters"]] == ["trueup digits " + shown["clusters"][0]["name"].split(" ", 2)[2]]
    assert len(told(capsys, "destroy", "--yes", "--root", s3_root, *EMR)["ended"]) == 1
    assert [c.request["Name"] for c in account.alive] == ["somebody else's"]


def test_a_folder_is_refused(tmp_root, capsys):
    assert told(capsys, "plan", "--root", tmp_root, "--model", MODEL, "--json", code=2)["error"]["code"] == "UsageError"


@pytest.mark.parametrize(("recipe", "sources"), [("Dockerfile", package.SOURCES), (
    "emr/serverless.Dockerfile", ("setup.py", "requirements.lock"))])  # nobody looks a package up in there
def test_the_containers_hold_what_packages_are_made_from(recipe, sources):
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / recipe).read_text(), re.M)
    names = {name.rstrip("/") for line in copied for name in line.split() if not name.startswith("tools/")}
    assert names == {*sources, *package.list_folders()}
