"""Workers of a search on Spark's executors: one in each task, its trials one after the other, each with one rank.

Tasks need each other for nothing: what a lost one was training is repeated by whoever sees that its worker is dead.
"""

from collections.abc import Mapping
from dataclasses import replace

from contract.settings import TrainSettings, is_submitted
from contract.stores.store import Storage
from contract.tuning.documents import Search
from jvm import session, task_store
from training.fit.launch import count_cores, find_limits_of_tasks, wait_passively
from training.tuning.claims import Limits


def run_on_spark(storage: Storage, search: Search, limits: Limits, parallel: int, conf: Mapping[str, str]) -> None:
    """Runs `parallel` workers as Spark's tasks until no trial is left; on this machine Spark gets as many slots.

    Raises what Spark makes of a worker's error.
    """
    master = {} if is_submitted() else {"spark.master": f"local[{parallel}]"}
    context = session.get_session(master | dict(conf), hands_out=True).sparkContext
    limits = fit_to_tasks(limits, parallel, dict(context.getConf().getAll()))
    at, given = task_store.describe(storage), search.to_dict()
    context.parallelize(range(parallel), parallel).map(lambda _: _work(at, given, limits)).collect()


def fit_to_tasks(limits: Limits, parallel: int, given: Mapping[str, str]) -> Limits:
    """Returns the limits with the device and the threads of Spark's tasks, whose settings are `given`; where these do not say
    their threads, they share the cores of this machine."""
    told = TrainSettings(device=limits.here["device"], threads=limits.here["threads"])
    here = {"threads": told.threads or max(1, count_cores() // parallel)} | find_limits_of_tasks(given, told)
    return replace(limits, here=limits.here | here)


def _work(at: task_store.Where, search: dict[str, object], limits: Limits) -> None:
    wait_passively()
    from training.tuning.worker import Worker

    Worker(task_store.open_there(at), Search.parse(search, "search"), limits).run()
