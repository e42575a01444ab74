"""What Spark's settings say of the tasks that trials run in; test_tune.py runs some (slow: spark)."""

import pytest

from training.tuning import on_spark
from training.tuning.claims import Limits

YARN = {"spark.master": "yarn", "spark.task.cpus": "3"}


@pytest.mark.parametrize(("given", "device", "threads", "expected"), [
    ({**YARN, "spark.task.resource.gpu.amount": "1"}, "auto", None, ("cuda", 3)),  # one without its GPU is an error, not slow
    (YARN, "auto", None, ("auto", 3)), (YARN, "cpu", 2, ("cpu", 2)),
    ({"spark.master": "local[4]", "spark.task.cpus": "1"}, "auto", None, ("auto", 2)),
    ({"spark.master": "local[8]"}, "auto", 5, ("auto", 5))])
def test_trials_get_the_gpu_and_the_threads_of_their_tasks(monkeypatch, given, device, threads, expected):
    monkeypatch.setattr(on_spark, "count_cores", lambda: 8)
    limits = Limits(9, 60.0, {"device": device, "cache_mib": 7, "threads": threads})
    fitted = on_spark.fit_to_tasks(limits, 4, given)
    assert (fitted.here["device"], fitted.here["threads"]) == expected
    assert (fitted.trials, fitted.seconds, fitted.here["cache_mib"]) == (9, 60.0, 7)
