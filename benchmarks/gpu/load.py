"""Callers for part d: over HTTP from processes of their own, or straight to the batcher."""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.gpu.result import count_cores

CHECKOUT = Path(__file__).resolve().parents[2]
START_S = 90.0


@dataclass
class Answers:
    """What callers saw: milliseconds and moments of good answers, the version of each, and how many failed."""

    milliseconds: list[float] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    def add(self, began: float, version: str) -> None:
        """Counts one good answer."""
        now = time.time()
        self.milliseconds.append(1000 * (now - began))
        self.moments.append(now)
        self.versions[version] += 1

    def figures(self) -> dict[str, Any]:
        """Returns rate, p50, p99, the longest time without an answer, and the versions that answered."""
        times, moments = sorted(self.milliseconds), sorted(self.moments)
        if len(times) < 2:
            return {"answers": len(times), "failed": self.failed}
        gap = max(b - a for a, b in zip(moments, moments[1:], strict=False))
        return {"per_s": len(times) / (moments[-1] - moments[0]), "p50_ms": times[len(times) // 2],
                "p99_ms": times[int(0.99 * len(times))], "longest_gap_ms": 1000 * gap, "answers": len(times),
                "failed": self.failed, "versions": dict(self.versions)}


@contextmanager
def start_service(outbox: Path, root: str, max_batch: int, device: str) -> Iterator[str]:
    """Starts the service in a process of its own; yields its URL."""
    ready, log = outbox.with_suffix(".ready"), outbox.with_suffix(".log")
    env = os.environ | {"TRUEUP_SERVE_MAX_BATCH": str(max_batch), "TRUEUP_SERVE_DEVICE": device, "PYTHONPATH": str(CHECKOUT),
                        "TRUEUP_SERVE_POLL_SECONDS": "0.2"}
    command = [sys.executable, "-m", "inference.serve", "--root", root, "--model", "m", "--port", "0", "--no-auth", "--outbox",
               str(outbox), "--ready-file", str(ready)]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the service did not start: {log.read_text(errors='replace')[-600:]}")
            time.sleep(0.05)
        yield json.loads(ready.read_text())["url"]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_http(url: str, files: Sequence[bytes], callers: int, seconds: float, swap: Callable[[], None] | None = None) -> Answers:
    """Asks from one process, or four where there are cores for them; `swap` is called in the middle."""
    processes = 4 if count_cores() >= 8 else 1
    with tempfile.TemporaryDirectory(prefix="trueup-load-") as folder:
        for n, data in enumerate(files):
            Path(folder, f"{n:03d}.jpg").write_bytes(data)
        command = [sys.executable, "-m", "benchmarks.gpu.load", url, folder, str(max(1, callers // processes)), str(seconds)]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(CHECKOUT)})
                   for _ in range(processes)]
        if swap:
            time.sleep(seconds / 2)
            swap()
        said = [json.loads(process.communicate()[0]) for process in started]
    found = Answers()
    for one in said:
        found.milliseconds += one["milliseconds"]
        found.moments += one["moments"]
        found.versions.update(one["versions"])
        found.failed += one["failed"]
    return found


def ask(url: str, files: Sequence[bytes], callers: int, seconds: float) -> Answers:
    """Asks from threads of this process until the time is over."""
    found, lock, stop = Answers(), threading.Lock(), time.monotonic() + seconds

    def call(n: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        while time.monotonic() < stop:
            n, began = n + callers, time.time()
            status, body = post(connection, files[n % len(files)])
            with lock:
                if status == 200:
                    found.add(began, json.loads(body)["model_version"])
                else:
                    found.failed += 1

    threads = [threading.Thread(target=call, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def post(connection: http.client.HTTPConnection, data: bytes) -> tuple[int, bytes]:
    """Posts a picture; returns status and body, status 0 where no answer came."""
    try:
        connection.request("POST", "/v1/predictions", data, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, b""


def run_direct(predictors: Sequence[Any], files: Sequence[bytes], max_batch: int, callers: int, seconds: float) -> Answers:
    """Asks the batcher as the service does, without HTTP; the second predictor takes over in the middle."""
    from inference.batching import Batcher
    from inference.telemetry import Metrics

    found = Answers()

    async def call(batcher: Batcher, decoders: ThreadPoolExecutor, began: float, n: int) -> None:
        loop = asyncio.get_running_loop()
        while (passed := time.monotonic() - began) < seconds:
            predictor, asked_at, n = predictors[passed > seconds / 2], time.time(), n + callers
            with batcher.announce():
                prepared = await loop.run_in_executor(decoders, predictor.prepare, files[n % len(files)])
            await batcher.submit(predictor, prepared)
            found.add(asked_at, predictor.card.version)

    async def run() -> None:
        batcher = Batcher(max_batch, 0.02, Metrics())
        batcher.start()
        with ThreadPoolExecutor(count_cores()) as decoders:
            began = time.monotonic()
            await asyncio.gather(*(call(batcher, decoders, began, n) for n in range(callers)))
        await batcher.close()

    asyncio.run(run())
    return found


if __name__ == "__main__":
    where, pictures, threads, time_s = sys.argv[1:]
    answers = ask(where, [path.read_bytes() for path in sorted(Path(pictures).iterdir())], int(threads), float(time_s))
    print(json.dumps(vars(answers)))
