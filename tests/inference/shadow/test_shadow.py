"""The shadow computes every answered picture under the same id, harms no answer, and sheds before it delays."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
import torch
from safetensors.torch import save

from contract import ids
from contract.deciding import changes
from contract.documents.card import Preprocess
from contract.registry import Registry
from contract.storage import open_root
from inference.live.loading import load_version
from inference.model.preprocess import inspect
from inference.model.strip_metadata import strip_metadata
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, serving, table_rows, until
from tests.inference.shadow import own_networks

OWN = "tests.inference.shadow.own_networks"
PROMPT = "from inference.shadow import process\nprocess.WORKER = 'tests.inference.shadow.prompt_worker'"


def publish(root, **second):
    """Version 1 is live, 2 is the shadow."""
    publish_tiny(root, seed=1)
    publish_tiny(root, seed=2, **second)
    registry = Registry(open_root(root), "m")
    registry.promote("1", by="test", reason="test", expected_live="2")
    changes.set_alias(registry, "shadow", "2", by="test", reason="test")
    return registry


def publish_own(root, how):
    torch.manual_seed(2)
    weights = save(getattr(own_networks, how)(3).state_dict())
    return publish(root, weights=weights, network=f"{OWN}:{how}")


def rows_of(root, role):
    return {row["prediction_id"]: row for row in table_rows(root, "predictions") if row["role"] == role}


def post(client, n, **headers):
    answer = client.post("/v1/predictions", content=picture(n), headers=IMAGE | headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def compute(registry, version, data):
    """What a version says of a picture, by itself: its labels with their probabilities, best first."""
    predictor = load_version(registry, version, "cpu", 1)
    kept, _ = strip_metadata(data, inspect(data, 10**8))
    (row,) = predictor.probabilities(predictor.stack([predictor.prepare(kept)]))
    return predictor.top(row, 5)


def metric(client, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in client.get("/metrics").text.splitlines() if line.startswith(name))


def wait_for_shadow(client):
    """Until it is loaded: what is answered before has no row of it."""
    until(lambda: client.service.shadows["m"].version is not None, 60)


def test_the_shadow_answers_by_its_own_preprocessing_and_classes(tmp_root, tmp_path):
    registry = publish(tmp_root, classes=("a", "b", "c", "d"), preprocess=Preprocess(resize=40, crop=38))
    with serving(tmp_root, tmp_path / "outbox") as client:
        wait_for_shadow(client)
        assert client.get("/health/ready").json()["models"]["m"]["shadow"]["version"] == "2"
        answers = {post(client, n)["prediction_id"]: n for n in range(9)}
        post(client, 3, **{"X-Attributes": json.dumps({"camera": "west"}), "X-Request-Id": "r"})
        until(lambda: len(rows_of(tmp_root, "shadow")) == 10, 60)
        assert metric(client, 'trueup_beside_rows_total{model="m",role="shadow",version="2"}') == 10
    live, shadow = rows_of(tmp_root, "live"), rows_of(tmp_root, "shadow")
    assert live.keys() == shadow.keys() and len(table_rows(tmp_root, "predictions")) == 20
    card = registry.card("2")
    for id_, n in answers.items():
        expected = compute(registry, "2", picture(n))
        row = shadow[id_]
        assert (row["model_version"], row["weights_sha256"]) == ("2", card.weights_sha256)
        assert row["preprocess_hash"] == card.preprocess.hash() != live[id_]["preprocess_hash"]
        assert row["top_labels"] == [label for label, _ in expected] and row["predicted_label"] == expected[0][0]
        assert row["top_probabilities"] == pytest.approx([p for _, p in expected], abs=1e-5)
        for same in ("predicted_at", "image_sha256", "image_uri", "width", "height", "bytes", "client", "model"):
            assert row[same] == live[id_][same]
    (asked,) = [id_ for id_, row in live.items() if row["request_id"] == "r"]
    assert dict(shadow[asked]["attributes"]) == {"camera": "west"} and shadow[asked]["latency_ms"] is None


@pytest.mark.slow("process")
def test_a_retry_gets_the_live_answer_and_no_second_shadow(tmp_root, tmp_path):
    publish(tmp_root)
    id_ = ids.uuid7()
    with serving(tmp_root, tmp_path / "outbox") as client:
        wait_for_shadow(client)
        answers = [post(client, 1, **{"X-Prediction-Id": id_}) for _ in range(3)]
        until(lambda: len(rows_of(tmp_root, "shadow")) == 1, 60)
        answers.append(post(client, 1, **{"X-Prediction-Id": id_}))
        post(client, 2)
        until(lambda: len(rows_of(tmp_root, "shadow")) == 2, 60)
    assert all(a == answers[0] and a["model_version"] == "1" for a in answers)
    assert len(table_rows(tmp_root, "predictions")) == 4


@pytest.mark.parametrize(("how", "shed"), [
    ("build_slow", "queue"), pytest.param("build_failing", "failed", marks=pytest.mark.slow("process")),
    pytest.param("build_deadly", "failed", marks=pytest.mark.slow("process"))])
def test_a_shadow_that_misbehaves_delays_no_answer(tmp_root, tmp_path, monkeypatch, how, shed):
    publish_own(tmp_root, how)
    monkeypatch.setattr("inference.shadow.waiting.MOST_PICTURES", 2)
    with serving(tmp_root, tmp_path / "outbox", "serve.max_batch=2") as client:
        until(lambda: client.service.shadows["m"]._process is not None, 60)
        for n in range(12):
            post(client, n)
        until(lambda: metric(client, f'trueup_shadow_shed_total{{model="m",why="{shed}"}}') > 0, 60)
        ready = client.get("/health/ready").json()
        assert ready["ready"] and ready["models"]["m"]["shadow"]["shed"] > 0
        assert metric(client, "trueup_stage_seconds_count{stage=\"total\"}") == 12
    assert len(rows_of(tmp_root, "live")) == 12


def test_a_shadow_that_cannot_be_loaded_is_named(tmp_root, tmp_path):
    publish_own(tmp_root, "build_slow")
    open_root(tmp_root).delete("models/m/versions/2/weights.safetensors")
    with serving(tmp_root, tmp_path / "outbox") as client:
        until(lambda: client.get("/health/ready").json()["models"]["m"]["shadow"] is not None)
        found = client.get("/health/ready").json()
        assert found["ready"] and found["models"]["m"]["shadow"]["version"] is None
        assert found["models"]["m"]["shadow"]["refused"]["version"] == "2"
        assert post(client, 1)["model_version"] == "1"


@pytest.mark.slow("process")
def test_an_outbox_that_is_half_full_takes_answers_and_no_shadow(tmp_root, tmp_path):
    publish(tmp_root)
    with serving(tmp_root, tmp_path / "outbox") as client:
        wait_for_shadow(client)
        client.service.outbox.room._used = int(client.service.outbox.room.limit_bytes * 0.6)
        for n in range(3):
            post(client, n)
        until(lambda: metric(client, 'trueup_shadow_shed_total{model="m",why="outbox"}') == 3, 60)
    assert (len(rows_of(tmp_root, "live")), len(rows_of(tmp_root, "shadow"))) == (3, 0)


def test_the_process_takes_only_time_that_nobody_wants():
    waits = [sys.executable, "-c", "import time\nfrom inference.shadow.worker import step_back\nstep_back()\ntime.sleep(60)"]
    process = subprocess.Popen(waits)
    try:
        until(lambda: os.sched_getscheduler(process.pid) == os.SCHED_IDLE, 60)
        assert os.getsid(process.pid) == process.pid  # shares of sessions come before classes
    finally:
        process.kill()
        process.wait()


STARTS_A_WORKER = """
import os, socket, subprocess, sys, time
ours, theirs = socket.socketpair()
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(theirs.fileno()), str(os.getpid())], pass_fds=[theirs.fileno()])
print(child.pid, flush=True)
time.sleep(600)
"""
STANDS_STILL = """
import sys, time
from inference.shadow import worker
worker.step_back = lambda: (print("stands", flush=True), time.sleep(600))
worker.main()
"""


def test_a_process_that_does_not_come_to_compute_ends_with_a_service_that_is_killed():
    """It would hear of the closed socket only when it reads: on a busy machine after minutes, with all its memory."""
    with subprocess.Popen([sys.executable, "-c", STARTS_A_WORKER, STANDS_STILL], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "stands\n"
        parent.kill()
    until(lambda: not os.path.exists(f"/proc/{pid}"), 30)


def test_a_process_whose_service_ended_before_it_began_ends():
    done = subprocess.run([sys.executable, "-m", "inference.shadow.worker", "0", "1"], timeout=120, check=False)
    assert done.returncode == 0


def read_pids(process):
    """The processes that computed for the shadow, by the service's log."""
    return [json.loads(line)["pid"] for line in process.log.read_text().splitlines() if '"shadow computes"' in line]


@pytest.mark.slow("process")
def test_a_service_that_is_killed_goes_on_with_its_shadow_and_counts_each_row_once(tmp_root, tmp_path):
    publish(tmp_root)
    answered = []
    for how in (signal.SIGKILL, signal.SIGTERM):
        with (ServiceProcess(tmp_root, tmp_path, "--no-auth", before=PROMPT) as process,
              httpx.Client(base_url=process.url(), timeout=30) as client):
            before = len(answered)
            until(lambda c=client: (c.get("/health/ready").json()["models"]["m"]["shadow"] or {}).get("version") == "2", 60)
            answered += [post(client, before + n)["prediction_id"] for n in range(5)]
            until(lambda some=set(answered[before:]): some <= rows_of(tmp_root, "shadow").keys(), 120)
            answered += [post(client, before + n)["prediction_id"] for n in range(5, 10)]
            process.end(how)
    pids = read_pids(process)
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))  # each ends with its service
    rows = [row["prediction_id"] for row in table_rows(tmp_root, "predictions") if row["role"] == "shadow"]
    assert len(pids) == 2 and len(rows) == len(set(rows)) and set(rows) <= set(answered)
    assert rows_of(tmp_root, "live").keys() == set(answered)
