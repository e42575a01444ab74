"""A real server of MLflow, in an environment of its own: what is told to it over HTTP, and what follows when it was away."""

import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version

import httpx
import pytest

from command.tracking.tracking import tell
from command.tracking.versions import log_version, make_key, mirror_state
from contract.registry import Registry
from contract.sections.tracking import TrackFields
from contract.storage import open_root
from tests.command.tracking.mlflows import EXPERIMENT, Mlflow
from tests.command.tracking.test_versions import EPOCHS
from tests.inference.published import publish_tiny
from tests.inference.serving import until
from tests.prerequisites import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import environment  # noqa: E402

pytestmark = pytest.mark.slow("mlflow")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The server's command, of the version that the client has."""
    uv, environ, home = ROOT / ".venv/bin/uv", environment.uv_environment(), tmp_path_factory.mktemp("mlflow") / "env"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, home], check=True, env=environ)
    install = [uv, "pip", "install", "-q", "--python", home / "bin/python", f"mlflow=={version('mlflow-skinny')}"]
    subprocess.run(install, check=True, env=environ)
    return home / "bin/mlflow"


@contextmanager
def serving(command, folder, port):
    """The server over a database and a folder of artifacts, which stay."""
    folder.mkdir(exist_ok=True)
    with open(folder / "log", "ab") as log:
        server = subprocess.Popen([command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                                   "--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination",
                                   folder / "artifacts"], stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        until(lambda: answers(port) or server.poll() is not None, 600)
        assert server.poll() is None, (folder / "log").read_text()[-3000:]
        yield
    finally:
        subprocess.run(["kill", "--", f"-{server.pid}"], check=False)  # its workers, too
        server.wait(60)


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def test_a_server_is_told_over_http_and_again_after_it_was_away(command, tmp_root, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    from benchmarks.serving import free_port

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "280")  # a server that was just started on a busy machine
    address = f"http://127.0.0.1:{(port := free_port())}"
    track = TrackFields(mlflow=address, experiment=EXPERIMENT, seconds=300)
    for weights in (b"1", b"2"):
        publish_tiny(tmp_root, weights=weights, metrics={"epochs": EPOCHS}, settings={"lr": 0.1})
    registry = Registry(open_root(tmp_root), "m")
    asked = object.__new__(Mlflow)
    asked.client = MlflowClient(address, address)
    with serving(command, tmp_path / "server", port):
        told = tell(track, lambda store: log_version(store, registry, registry.card("1")))
        (run,) = asked.runs(make_key(registry, "1"))
        assert told == {"mlflow": address, "run": run.info.run_id} and run.info.status == "FINISHED"
        assert asked.points(run, "validation_loss") == [(1, 2.0), (2, 1.0), (3, 2 / 3)] and run.data.params["lr"] == "0.1"
        assert asked.artifacts(run) == ["card.json", "metrics.jsonl"]
        assert "error" not in tell(track, lambda store: mirror_state(store, registry)) and asked.aliases("m") == {"live": "2"}
    registry.promote("1", by="test", reason="test", expected_live="2")
    assert "error" in tell(track, lambda store: mirror_state(store, registry))
    with serving(command, tmp_path / "server", port):
        assert asked.aliases("m") == {"live": "2"}
        for _ in range(2):
            assert "error" not in tell(track, lambda store: mirror_state(store, registry)) and asked.aliases("m") == {"live": "1"}
        assert len(asked.runs()) == 2 and len(asked.client.search_model_versions("name = 'm'")) == 2
