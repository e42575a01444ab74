"""A recorded long run of the service: kills under load with a store that fails, swaps under load, mutated images.

    python -m benchmarks.soak [--rows N] [--kills K] [--swaps S] [--requests R] [--mutations M] [--store folder|s3]

Three parts; 0 leaves one out. `--rows` acknowledged rows (predictions and labels) over `--kills` SIGKILLs, then every
acknowledged row is looked for in the bucket: exactly once, or the run fails. `--requests` requests over `--swaps`
changes of the live version: none may fail, and the longest gap between answers is compared with the same load without
swaps. `--mutations` damaged image files: none may be answered with 5xx. With `--store s3` the store is moto's server
behind a proxy that fails in 5% of the requests. Prints one JSON line per part; exit code 1 when one does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq

from contract import ids
from contract.registry import Registry
from contract.storage import open_root
from tests.conftest import FAKE_AWS
from tests.fakes.fault_proxy import KINDS, FaultProxy
from tests.inference.mutations import mutated
from tests.inference.pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, until

PICTURES = [picture(n) for n in range(64)]
FAULTY_SHARE = 0.05
ALLOWED_GAP_S = 0.25


class Load:
    """Callers that predict, and label what they predicted; they remember what was acknowledged and when."""

    def __init__(self, url: str, callers: int, labels: int = 0) -> None:
        self.url, self.labels_each = url, labels
        self.predictions: list[str] = []
        self.labels: list[str] = []
        self.refused: list[str] = []
        self.at: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(callers)]
        [t.start() for t in self._threads]

    def _call(self, n: int) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._stop.is_set():
                try:
                    self._once(client, n := n + 1)
                except httpx.TransportError as error:
                    if not self._stop.is_set():
                        self.refused.append(repr(error))
                    return

    def _once(self, client: httpx.Client, n: int) -> None:
        mine = ids.uuid7()
        answer = client.post("/v1/predictions", content=PICTURES[n % 64], headers=IMAGE | {"X-Prediction-Id": mine})
        self.at.append(time.monotonic())
        if answer.status_code != 200:
            self.refused.append(f"{answer.status_code} {answer.text[:200]}")
            return
        self.predictions.append(mine)
        if self.labels_each:
            judgements = [{"prediction_id": mine, "label": "a", "labeler": f"p{k}"} for k in range(self.labels_each)]
            labels = client.post("/v1/labels", json={"labels": judgements})
            if labels.status_code == 201:
                self.labels += labels.json()["label_ids"]

    def rows(self) -> int:
        return len(self.predictions) + len(self.labels)

    def end(self) -> None:
        self._stop.set()
        [t.join(90) for t in self._threads]


@contextmanager
def store(kind: str, folder: Path):
    """(root, what makes it fail); `fail(True)` lets the store fail at random."""
    if kind == "folder":
        yield str(folder / "root"), lambda on: None
        return
    os.environ.update(FAKE_AWS)
    moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port := free_port())],
                            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
            os.environ["AWS_ENDPOINT_URL"] = proxy.url
            until(lambda: _answers(f"http://127.0.0.1:{port}"), 60)
            import boto3

            boto3.client("s3").create_bucket(Bucket="soak")
            chance = random.Random(1)

            def fail(on: bool) -> None:
                proxy.fault = (lambda *_: chance.choice(KINDS) if chance.random() < FAULTY_SHARE else None) if on \
                    else (lambda *_: None)

            yield "s3://soak/run", fail
            print(json.dumps({"part": "store", "requests": dict(proxy.seen)}), flush=True)
    finally:
        moto.terminate()
        moto.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def kills(root: str, fail, folder: Path, rows: int, kills_: int, callers: int, labels: int) -> dict:
    """Acknowledged rows over kills, each found exactly once."""
    predictions, judgements, lives, began = [], [], 0, time.monotonic()
    fail(True)
    while len(predictions) + len(judgements) < rows or lives < kills_:
        service = process(root, folder)
        load = Load(service.url(), callers, labels)
        wanted, moment = max(rows // kills_, 1), random.Random(lives).uniform(0.3, 3)
        until(lambda load=load, wanted=wanted: load.rows() >= wanted, 900)
        time.sleep(moment)
        service.end(signal.SIGKILL)
        load.end()
        lives += 1
        predictions += load.predictions
        judgements += load.labels
    fail(False)
    last = process(root, folder)
    last.url()
    clean = last.end(signal.SIGTERM)
    found = {"predictions": compared(root, "predictions", "prediction_id", predictions),
             "labels": compared(root, "labels", "label_id", judgements)}
    good = clean == 0 and all(f["lost"] == f["twice"] == 0 for f in found.values())
    return {"part": "kills", "holds": good, "kills": lives, "acknowledged": len(predictions) + len(judgements), **found,
            "seconds": round(time.monotonic() - began)}


def compared(root: str, table: str, key: str, acknowledged: list[str]) -> dict[str, int]:
    """How many acknowledged rows are not in the bucket, and how many rows are there twice."""
    storage = open_root(root)
    filesystem, base = storage.arrow()
    there: list[str] = []
    for entry in storage.list(f"{table}/"):
        with filesystem.open_input_file(f"{base}/{entry.key}") as file:
            there += pq.ParquetFile(file).read([key])[key].to_pylist()
    return {"acknowledged": len(acknowledged), "in_bucket": len(there), "lost": len(set(acknowledged) - set(there)),
            "twice": len(there) - len(set(there))}


def process(root: str, folder: Path) -> ServiceProcess:
    """The service as `trueup serve` starts it, with an outbox that stays."""
    return ServiceProcess(root, folder, "--no-auth", "--outbox", str(folder / "outbox"), "--set", "serve.ship_seconds=2",
                          "--set", "serve.poll_seconds=0.5")


def swaps(root: str, folder: Path, requests: int, swaps_: int, callers: int) -> dict:
    """Half of the requests without swaps, then as many or more until all swaps are done; gaps of both are compared."""
    registry, service = Registry(open_root(root), "m"), process(root, folder)
    load = Load(service.url(), callers)
    until(lambda: len(load.at) > 50, 120)
    calm_from, began = len(load.at), time.monotonic()
    until(lambda: len(load.at) >= requests // 2, 36_000)
    calm = gaps(load.at[calm_from:])
    first, each = len(load.at), requests // 2 // swaps_
    for n in range(swaps_):
        live = registry.newest().state.live
        other = "2" if live == "1" else "1"
        registry.promote(other, by="soak", reason="soak", expected_live=live)
        until(lambda n=n: len(load.at) >= first + each * (n + 1), 36_000)
        served = httpx.get(f"{load.url}/v1/models", timeout=60).json()["models"][0]["model_version"]
        assert served == other, f"expected version {other}, {served} answers"
    moved, seconds = gaps(load.at[first:]), time.monotonic() - began
    load.end()
    service.end(signal.SIGTERM)
    good = not load.refused and moved["longest"] - calm["longest"] <= ALLOWED_GAP_S
    return {"part": "swaps", "holds": good, "requests": len(load.at), "failed": len(load.refused), "swaps": swaps_,
            "gap_s_without_swaps": calm, "gap_s_with_swaps": moved, "per_second": round(len(load.at) / seconds),
            "first_failures": load.refused[:3]}


def gaps(at: list[float]) -> dict[str, float]:
    """Longest time between two answers, and the tenth longest, in seconds."""
    longest = sorted((b - a for a, b in zip(sorted(at), sorted(at)[1:], strict=False)), reverse=True)
    return {"longest": round(longest[0], 3), "tenth": round(longest[9], 3)}


def mutations(root: str, folder: Path, many: int) -> dict:
    """Damaged files: whatever they hold, the answer is 200 or a 4xx with a reason, and the process lives."""
    service, codes, bad = process(root, folder), {}, []
    with httpx.Client(base_url=service.url(), timeout=60) as client:
        for data in mutated(many, seed=int(os.environ.get("SOAK_SEED", "1"))):
            status = client.post("/v1/predictions", content=data, headers=IMAGE).status_code
            codes[status] = codes.get(status, 0) + 1
            if status >= 500:
                bad.append(data.hex()[:400])
        memory = next(line for line in Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
                      if line.startswith("VmHWM"))
    alive = service.process.poll() is None
    service.end(signal.SIGTERM)
    return {"part": "mutations", "holds": alive and not bad, "files": many, "answers": codes,
            "peak_memory": " ".join(memory.split()[1:]), "first_5xx": bad[:3]}


def main() -> int:
    """Runs the parts; 1 when one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 1_000_000), ("kills", 50), ("swaps", 10), ("requests", 100_000),
                          ("mutations", 1_000_000), ("callers", 8), ("labels", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--store", choices=["folder", "s3"], default="s3")
    asked, results = parser.parse_args(), []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trueup-soak-")))
        root, fail = stack.enter_context(store(asked.store, folder))
        publish_tiny(root, seed=1)
        publish_tiny(root, seed=2)
        parts = ((asked.rows, lambda: kills(root, fail, folder, asked.rows, asked.kills, asked.callers, asked.labels)),
                 (asked.swaps, lambda: swaps(root, folder, asked.requests, asked.swaps, asked.callers)),
                 (asked.mutations, lambda: mutations(root, folder, asked.mutations)))
        for wanted, part in parts:
            if wanted:
                results.append(part())
                print(json.dumps(results[-1]), flush=True)
    return 0 if all(r["holds"] for r in results) else 1


if __name__ == "__main__":
    sys.exit(main())
