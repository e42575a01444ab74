"""A replay on an S3 over HTTP, as a step starts it: spark-submit, s3a, two executors of a real cluster: `make test-slow K=s3`.

What it finds must be what the same pictures give in one process on a folder.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from contract import layout
from contract.rows.replay import Replay
from contract.storage import open_root
from emr.job import make_request
from emr.requests import add_attempt
from tests.inference.serving import table_rows
from tests.jobs import replayed_root
from tests.prerequisites import need
from tests.standalone import HOME

REPO = Path(__file__).resolve().parents[1]
SAME = ("predictions", "replayed", "agreed", "agreement", "flips", "per_class", "labels", "left_out", "left_out_first")


def name_strongest(row):
    """A disagreement without the last digits of its confidences, which depend on the pictures that were computed together."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def submit(cluster, root, key):
    """What EMR makes of a step: its settings are the cluster's, and the s3a of `make jars` stands for EMR's own."""
    settings = cluster.conf() | {"spark.jars": ",".join(need("s3a")), "spark.pyspark.python": sys.executable}
    conf = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    line = [str(HOME / "bin/spark-submit"), *conf, str(REPO / "emr/step.py"), "--root", root, "--request", key]
    environ = cluster.environ | {"PYSPARK_DRIVER_PYTHON": sys.executable}
    return subprocess.run(line, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.slow("s3")
@pytest.mark.timeout(1200)
def test_a_replay_on_s3_finds_what_one_process_finds_on_a_folder(s3_root, cluster, tmp_root):
    root = f"{s3_root}/a deeper/one=2"
    for place in (root, tmp_root):
        replayed_root.make(place, per_day=6, versions=2)
    _, here = replayed_root.replay_here(tmp_root)
    storage = open_root(root)
    request = make_request("replay", ["--model", "m", "--version", "2", "--as-of", replayed_root.AS_OF],
                           {"emr": {"replay": True}})
    assert request.argv[-2:] == ["--engine", "spark"]
    attempt = add_attempt(storage, "m", request)
    done = submit(cluster, root, attempt.key)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    there = attempt.read_reply().document
    assert there["now"]["computed"] == 8 and there["now"]["workers"] == 2 and there["engine"] == "spark"
    assert {name: there[name] for name in SAME} == json.loads(json.dumps({name: here[name] for name in SAME}))
    assert [name_strongest(row) for row in there["strongest"]] == [name_strongest(row) for row in here["strongest"]]
    assert Replay.load(storage, layout.replay_document("m", there["id"])).replayed == 8
    assert storage.exists(layout.replay_page("m", there["id"]))
    answers = [{r["prediction_id"]: (r["predicted_label"], r["image_uri"]) for r in table_rows(place, "predictions")
                if r["role"] == "replay"} for place in (root, tmp_root)]
    assert answers[0] == answers[1] and len(answers[0]) == 8
    line = [sys.executable, "-m", "jobs.replaying.command", "--root", root, "--model", "m", "--version", "2", "--json",
            "--as-of", replayed_root.AS_OF, "--engine", "embedded"]
    again = subprocess.run(line, env=cluster.environ, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    found = json.loads(again.stdout)
    assert found["now"]["computed"] == 0 and {name: found[name] for name in SAME} == {name: there[name] for name in SAME}
