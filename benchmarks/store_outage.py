"""What callers with a key notice of a store that hangs, cuts its answers, or answers with errors: latency and lost rows.

    python -m benchmarks.store_outage [--kinds hang,cut,broken,error] [--seconds 20] [--rounds 3] [--rate 30]

The service as `trueup serve` starts it, with keys, on moto's server behind a proxy. By turns: calm seconds, then as many of
an outage, in which /metrics and /health/ready are asked, too. Each prediction gets a label. At the end every acknowledged row
is looked for in the bucket. Prints one JSON line per kind (p50 and p99 in ms, requests that were not answered with 200, the
slowest answer of /metrics and /health/ready), then the rows, then how long a stop took while the store hung; exit code 1 when a
request failed or a row is missing. On a busy machine only the ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.soak import START_S, compare, has_waiting_rows
from benchmarks.soak_load import Load, store
from contract.storage import open_root
from inference.keys import KeyRing
from tests.inference.published import publish_tiny
from tests.inference.serving import ServiceProcess, until

KINDS = "hang,cut,broken,error"
STOP_S = 5
HANG_S = 300.0  # longer than any client of ours waits


def main() -> int:
    """Measures and prints; 1 when something was refused or lost."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", default=KINDS)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=30, help="predictions a second, from 4 callers")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trueup-outage-") as name, store("s3", Path(name), HANG_S) as (root, fail):
        publish_tiny(root)
        token = KeyRing(open_root(root)).add("bench", ["predict", "label"], may_name_labelers=True)
        service = ServiceProcess(root, Path(name), "--outbox", str(Path(name, "outbox")), "--set", "serve.ship_seconds=2")
        load = Load(url := service.url(START_S), 4, labels=1, rate=asked.rate, token=token)
        watch(load, url, 3)
        for kind in filter(None, asked.kinds.split(",")):
            print(json.dumps(measure(load, url, fail, kind, asked)), flush=True)
        load.end()
        rows = settle(service, root, load)
        print(json.dumps({"refused": len(load.refused), "first": load.refused[:3], **rows}), flush=True)
        print(json.dumps(stop(root, Path(name), fail, token)), flush=True)
    return int(bool(load.refused) or any(of["lost"] or of["twice"] for of in rows.values()))


def measure(load: Load, url: str, fail, kind: str, asked: argparse.Namespace) -> dict:
    """Calm and outage by turns: the medians of the rounds."""
    calm, out = [], []
    for _ in range(asked.rounds):
        calm.append(watch(load, url, asked.seconds))
        fail(kind)
        out.append(watch(load, url, asked.seconds))
        fail(False)
        time.sleep(3)  # what was held up is shipped
    middle = {name: {key: round(statistics.median(one[key] for one in of), 1) for key in calm[0]}
              for name, of in (("calm", calm), ("outage", out))}
    return {"kind": kind, "seconds": asked.seconds, "rounds": asked.rounds, **middle,
            "p99_ratio": round(middle["outage"]["p99"] / middle["calm"]["p99"], 2)}


def watch(load: Load, url: str, seconds: float) -> dict[str, float]:
    """Figures of the predictions of so many seconds, and of what operators ask meanwhile."""
    first, refused, until_ = len(load.seconds), len(load.refused), time.monotonic() + seconds
    slowest = 0.0
    with httpx.Client(base_url=url, timeout=120) as client:
        while time.monotonic() < until_:
            for path in ("/metrics", "/health/ready"):
                began = time.monotonic()
                client.get(path)
                slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.5)
    times = sorted(load.seconds[first:])
    return {"requests": len(times), "refused": len(load.refused) - refused, "p50": 1000 * times[len(times) // 2],
            "p99": 1000 * times[int(len(times) * 0.99)], "slowest_watch": 1000 * slowest}


def settle(service: ServiceProcess, root: str, load: Load) -> dict[str, dict[str, int]]:
    """Waits until nothing waits, ends the service, and looks for what was acknowledged."""
    url = service.url()
    until(lambda: not has_waiting_rows(url), 300)
    service.end(signal.SIGTERM)
    return {"predictions": compare(root, "predictions", "prediction_id", load.predictions),
            "labels": compare(root, "labels", "label_id", load.labels)}


def stop(root: str, folder: Path, fail, token: str) -> dict:
    """How long a service takes to end whose store hangs, and what it says that it left."""
    service = ServiceProcess(root, folder, "--outbox", str(folder / "outbox"), "--set", f"serve.stop_seconds={STOP_S}")
    load = Load(service.url(START_S), 4, labels=1, rate=10, token=token)
    until(lambda: load.rows() > 20, 60)
    fail("hang")
    before = load.rows()
    until(lambda: load.rows() > before + 20, 60)
    load.end()
    began = time.monotonic()
    code = service.end(signal.SIGTERM, 300)
    fail(False)
    (said,) = [line for line in map(json.loads, service.log.read_text().splitlines()[-50:]) if line["event"] == "stopped"][-1:]
    return {"stop_seconds": STOP_S, "ended_after_s": round(time.monotonic() - began, 1), "code": code,
            **{name: said[name] for name in ("rows_left", "shipped", "gave_up")}}


if __name__ == "__main__":
    sys.exit(main())
