"""The real inference service as a process of its own, started and stopped by the demo."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from command.parent import end_with_parent
from contract.clock import CLOCK_FILE
from contract.errors import TrueupError

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class ServiceFailed(TrueupError):
    """The service did not start, or ended by itself."""


@contextmanager
def run_service(root: str, model: str, work: Path, more: Sequence[str] = ()) -> Iterator[str]:
    """Runs `trueup serve` on a free port; yields its address; stops it cleanly, so that its outbox is shipped.

    Its clock is the shifted one in `work`, where there is one; `more`: further options. ServiceFailed.
    """
    ready, log = work / "ready.json", work / "service.log"
    ready.unlink(missing_ok=True)
    arguments = ["--root", root, "--model", model, "--port", "0", "--outbox", str(work / "outbox"),
                 "--ready-file", str(ready), "--set", "serve.ship_seconds=0.5", "--set", "serve.poll_seconds=0.5", *more]
    shifted = {CLOCK_FILE: str(work / "clock")} if (work / "clock").exists() else {}
    # One thread for the network: the machine's other core sends the traffic and, later, trains.
    env = os.environ | {"OMP_NUM_THREADS": "1"} | shifted
    with open(log, "ab") as output:
        process = subprocess.Popen([sys.executable, "-m", "inference.serve", *arguments], stderr=output, stdout=output,
                                   env=env, preexec_fn=end_with_parent)
    try:
        yield _wait_for_address(process, ready, log)
    finally:
        _stop(process, log)


def _wait_for_address(process: subprocess.Popen, ready: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServiceFailed(f"the service did not start (exit code {process.poll()}). The end of {log}:\n{_read_end(log)}")
        time.sleep(0.05)
    return json.loads(ready.read_text())["url"]


def _stop(process: subprocess.Popen, log: Path) -> None:
    if process.poll() is not None:
        raise ServiceFailed(f"the service ended by itself (exit code {process.returncode}). {log} ends:\n{_read_end(log)}")
    process.terminate()
    try:
        code = process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise ServiceFailed(f"the service did not stop within {STOP_SECONDS:.0f} s. {log} ends:\n{_read_end(log)}") from None
    if code not in (0, -15):
        raise ServiceFailed(f"the service stopped with exit code {code}. {log} ends:\n{_read_end(log)}")


def _read_end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
