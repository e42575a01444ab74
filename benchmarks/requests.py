"""Requests a second of the service with p50 and p99, at a setting for throughput and at one for latency.

    python -m benchmarks.requests [--network resnet18] [--seconds 10]

One service after the other on this machine, asked by a process of its own (benchmarks/serving.py); JPEG files of 500 x 375.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract import jsonio

# Clients at once, and the service's settings: large batches, or an answer as soon as possible.
SETTINGS: dict[str, tuple[int, dict[str, str]]] = {
    "throughput": (32, {"TRUEUP_SERVE_MAX_BATCH": "16", "TRUEUP_SERVE_MAX_DELAY_MS": "20"}),
    "latency": (1, {"TRUEUP_SERVE_MAX_BATCH": "1", "TRUEUP_SERVE_MAX_DELAY_MS": "0"}),
}
WARM = 2.0  # seconds of requests that are not counted


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args(argv)
    print(jsonio.dumps(measure(given.network, given.seconds)).decode(), end="")
    return 0


def measure(network: str = "resnet18", seconds: float = 10, runtime: str = "torchscript") -> dict[str, Any]:
    """Setting -> clients, the service's settings, requests a second, p50 and p99 in ms. RuntimeError: bad answers."""
    from benchmarks import serving
    from tests.inference.published import publish_tiny

    made, weights = serving.card(argparse.Namespace(network=network, runtime=runtime, number_format="float32"))
    found = {}
    with tempfile.TemporaryDirectory(prefix="trueup-requests-") as folder:
        root = str(Path(folder, "root"))
        publish_tiny(root, weights=weights, classes=tuple(made.classes), network=network, preprocess=made.preprocess,
                     runtime=runtime, number_format="float32")
        for name, (clients, told) in SETTINGS.items():
            with _environment(told), serving.start_program("trueup", root) as url:
                serving.run_load(url, clients, WARM)
                answered = serving.run_load(url, clients, seconds)
            if answered["bad"]:
                raise RuntimeError(f"{name}: expected good answers, got {answered['bad']} bad ones")
            figures = {key: round(answered[key], 2) for key in ("per_second", "p50", "p99")}
            found[name] = {"clients": clients, "network": network, "runtime": runtime, "settings": told, **figures}
    return found


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
