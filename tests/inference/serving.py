"""A service that answers over HTTP: in this process (fast), or as the process that `trueup serve` is (to be killed)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import pyarrow.parquet as pq
import uvicorn

from command.load_settings import load
from contract.storage import find_root_id, open_root
from inference.app import create_app
from inference.auth import NoAuth
from inference.outbox.outbox import Outbox
from inference.serve import listen, make_config
from inference.service import Service

REPOSITORY = Path(__file__).parents[2]
IMAGE = {"Content-Type": "image/jpeg"}


@contextmanager
def serving(root: str, outbox: Path, *sets: str, models: tuple[str, ...] = ("m",), keyring=None) -> Iterator[httpx.Client]:
    """A client of a service in this process, on a real socket. `client.service` is the service."""
    settings = load(root=root, overrides=["serve.poll_seconds=0.05", "serve.ship_seconds=0.2", *sets], env={})
    storage = open_root(root, create=True)
    box = Outbox(outbox, storage.root, settings.serve.outbox_bytes, find_root_id(storage))
    service = Service(storage, settings, box, list(models))
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(make_config(create_app(service, keyring or NoAuth()), settings.serve))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    url = "http://{}:{}".format(*listener.getsockname()[:2])
    try:
        until(lambda: server.started, 60)
        with httpx.Client(base_url=url, timeout=30) as client:
            client.service = service
            yield client
    finally:
        server.should_exit = True
        thread.join(60)


def bearer(token: str) -> dict[str, str]:
    """The header of somebody with a key."""
    return {"Authorization": f"Bearer {token}"}


class ServiceProcess:
    """`python -m inference.serve` with a log and a ready file in `folder`; a context kills it at its end if it still runs."""

    def __init__(self, root: str, folder: Path, *options: str, before: str = "") -> None:
        """`before`: Python that the process runs first."""
        self.ready, self.log = folder / f"ready-{time.monotonic_ns()}.json", folder / "log"
        start = ["-c", f"{before}\nimport sys\nfrom inference import serve\nsys.exit(serve.main(sys.argv[1:]))"]
        command = [sys.executable, *(start if before else ["-m", "inference.serve"]), "--root", root, "--model", "m",
                   "--port", "0", "--ready-file", str(self.ready), "--set", "serve.ship_seconds=0.3", *options]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stderr=log, cwd=folder, env=os.environ | {
                "PYTHONPATH": str(REPOSITORY)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def url(self, seconds: float = 120) -> str:
        """Where it answers, once it does."""
        until(lambda: self.ready.exists() or self.process.poll() is not None, seconds)
        assert self.ready.exists(), self.log.read_text()
        return json.loads(self.ready.read_text())["url"]

    def end(self, how: signal.Signals, seconds: float = 90) -> int:
        """Sends the signal and returns the exit code."""
        self.process.send_signal(how)
        return self.process.wait(seconds)


def until(condition, seconds: float = 20.0) -> None:
    """Waits until the condition holds; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def table_rows(root: str, table: str) -> list[dict]:
    """All rows of a table under a root, as they lie in its files."""
    storage = open_root(root, create=True)
    filesystem, base = storage.arrow()
    files = [e.key for e in storage.list(f"{table}/")]
    return [row for key in files for row in pq.ParquetFile(filesystem.open_input_file(f"{base}/{key}")).read().to_pylist()]
