"""A search for settings as a stage: on a cluster as training has, and the next cluster goes on where one ended."""

from dataclasses import replace

import pytest

from emr import cli, needs
from emr.needs import count_ranks
from emr.requests import Attempt
from tests.emr import searched_root
from tests.emr.test_emr_cli import EMR, account, told  # noqa: F401
from tests.emr.test_emr_requests import fleets, properties
from tests.emr.test_emr_requests import made as made_request
from tests.pipeline.roots import MODEL
from tests.training.tuning.conftest import made  # noqa: F401
from training.tuning.study import Study


class Killed(BaseException):
    """The machine dies."""


@pytest.fixture
def ask(account, s3_root, made, capsys, monkeypatch):  # noqa: F811
    """Runs the stage with the words of its command line and gives its document, or what `read` makes of what it prints. Its
    workers are in this process instead of in Spark's tasks."""
    monkeypatch.setitem(needs.NEEDS, "tune", replace(needs.NEEDS["tune"], arguments=()))
    options = ["--root", searched_root.make(s3_root), "--model", MODEL, "--set", "tune.parallel=3", "--set", "emr.spot_nodes=4"]
    return lambda *asked, code=0, read=told: read(capsys, "run", "--stage", "tune", *options, *EMR, "--",
                                                  *searched_root.OPTIONS, *asked, code=code)


def printed(capsys, *arguments, code=0):
    """What a command prints for people."""
    assert cli.main([word for word in arguments if word != "--json"]) == code
    return capsys.readouterr().out


def describe(document):
    return [(one["trial"], one["state"], one["attempts"]) for one in document["trials"]]


def test_it_runs_on_a_cluster_of_training_and_with_more_trials_it_goes_on(account, ask, made):  # noqa: F811
    first = ask("--trials", "2")
    assert describe(first) == [(1, "completed", 1), (2, "completed", 1)]
    assert ask("--trials", "2") == first and len(account.made) == 1 and account.alive == []
    more = ask("--trials", "3")
    assert more["study"] == first["study"] and len(made.trained) == 3 and describe(more)[:2] == describe(first)
    sent = list(account.made.values())[-1].request
    assert sent["JobFlowRole"] == "trueup-train" and {"Key": "trueup:stage", "Value": "tune"} in sent["Tags"]
    assert {kind: (f["TargetOnDemandCapacity"], f["TargetSpotCapacity"]) for kind, f in fleets(sent).items()} == {
        "MASTER": (1, 0), "CORE": (3, 0)}
    assert [c["InstanceType"] for c in fleets(sent)["CORE"]["InstanceTypeConfigs"]] == ["g5.xlarge"]


def test_whoever_asks_reads_how_to_train_with_the_best(account, ask):  # noqa: F811
    found = ask("--trials", "3")
    assert found["command"] == f"trueup train --model {MODEL} --dataset {searched_root.DATASET} --parent 1 {found['options']}"
    assert ask("--trials", "3", read=printed) == f"tune: done\n{found['command']}\npage: {found['page']}\n"


def test_a_cluster_that_dies_is_continued_by_the_next_one(account, ask, made, monkeypatch):  # noqa: F811
    """In its second trial: nobody gives that up, and no answer is written."""
    inside, configs = account.work, []

    def train(config, epoch):
        configs.append(config["lr"])
        if len(account.made) == 1 and len(configs) == 2:
            raise Killed

    def work(arguments):
        if len(account.made) > 1:
            return inside(arguments)
        with monkeypatch.context() as dead:
            dead.setattr(Attempt, "write_reply", lambda *_: None)
            dead.setattr(Study, "give_up", lambda *_: None)
            inside(arguments)
        return None

    made.before, account.work = train, work
    assert "without an answer of the stage" in ask("--trials", "3", code=1)["error"]["message"] and account.alive == []
    document = ask("--trials", "3")
    assert describe(document) == [(1, "completed", 1), (2, "completed", 2), (3, "completed", 1)]
    assert len(configs) == 4 and configs[1] == configs[2] and len(set(configs)) == 3


def test_each_trial_has_a_node_and_its_gpu_for_itself(tmp_path):
    """And nobody changes their number, since what is trained at the end is trained by ranks together."""
    sent = made_request(tmp_path, "tune", ranks=4)
    spark, limits = properties(sent, "spark-defaults"), sent["ManagedScalingPolicy"]["ComputeLimits"]
    assert (spark["spark.executor.instances"], spark["spark.dynamicAllocation.enabled"]) == ("2", "false")
    assert spark["spark.task.cpus"] == spark["spark.executor.cores"] and spark["spark.task.resource.gpu.amount"] == "1"
    assert limits["MinimumCapacityUnits"] == limits["MaximumCapacityUnits"] == 2
    assert sent["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"][-1] == "gpu"


@pytest.mark.parametrize(("stage", "argv", "expected"), [
    ("train", [], 3), ("train", ["--ranks", "5"], 5), ("train", ["--ranks=5", "--ranks", "6"], 6), ("train", ["--ranks", "x"], 2),
    ("tune", [], 4), ("tune", ["--parallel=7"], 7), ("tune", ["--parallel", "2", "--train"], 3), ("tune", ["--train"], 4),
    ("tune", ["--set", "tune.parallel=6"], 6), ("tune", ["--set=train.ranks=9", "--train"], 9),
    ("train", ["--set", "train.ranks=9", "--ranks", "5", "--set", "train.epochs=8"], 5)])
def test_options_of_the_stage_say_how_many_nodes_it_gets_before_settings_do(stage, argv, expected):
    assert count_ranks(stage, argv, {"train": {"ranks": 3}, "tune": {"parallel": 4}}) == expected
    assert count_ranks(stage, [], {}) == 2
