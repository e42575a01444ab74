"""Callers of a running service for `benchmarks.soak`, and the store behind it; they remember what was acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.serving import free_port
from command.parent import end_with_parent
from contract import ids
from tests.conftest import FAKE_AWS
from tests.fakes.fault_proxy import KINDS, FaultProxy
from tests.fakes.s3 import make_bucket
from tests.inference.made_pictures import picture
from tests.inference.serving import IMAGE, until

PICTURES = [picture(n) for n in range(64)]
FAULTY_SHARE = 0.05


class Load:
    """Callers that predict, and label what they predicted, `rate` predictions a second together (0: as fast as they can).

    `http.client` and not httpx: the callers share the machine with the service, and take a quarter of the time.
    """

    def __init__(self, url: str, callers: int, labels: int = 0, rate: float = 0, token: str = "") -> None:
        """`token`: of a key that may predict and label; without it the service must run without keys."""
        self.key = {"Authorization": f"Bearer {token}"} if token else {}
        self.address, self.labels_each, self.pause = urlsplit(url).netloc, labels, callers / rate if rate else 0.0
        self.predictions: list[str] = []
        self.labels: list[str] = []
        self.versions: dict[str, str] = {}  # prediction -> the version that its answer names
        self.refused: list[str] = []
        self.at: list[float] = []
        self.seconds: list[float] = []  # of each prediction, in the order of `at`
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(callers)]
        [t.start() for t in self._threads]

    def _call(self, n: int) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=120)
        due = time.monotonic() + self.pause * random.random()
        try:
            while not self._stop.wait(max(due - time.monotonic(), 0)):
                due = max(due + self.pause, time.monotonic() - 1)  # after a gap it catches up, for a second at most
                self._send_once(connection, n := n + 1)
        except (OSError, http.client.HTTPException) as error:
            if not self._stop.is_set():
                self.refused.append(repr(error))

    def _send_once(self, connection: http.client.HTTPConnection, n: int) -> None:
        mine, began = ids.uuid7(), time.monotonic()
        status, body = post(connection, "/v1/predictions", PICTURES[n % 64], IMAGE | self.key | {"X-Prediction-Id": mine})
        self.at.append(time.monotonic())
        self.seconds.append(self.at[-1] - began)
        if status != 200:
            self.refused.append(f"{status} {body[:200]!r}")
            return
        self.versions[mine] = json.loads(body)["model_version"]
        self.predictions.append(mine)
        if self.labels_each:
            judgements = [{"prediction_id": mine, "label": "a", "labeler": f"p{k}"} for k in range(self.labels_each)]
            status, body = post(connection, "/v1/labels", json.dumps({"labels": judgements}), self.key)
            if status == 201:
                self.labels += json.loads(body)["label_ids"]

    def rows(self) -> int:
        """How many rows were acknowledged."""
        return len(self.predictions) + len(self.labels)

    def end(self) -> None:
        """Waits for the answers that are under way."""
        self._stop.set()
        [t.join(150) for t in self._threads]


def post(connection: http.client.HTTPConnection, path: str, body: bytes | str, headers: dict) -> tuple[int, bytes]:
    """Status and body of the answer to a POST."""
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


@contextmanager
def store(kind: str, folder: Path, hang_s: float = 1.0):
    """(root, what makes it fail). With s3: moto's server behind a proxy, which hangs for `hang_s` when it does.

    `fail(True)` lets the store fail at random, `fail("hang")` in every request and in that way.
    """
    if kind == "folder":
        yield str(folder / "root"), lambda on: None
        return
    os.environ.update(FAKE_AWS)
    moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port := free_port())],
                            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=end_with_parent)
    try:
        with FaultProxy(f"http://127.0.0.1:{port}", hang_s) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            until(lambda: _answers(f"http://127.0.0.1:{port}"), 300)
            make_bucket("soak")
            chance = random.Random(1)

            def fail(on: bool | str) -> None:
                if isinstance(on, str):
                    proxy.fault = lambda *_: on
                    return
                proxy.fault = (lambda *_: chance.choice(KINDS) if chance.random() < FAULTY_SHARE else None) if on \
                    else (lambda *_: None)

            yield "s3://soak/run", fail
            print(json.dumps({"part": "store", "requests": dict(proxy.seen)}), flush=True)
    finally:
        moto.terminate()
        moto.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False
