"""A whole cycle on an S3 over HTTP, on two executors of a real cluster, each killed once: `make test-slow K=s3`.

Counting is Spark's through s3a; datasets, training and publishing go through boto3. One executor dies while days are
counted, one while two ranks train. What is left must be what an undisturbed cycle leaves, and the same in every engine.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract import layout
from contract.registry import Registry
from contract.storage import open_root
from tests import tiny_root

REPO = Path(__file__).resolve().parents[1]
SETTINGS = {"evaluate.engine": "spark", "train.epochs": 12, "train.batch": 4, "train.checkpoint_steps": 2, "train.threads": 1,
            "dataset.files": 2, "gates.max_drop": 0.99, "gates.max_class_drop": 0.99, "gates.min_held_out": 1}
TOPS = {"trueup.json", "predictions", "labels", "images", "samples", "counts", "items", "evaluations", "datasets",
        "models", "runs"}


def command(module, root, cluster, *options):
    """`python -m module …` on that cluster."""
    settings = SETTINGS | {"spark.conf": json.dumps(cluster.conf())}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    line = [sys.executable, "-m", module, "--root", root, "--model", tiny_root.MODEL, "--json", *sets, *options]
    return {"args": line, "env": cluster.environ | {"PYTHONPATH": str(REPO)}, "stdout": subprocess.PIPE, "text": True}


def evaluated(root, cluster, *options):
    done = subprocess.run(**command("jobs.evaluate", root, cluster, "--full", *options), stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def until(condition, process, seconds=300):
    """What `condition` gives, once it gives something; the process must not end before."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, "the cycle ended before it could be disturbed"
        assert time.monotonic() < limit
        time.sleep(0.1)
    return found


def nth_at_work(cluster, n):
    """The n-th application of the cluster once a task of it runs."""
    found = cluster.applications()[n:n + 1]
    return found[0] if found and any("Running task" in log for log in cluster.executors(found[0]).values()) else None


@pytest.mark.slow("s3")
@pytest.mark.timeout(1800)  # a quiet machine takes a sixth of it
def test_a_whole_cycle_on_s3_outlives_its_executors(s3_root, cluster, tmp_path):
    root = f"{s3_root}/a deeper/one=2"
    storage = open_root(tiny_root.make(root))
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(**command("pipeline.cycle", root, cluster), stderr=said)
    counting = until(lambda: nth_at_work(cluster, 0), process)
    cluster.kill_an_executor(counting)
    checkpoints = f"{layout.run(tiny_root.MODEL, 1)}checkpoints/"
    until(lambda: any(e.key.endswith(".json") for e in storage.list(checkpoints)), process)
    training = cluster.applications()[-1]
    cluster.kill_an_executor(training)
    out, words = process.communicate(timeout=500)[0], (tmp_path / "said").read_text()
    assert process.returncode == 0, words[-4000:]
    assert "A rank was lost; training starts again from its checkpoint" in words
    assert min(len(cluster.executors(app)) for app in (counting, training)) > 2  # others took the place of the dead
    document = json.loads(out)
    assert document["published"] == Registry(storage, tiny_root.MODEL).live() == "2"
    tiny_root.check_readable(storage)
    assert {e.key.split("/")[0] for e in storage.list()} <= TOPS
    window = ("--from", tiny_root.DAY, "--to", tiny_root.DAY, "--as-of", document["as_of"])
    counted = json.loads(storage.read(f"{layout.evaluation(tiny_root.MODEL, document['stages']['evaluate']['id'])}"
                                      "evaluation.json"))
    for engine in (["embedded"], ["mapreduce", "--runner", "local"]):
        again = evaluated(root, cluster, *window, "--engine", *engine)
        assert (again["rows"], again["versions"]) == (counted["rows"], counted["versions"])
    assert counted["engine"] == "spark" and counted["rows"]["vote"] == 60
