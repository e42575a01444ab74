"""Two executors in processes of their own, one killed in the middle with all that runs in it, as its machine would be."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyspark
import pytest

from tests.daemons import below, command_line

REPO = Path(__file__).resolve().parents[3]
SETTINGS = {"epochs": 20, "batch": 4, "checkpoint_steps": 20, "threads": 1}
SPARK = ("spark.master=local-cluster[2,1,1024]", "spark.driver.host=127.0.0.1", "spark.driver.bindAddress=127.0.0.1",
         "spark.executor.memory=512m")


def started(world, run, launcher="spark", ranks=2, **settings):
    """`trueup train` with two ranks, by Spark on two executors."""
    sets = [w for k, v in (SETTINGS | {"retries": 0} | settings).items() for w in ("--set", f"train.{k}={v}")]
    conf = [w for pair in SPARK for w in ("--spark-conf", pair)]
    command = [sys.executable, "-m", "training.train", "--root", world.root, "--model", "digits", "--dataset",
               world.made.dataset, "--parent", "none", "--network", "tests.training.tiny:build", "--size", "32",
               "--launcher", launcher, "--ranks", str(ranks), "--run", run, "--json", *sets, *conf]
    env = os.environ | {"PYTHONPATH": str(REPO), "SPARK_HOME": str(Path(pyspark.__file__).parent)}
    return subprocess.Popen(command, env=env, cwd=world.root, stdout=subprocess.PIPE, text=True)


def wait_for_a_checkpoint(process, world, run):
    until = time.monotonic() + 300
    while not any(e.key.endswith(".json") for e in world.storage.list(f"runs/{run}/checkpoints/")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


def kill_an_executor(process, world, run):
    """Once a checkpoint of the run is there."""
    wait_for_a_checkpoint(process, world, run)
    executor = next(pid for pid in below(process.pid) if "CoarseGrainedExecutorBackend" in command_line(pid))
    for pid in [*below(executor), executor]:
        os.kill(pid, signal.SIGKILL)


def ended(process):
    said = process.communicate(timeout=600)[0]
    return process.returncode, json.loads(said)


@pytest.fixture
def undisturbed(world):
    """The sha256 of the weights that nothing disturbs; torchrun's ranks make the same as Spark's, without a JVM."""
    code, document = ended(started(world, "digits/1", launcher="torchrun"))
    assert code == 0
    return document["weights_sha256"]


@pytest.mark.slow("kills")
def test_a_killed_executor_fails_the_run_and_started_again_it_ends_in_the_same_weights(world, undisturbed):
    first = started(world, "digits/2")
    kill_an_executor(first, world, "digits/2")
    code, document = ended(first)
    assert (code, document["error"]["code"]) == (1, "RankLost")
    code, resumed = ended(started(world, "digits/2"))
    assert (code, resumed["weights_sha256"]) == (0, undisturbed)


@pytest.mark.slow("kills")
def test_with_retries_a_killed_executor_is_replaced_and_the_weights_are_the_same(world, undisturbed):
    process = started(world, "digits/2", retries=2)
    kill_an_executor(process, world, "digits/2")
    code, document = ended(process)
    assert (code, document["weights_sha256"]) == (0, undisturbed)


@pytest.mark.slow("kills")
def test_killed_with_all_its_ranks_it_goes_on_with_another_number_of_them(world):
    first = started(world, "digits/2", launcher="torchrun")
    wait_for_a_checkpoint(first, world, "digits/2")
    for pid in [*below(first.pid), first.pid]:
        os.kill(pid, signal.SIGKILL)
    first.communicate()
    code, document = ended(started(world, "digits/2", launcher="torchrun", ranks=3))
    assert code == 0 and ", 20 epochs on 2, then 3 ranks, calibrated on " in document["made_from"]
    card = world.registry.card(document["version"])
    assert [entry["rows"] for entry in card.metrics["epochs"]] == [world.made.rows["train"]] * 20
    assert card.settings["ranks"] == 3


@pytest.mark.slow("kills")
def test_with_min_ranks_training_goes_on_with_the_executors_that_are_left(world):
    """One or two: a local cluster may have started another executor before the slots are counted."""
    process = started(world, "digits/2", retries=2, min_ranks=1)
    kill_an_executor(process, world, "digits/2")
    code, document = ended(process)
    said = document["made_from"].partition(", calibrated on ")[0]
    assert code == 0 and said.endswith(("epochs on 2 ranks", "epochs on 2, then 1 rank"))
    entries = world.registry.card(document["version"]).metrics["epochs"]
    assert [entry["rows"] for entry in entries] == [world.made.rows["train"]] * 20
