"""What a shadow costs the answers: p50 and p99 of one service, with and without, and with a neighbour, by turns in one run.

    python -m benchmarks.shadow [--network resnet18] [--offered 8] [--clients 4] [--seconds 20] [--rounds 4]

`--offered` requests a second come, whatever the answers take: choose about half of what the machine answers at its limit
(benchmarks/serving.py), for there a shadow has time of its own. The alias is set and taken away between rounds; the service
stays.

The neighbour is the shadow's own program at the same rate, without a connection to the service. It has the priority SCHED_IDLE,
too, so what it costs is what using this machine's idle time costs at all (caches, memory, cores that share a unit).

Prints one JSON document: of each kind of rounds the medians in ms and each round's figures, the ratios of the p99s, how many
of the answers got a row of the shadow, the mean of each stage, and the machine's load: on a busy machine the shadow, which takes
only what nobody wants, computes little, and the ratio says little.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from contract import jsonio

WITHOUT, SHADOWED, NEIGHBOUR = "without", "with", "neighbour"
# Each kind comes as often early as late, so that a drift of the machine affects all alike.
ORDER = (WITHOUT, SHADOWED, NEIGHBOUR, NEIGHBOUR, SHADOWED, WITHOUT)
WARM_S, START_S = 3.0, 300.0  # on a busy machine the process of the shadow takes minutes to load


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--offered", type=float, default=8)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=4)
    print(jsonio.dumps(measure(parser.parse_args(argv))).decode(), end="")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """The document that is printed."""
    from benchmarks import serving
    from contract.deciding import changes
    from contract.registry import Registry
    from contract.storage import open_root
    from tests.inference.published import publish_tiny

    made, weights = serving.card(argparse.Namespace(network=asked.network, runtime="torchscript", number_format="float32"))
    with tempfile.TemporaryDirectory(prefix="trueup-shadow-") as folder:
        root = str(Path(folder, "root"))
        for _ in range(2):
            publish_tiny(root, weights=weights, classes=tuple(made.classes), network=asked.network, preprocess=made.preprocess,
                         runtime="torchscript", number_format="float32")
        registry, load = Registry(open_root(root), "m"), os.getloadavg()[0]
        found: dict[str, list[dict[str, float]]] = {WITHOUT: [], SHADOWED: [], NEIGHBOUR: []}
        with serving.start_program("trueup", root) as url, start_neighbour(root, asked.offered) as computes:
            for kind in [ORDER[n % len(ORDER)] for n in range(len(found) * asked.rounds)]:
                version = "1" if kind == SHADOWED else None
                changes.set_alias(registry, "shadow", version, by="benchmark", reason="to measure")
                wait_for_shadow(url, version)
                (computes.set if kind == NEIGHBOUR else computes.clear)()
                found[kind].append(measure_round(asked, url))
    return summarise(asked, found, load)


def measure_round(asked: argparse.Namespace, url: str) -> dict[str, float]:
    """Warms up, asks, and returns times of the answers in ms, how many there were and how many rows the shadow made."""
    from benchmarks import serving

    serving.run_load(url, asked.clients, WARM_S, asked.offered)
    before = read_counters(url)
    answered = serving.run_load(url, asked.clients, asked.seconds, asked.offered)
    time.sleep(2)  # rows of the shadow are made durable once a second
    more = {name: value - before.get(name, 0) for name, value in read_counters(url).items()}
    answers = more.pop("answers")
    return {**{k: round(answered[k], 2) for k in ("per_second", "p50", "p99", "bad")}, "answers": answers,
            "shadow_rows": more.pop("shadow_rows"),
            **{name: round(1000 * seconds / answers, 1) for name, seconds in more.items()}}


@contextmanager
def start_neighbour(root: str, offered: float) -> Iterator[threading.Event]:
    """Starts the shadow's own program without a service; while the event is set it computes `offered` pictures a second."""
    from benchmarks import serving
    from inference.model.predictor import count_threads
    from inference.shadow.process import NoLongerWanted, ShadowProcess, ToLoad

    computes, ended, picture = threading.Event(), threading.Event(), serving.pictures()[0]
    process = ShadowProcess(ToLoad(root, "m", "1", "cpu", 1, False, max(count_threads() // 2, 1)), lambda: not ended.is_set())

    def compute() -> None:
        while not ended.is_set():
            if computes.wait(0.2):
                due = time.monotonic() + 1 / offered
                with suppress(NoLongerWanted):
                    process.compute([picture])
                time.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()
    try:
        yield computes
    finally:
        ended.set()
        thread.join(5)
        process.close()


def summarise(asked: argparse.Namespace, found: dict[str, list[dict[str, float]]], load: float) -> dict[str, Any]:
    """Medians over rounds, and the ratios to those without."""
    median = {kind: {name: round(statistics.median(row[name] for row in rows), 2) for name in ("per_second", "p50", "p99")}
              for kind, rows in found.items()}
    ratio = {kind: round(median[kind]["p99"] / median[WITHOUT]["p99"], 3) for kind in (SHADOWED, NEIGHBOUR)}
    shadowed = found[SHADOWED]
    return {"network": asked.network, "offered": asked.offered, "cores": os.cpu_count(), "load_before": round(load, 1),
            "medians": median, "p99_ratio": ratio,
            "shadowed_share": round(sum(r["shadow_rows"] for r in shadowed) / sum(r["answers"] for r in shadowed), 3),
            "rounds": found}


def wait_for_shadow(url: str, version: str | None) -> None:
    """Waits until the service computes for that version, or for none."""
    address, until = "{0.scheme}://{0.netloc}".format(urlsplit(url)), time.monotonic() + START_S
    while True:
        shadow = httpx.get(f"{address}/health/ready", timeout=30).json()["models"]["m"]["shadow"]
        if (shadow and shadow["version"]) == version and (version is None or shadow["computes"]):
            return
        if time.monotonic() > until:
            raise RuntimeError(f"expected the shadow {version} within {START_S:.0f} s, got {shadow}")
        time.sleep(0.2)


def read_counters(url: str) -> dict[str, float]:
    """Answers and rows of the shadow so far, and the seconds of each stage of answering."""
    text = httpx.get("{0.scheme}://{0.netloc}/metrics".format(urlsplit(url)), timeout=30).text
    found = {name: sum(float(value) for value in re.findall(rf"^{counter}{{.*}} (\S+)$", text, re.MULTILINE))
             for name, counter in (("answers", "trueup_predictions_total"), ("shadow_rows", "trueup_beside_rows_total"))}
    stages = re.findall(r'^trueup_stage_seconds_sum{stage="(\w+)"} (\S+)$', text, re.MULTILINE)
    return found | {f"{stage}_ms": float(value) for stage, value in stages}


if __name__ == "__main__":
    sys.exit(main())
