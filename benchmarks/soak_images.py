"""Damaged image files for `benchmarks.soak`: through the functions that the service calls, and over HTTP.

Files come in lots of 10,000 by seed, so a run can go on where another ended. A worker that dies, an error that is no
BadImage, a file that takes more than 2 s or a worker above 1 GiB means that it does not hold.
"""

from __future__ import annotations

import http.client
import os
import resource
import signal
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.soak_load import post
from tests.inference.mutations import mutated
from tests.inference.serving import IMAGE, ServiceProcess

LOT = 10_000
MOST_MB, MOST_CPU_S = 1024, 2.0


def in_process(files: int, first_lot: int, until: float) -> dict:
    """At least `files` files, unless the time (monotonic) comes before; `lots`: how many seeds were used."""
    totals, wrong, slowest, memory, lots = Counter(), [], 0.0, 0, 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(lot, seed) for seed in range(first_lot, first_lot - (-files // LOT))]
        try:
            for each in waiting:
                if time.monotonic() > until and not each.running() and each.cancel():
                    continue
                answers, bad, took, peak = each.result()
                totals, wrong, lots = totals + answers, wrong + bad, lots + 1
                slowest, memory = max(slowest, took), max(memory, peak)
        except BrokenProcessPool:
            wrong.append(f"a worker died at or after lot {first_lot + lots}")
    return {"part": "images", "holds": not wrong and memory <= MOST_MB and slowest <= MOST_CPU_S, "files": lots * LOT,
            "lots": lots, "answers": dict(totals), "wrong": wrong[:5], "slowest_cpu_ms": round(slowest * 1000, 1),
            "peak_memory_mb": memory}


def lot(seed: int) -> tuple[Counter, list[str], float, int]:
    """Answers of one lot, what was wrong, processor seconds of the slowest file, most MB that this process held."""
    from contract.errors import BadImage
    from inference.model.preprocess import MAX_PIXELS, to_tensor
    from inference.service import read_picture
    from tests.inference.published import PREPROCESS

    answers, wrong, slowest = Counter(), [], 0.0
    for data in mutated(LOT, seed):
        began = time.process_time()
        try:
            read_picture(data, MAX_PIXELS, lambda kept: to_tensor(kept, PREPROCESS))
            answers["taken"] += 1
        except BadImage:
            answers["refused"] += 1
        except Exception as error:  # whatever else comes would be a 500
            wrong.append(f"lot {seed}: {type(error).__name__}: {error}: {data.hex()[:400]}")
        slowest = max(slowest, time.process_time() - began)
    return answers, wrong, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def attack_http(service: ServiceProcess, url: str, files: int, seed: int, until: float) -> dict:
    """The answer is 200 or a 4xx with a reason, and the process lives."""
    codes, bad = Counter(), []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    for data in mutated(files, seed):
        if time.monotonic() > until:
            break
        status, body = post(connection, "/v1/predictions", data, IMAGE)
        codes[str(status)] += 1
        if status >= 500 or status != 200 and b'"message"' not in body:
            bad.append(f"{status} {body[:100]!r} {data.hex()[:400]}")
    status_lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    memory = next(line for line in status_lines if line.startswith("VmHWM"))
    alive = service.process.poll() is None
    service.end(signal.SIGTERM)
    return {"part": "images over HTTP", "holds": alive and not bad, "files": sum(codes.values()), "answers": dict(codes),
            "peak_memory_mb": int(memory.split()[1]) >> 10, "wrong": bad[:3]}
