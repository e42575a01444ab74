"""The launchers: two ranks under Spark's TorchDistributor, and failures that are reported as failures."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from contract.documents.card import Preprocess
from contract.errors import NotFinite, NotFound, TrainingFailed, UsageError
from contract.settings import TrainSettings
from tests.command.test_interrupts import is_running
from tests.inference.serving import until
from training.errors import RankGone, RankLost
from training.first_version import FirstVersion
from training.fit import failure, launch
from training.fit.job import Job
from training.train import plan_job

REPO = Path(__file__).resolve().parents[3]


def test_two_ranks_under_torchdistributor_make_a_version(world, spark):
    card = world.train(launcher="spark", ranks=2, epochs=1)
    assert card.settings["ranks"] == 2
    assert card.metrics["epochs"][0]["rows"] == world.made.rows["train"]
    assert card.metrics["epochs"][0]["validation"]["rows"] == world.made.rows["validation"]
    assert not list(world.storage.list("models/digits/versions/1/checkpoints/"))


@pytest.mark.slow("torchrun")
def test_a_rank_that_fails_is_a_failure_with_its_own_error(world, spark):
    job = a_job(world, ranks=2, launcher="torchrun").model_copy(update={"start": "nothing/here.safetensors"})
    with pytest.raises(NotFound, match="no such object"):
        launch.launch(job, world.storage, "torchrun")


def test_a_rank_ends_with_the_process_that_started_it():
    """The one between is killed without a word, as Spark kills the worker of a task."""
    rank = ("import os, time; from command.parent import end_with_parent; end_with_parent(9); "
            "print(os.getpid(), flush=True); time.sleep(60)")
    between = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {rank!r}])"
    process = subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE, text=True, env=os.environ | {
        "PYTHONPATH": str(REPO)})
    pid = int(process.stdout.readline())
    os.kill(pid, 0)
    process.kill()
    process.wait()
    assert process.stdout.read() == ""  # closed when the last that holds it ends
    until(lambda: not is_running(pid), 30)


def test_torch_is_loaded_after_its_threads_were_told_to_wait_passively():
    """It hears that only then. Of what the commands import at their start, nothing loads it."""
    program = ("import os, sys, training.train, training.assess, training.tune; assert 'torch' not in sys.modules\n"
               "class Told:\n"
               "    def find_spec(self, name, *_):\n"
               "        if name == 'torch': sys.exit(os.environ['OMP_WAIT_POLICY'])\n"
               "sys.meta_path.insert(0, Told())\n"
               "training.train.plan_job = lambda *_, **__: __import__('types').SimpleNamespace(network='resnet18', classes=[0])\n"
               "training.train.manifest.load = lambda *_: __import__('types').SimpleNamespace(erased=[])\n"
               "training.train.open_root = training.train.Registry = lambda *_: None\n"
               "training.train.main(['--root', '.', '--model', 'm', '--dataset', 'd', '--parent', 'none'])")
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | {"PYTHONPATH": str(REPO)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.stderr.strip() == "PASSIVE"


def test_an_unknown_launcher_is_named(world):
    with pytest.raises(UsageError, match="got 'slurm'"):
        launch.launch(a_job(world), world.storage, "slurm")


def test_a_launcher_that_lies_is_not_believed(world, monkeypatch):
    monkeypatch.setattr(launch, "launch", lambda *_: None)
    with pytest.raises(TrainingFailed, match="wrote no final document"):
        world.train(epochs=1)


def test_on_a_cluster_ranks_wait_until_a_lost_node_is_replaced(monkeypatch):
    """EMR takes minutes to replace a node. What is set for this machine alone is left out under spark-submit."""
    asked = []

    def get_or_start(name, conf, local):
        asked.append((conf, local))
        return SimpleNamespace(sparkContext=SimpleNamespace(master="yarn"))

    monkeypatch.setattr(launch.session, "get_or_start", get_or_start)
    launch._get_session(2, {})
    ((conf, local),) = asked
    assert conf == {"spark.dynamicAllocation.enabled": "false"} and local[launch.SLOT_LOOKS] == "3"


def a_job(world, **train):
    return plan_job(world.storage, world.registry, world.settings(**train), world.made, None, "1", None,
                  FirstVersion("tests.training.tiny:build", 32))


def test_a_checkpoint_outlives_other_ranks_and_a_smaller_cache_and_no_other_learning_rate(world):
    """Whoever ran out of memory goes on with a smaller cache, which changes no picture (test_loop.py), and loses no epoch."""
    digest = a_job(world).digest()
    assert a_job(world, cache_mib=0, ranks=1, retries=0).digest() == digest != a_job(world, lr=0.1).digest()


def test_a_lost_rank_is_started_again_so_often_and_an_error_of_its_own_never(world, monkeypatch, capsys):
    started = []

    def fails_with(error):
        def start(*_):
            started.append(error)
            raise error

        monkeypatch.setattr(launch, "_start", start)
        with pytest.raises(type(error)):
            launch.launch(a_job(world, retries=2), world.storage, "torchrun")

    fails_with(RankLost("rank 1 was killed"))
    assert len(started) == 3 and "(1 more times at most)" in capsys.readouterr().err
    fails_with(NotFinite("loss"))
    assert len(started) == 4


def test_what_a_rank_says_of_itself_is_told_and_another_ranks_silence_is_not(world):
    job = a_job(world)
    for raised, expected in ((RuntimeError("bug"), "a rank failed: RuntimeError: bug"),
                             (RankGone("peer"), "ended without a result")):
        failure.delete_report(job, world.storage)
        with pytest.raises(type(raised)), failure.report_errors(job.to_dict()):
            raise raised
        told = failure.find_error(job, world.storage, "torchrun", "exit code 1.")
        assert expected in str(told) and isinstance(told, RankLost) == isinstance(raised, RankGone)


@pytest.mark.parametrize(("given", "asked", "device", "threads"), [
    ({"spark.master": "yarn", "spark.task.cpus": "3", "spark.task.resource.gpu.amount": "1"}, {}, "cuda", 3),
    ({"spark.master": "yarn", "spark.task.resource.gpu.amount": "0.5"}, {}, "cuda", 1),
    ({"spark.master": "yarn", "spark.task.cpus": "7"}, {"threads": 2}, "auto", 1),
    ({"spark.master": "local[2]", "spark.task.cpus": "2"}, {}, "auto", 1)])
def test_ranks_get_the_gpu_and_the_threads_of_their_tasks_not_of_this_machine(given, asked, device, threads):
    job = Job(root="r", model="m", dataset="d", classes=["a"], parent=None, ranks=2, threads=1, folder="f", network="n",
              preprocess=Preprocess(resize=8, crop=8), start=None, settings=TrainSettings(**asked).model_dump(mode="json"))
    fitted = launch._fit_to_tasks(job, given)
    assert (fitted.train.device, fitted.threads) == (device, threads)


def test_with_min_ranks_spark_goes_on_with_the_slots_that_are_left(world, monkeypatch, capsys):
    """And waits for all of them where that is not set; no launcher but Spark's counts slots."""
    started, slots = [], iter([3, 1, 9, 9])
    monkeypatch.setattr(launch, "_get_session", lambda *_: None)
    monkeypatch.setattr(launch, "_count_slots", lambda _: next(slots))

    def start(job, *_):
        started.append(job.ranks)
        raise RankLost("rank 1 was killed")

    monkeypatch.setattr(launch, "_start", start)
    for launcher, asked, expected in (("spark", {"min_ranks": 2}, [4, 3, 2, 2]), ("spark", {}, [4] * 4),
                                      ("torchrun", {"min_ranks": 2}, [4] * 4)):
        job = a_job(world, ranks=4, retries=3, launcher=launcher, **asked)
        with pytest.raises(RankLost):
            launch.launch(job, world.storage, launcher)
        assert started == expected
        started.clear()
    assert "It goes on with 3 of 4 ranks (train.min_ranks 2)." in capsys.readouterr().err


def test_slots_are_those_that_spark_counts(spark):
    assert launch._count_slots(spark) == spark.sparkContext.defaultParallelism
