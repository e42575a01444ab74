"""Starts the ranks of a job: under Spark's TorchDistributor, under torchrun, or as one rank in this process.

A launcher's word is not trusted: training ended well when, and only when, rank 0 wrote the final document.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import UsageError
from contract.settings import TrainSettings
from contract.stores.store import Storage
from jvm import session, task_store
from training.errors import RankLost
from training.fit import failure
from training.fit.job import Job

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HERE = Path(__file__).resolve().parents[2]
SPARK, TORCHRUN, PROCESS = "spark", "torchrun", "process"
SLOT_LOOKS = "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures"  # 15 s apart
# Barrier tasks and changing numbers of executors exclude each other (SPARK-24942).
FIXED = {"spark.dynamicAllocation.enabled": "false"}
LAST_CHARACTERS = 2000  # of a launcher's error that are shown


def launch(job: Job, storage: Storage, launcher: str, spark_conf: dict[str, str] | None = None) -> None:
    """Runs all ranks to the end, again (train.retries times at most) after one was lost, never after an error of a rank's own.

    Raises what a rank reported (NotFinite, Mismatch, …), or RankLost. UsageError: an unknown launcher.
    """
    if launcher not in (SPARK, TORCHRUN, PROCESS):
        raise UsageError(f"train.launcher: expected {SPARK}, {TORCHRUN} or {PROCESS}, got {launcher!r}.")
    wait_passively()
    for left in range(job.train.retries, -1, -1):
        failure.delete_report(job, storage)
        try:
            _start(job, storage, launcher, spark_conf or {})
            return
        except RankLost as lost:
            if not left:
                raise
            print(f"{lost}\nA rank was lost; training starts again from its checkpoint ({left} more times at most).",
                  file=sys.stderr, flush=True)
            if launcher == SPARK:
                job = _fit_to_slots(job, spark_conf or {})


def wait_passively() -> None:
    """Lets torch's threads sleep while they wait for each other, in this process and its children.

    Called before torch is loaded, which reads the variable only then. Threads that wait actively cost others their cores: on a
    busy machine a step took 10 times the processor.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _start(job: Job, storage: Storage, launcher: str, spark_conf: dict[str, str]) -> None:
    if launcher == PROCESS:
        from training.fit.loop import run

        run(job.to_dict(), alone=True)
    elif launcher == TORCHRUN:
        _run_torchrun(job, storage)
    else:
        _run_spark(job, storage, spark_conf)


def _run_torchrun(job: Job, storage: Storage) -> None:
    with tempfile.TemporaryDirectory(prefix="trueup-train-") as folder:
        path = Path(folder, "job.json")
        path.write_text(json.dumps(job.to_dict()))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={job.ranks}", "-m",
                   "training.rank", str(path)]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
                            "OMP_NUM_THREADS": str(job.threads)}
        code = subprocess.run(command, env=env, stdout=sys.stderr, check=False).returncode
    if code:
        raise failure.find_error(job, storage, TORCHRUN, f"exit code {code}; its words are above.")


def _run_spark(job: Job, storage: Storage, conf: dict[str, str]) -> None:
    spark = _get_session(job.ranks, conf)
    given = dict(spark.sparkContext.getConf().getAll())
    job, gpu = _fit_to_tasks(job, given), _asks_for_gpu(given)
    try:
        _make_distributor(job.ranks, gpu).run(_make_rank_function(), job.to_dict(), str(HERE), task_store.describe(storage))
    except Exception as error:  # Spark wraps a rank's error in one of many kinds
        raise failure.find_error(job, storage, "Spark's TorchDistributor", str(error)[-LAST_CHARACTERS:]) from error


def _asks_for_gpu(given: Mapping[str, str]) -> bool:
    return float(given.get("spark.task.resource.gpu.amount", "0")) > 0


def _fit_to_tasks(job: Job, given: Mapping[str, str]) -> Job:
    """Returns the job with the device and the threads of Spark's tasks."""
    found = find_limits_of_tasks(given, job.train)
    device = {"device": found["device"]} if "device" in found else {}
    return job.model_copy(update={"settings": job.settings | device, "threads": found.get("threads", job.threads)})


def find_limits_of_tasks(given: Mapping[str, str], train: TrainSettings) -> dict[str, Any]:
    """Finds the `device` and the `threads` of Spark's tasks, which may run on other machines than this, where its settings
    (`given`) say more of them than those of training."""
    found: dict[str, Any] = {}
    if _asks_for_gpu(given) and train.device == "auto":  # a rank that cannot use its own GPU is an error
        found["device"] = "cuda"
    elsewhere = not given.get("spark.master", "local").startswith("local[")
    if elsewhere and "spark.task.cpus" in given and not train.threads:
        found["threads"] = int(given["spark.task.cpus"])
    return found


