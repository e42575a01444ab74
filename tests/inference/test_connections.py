"""Many connections at once: those that say nothing cost nobody an answer, and files that run out lose no row."""

import signal
import socket
from contextlib import ExitStack

import httpx
import psutil
import pytest

from contract import ids
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, table_rows, until

# What the process may have open; it is the process that sets it, as `ulimit -n` does.
FEW_FILES = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))"


def start(root, folder, before="") -> ServiceProcess:
    return ServiceProcess(root, folder, "--no-auth", "--outbox", str(folder / "outbox"), before=before)


def connect(stack: ExitStack, url: str, many: int) -> None:
    """Opens connections that say nothing."""
    host, port = httpx.URL(url).host, httpx.URL(url).port
    for _ in range(many):
        stack.enter_context(socket.create_connection((host, port), timeout=10))


def predict(client: httpx.Client, n: int) -> str:
    """Asks for an answer under an id of its own, which it returns."""
    mine = ids.uuid7()
    answer = client.post("/v1/predictions", content=picture(n), headers=IMAGE | {"X-Prediction-Id": mine})
    assert answer.status_code == 200, answer.text
    return mine


def test_a_thousand_silent_connections_leave_answers_as_they_are(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    with start(tmp_root, tmp_path) as service, ExitStack() as stack, httpx.Client(base_url=service.url(), timeout=30) as client:
        predict(client, 0)
        of_service = psutil.Process(service.process.pid)
        files, memory = of_service.num_fds(), of_service.memory_info().rss
        connect(stack, service.url(), 1000)
        until(lambda: of_service.num_fds() >= files + 1000)
        for n in range(20):
            predict(client, n)
        assert httpx.get(f"{service.url()}/health/ready", timeout=30).status_code == 200  # a new connection, too
        assert of_service.memory_info().rss - memory < 100 << 20  # bytes: 0.1 MB a connection at the most
        stack.close()
        until(lambda: of_service.num_fds() <= files + 10)


@pytest.mark.timeout(180)
def test_files_that_run_out_cost_no_acknowledged_row(tmp_root, tmp_path):
    """Connections take all files that the process may open: it cannot ship then, and does so once they are gone."""
    publish_tiny(tmp_root)
    with start(tmp_root, tmp_path, FEW_FILES) as service, httpx.Client(base_url=service.url(), timeout=60) as client:
        asked = [predict(client, 0)]
        with ExitStack() as stack:
            connect(stack, service.url(), 200)
            asked += [predict(client, n) for n in range(1, 6)]
        asked += [predict(client, n) for n in range(6, 9)]
        assert service.end(signal.SIGTERM) == 0
    assert sorted(row["prediction_id"] for row in table_rows(tmp_root, "predictions")) == sorted(asked)