def _fit_to_slots(job: Job, conf: dict[str, str]) -> Job:
    """Returns the job with as many ranks as Spark has slots for at the moment: no more than before, train.min_ranks at least;
    with the same ones where that is not set, for which Spark waits."""
    if job.train.min_ranks is None:
        return job
    ranks = min(job.ranks, max(job.train.min_ranks, _count_slots(_get_session(job.ranks, conf))))
    if ranks < job.ranks:
        print(f"It goes on with {ranks} of {job.ranks} ranks (train.min_ranks {job.train.min_ranks}).", file=sys.stderr,
              flush=True)
    return job.model_copy(update={"ranks": ranks})


def _count_slots(spark: "SparkSession") -> int:
    """Returns how many tasks can run at once on the executors that are there, by their cores and GPUs: the number that Spark
    itself looks at before it starts a barrier stage."""
    context = spark.sparkContext._jsc.sc()
    return int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def _make_distributor(ranks: int, gpu: bool) -> Any:
    """Returns a TorchDistributor whose tasks start their rank themselves.

    Spark's own puts two processes before each rank: a wrapper, which imports pyspark.ml, and torchrun's agent, which imports
    torch. A task has one rank, whose number, peers and address stand in its environment already: they have nothing left to do.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    def start_rank(parameters: dict[str, Any], file: str, *_: Any) -> None:
        import os
        import sys

        os.environ.update(LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")
        TorchDistributor._execute_command([sys.executable, "-u", file],
                                          log_streaming_client=parameters.get("log_streaming_client"))

    class Distributor(TorchDistributor):
        def run(self, train_object: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> Any:
            return self._run(train_object, start_rank, *args, **kwargs)

    # A function, never a file: a file's exit code is dropped. And never local_mode: a crashed rank is hidden there.
    return Distributor(num_processes=ranks, local_mode=False, use_gpu=gpu)


def _make_rank_function() -> Callable[..., Any]:
    """Returns the function of one rank. It is defined inside another, so that it is pickled by value: what Spark ships is not
    importable in the process of a rank, but the folder of a local master is."""

    def rank(job: dict[str, Any], folder: str, at: tuple[str, dict[str, str]]) -> Any:
        import os
        import signal
        import sys

        if os.path.isdir(folder) and folder not in sys.path:
            sys.path.insert(0, folder)
        from command.parent import end_with_parent

        end_with_parent(signal.SIGKILL)  # Spark kills a task without asking, and its rank must not go on
        from command.spans import note_start
        from jvm import task_store
        from training.fit.failure import report_errors
        from training.fit.loop import run

        note_start()
        task_store.adopt(at)
        if os.environ.get("RANK") == "0":
            # TorchDistributor says the first line of a process twice (its log client is not connected by then).
            print(file=sys.stderr, flush=True)
        with report_errors(job):
            return run(job)

    return rank


def _get_session(ranks: int, conf: dict[str, str]) -> "SparkSession":
    """Returns the running session, or one of our own: on spark-submit's master, or `local[ranks]`."""
    # Too few slots should say so soon on this machine; on a cluster they come back when a lost node is replaced, for which
    # Spark's own 40 looks in 10 minutes leave time.
    local = session.HANDS_OUT | {"spark.master": f"local[{max(ranks, 2)}]", "spark.ui.enabled": "false", SLOT_LOOKS: "3",
                                 "spark.ui.showConsoleProgress": "false"}
    return _check_slots(session.get_or_start("trueup train", FIXED | conf, local), ranks)


def _check_slots(spark: "SparkSession", ranks: int) -> "SparkSession":
    """Returns the session. UsageError: its local master has fewer slots than ranks, which would wait for ever."""
    master = spark.sparkContext.master
    if (master or "").startswith("local[") and spark.sparkContext.defaultParallelism < ranks:
        raise UsageError(f"{ranks} ranks need as many slots; Spark runs with {master}. Use --ranks "
                         f"{spark.sparkContext.defaultParallelism}, or start Spark with local[{ranks}].")
    return spark


def count_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_ranks(launcher: str, ranks: int) -> int:
    """Returns the number of ranks that a launcher asked for `ranks` makes: `process` makes one."""
    return 1 if launcher == PROCESS else ranks
