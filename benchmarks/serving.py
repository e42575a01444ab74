"""Serving speed over HTTP: Trueup, a plain FastAPI handler, LitServe and TorchServe with the same network, by turns.

    python -m benchmarks.serving [--network resnet18] [--runtime torchscript] [--clients 1,16,64] [--seconds 10] [--rounds 2]
                                 [--offered R] [--peers PYTHON]

`--peers` names a Python that has `litserve`, `torchserve` and `torch-model-archiver` and sees our environment, of which
they are no part; without it these two are not measured. The load comes from a process of its own; 50 JPEG files of
500 x 375. The limit is 1 / (1/network + 1/preprocessing), both measured alone before and after each round of the same run;
medians of the rounds. `trueup, nothing logged` is the same service whose outbox forgets: what durable logging costs. Prints one
JSON line per program and number of clients: requests a second, p50 and p99 in ms, and the share of the limit. On a busy
machine only the ratios of one run mean something.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from command.parent import end_with_parent

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURES = 50
BOUNDARY = "0123456789abcdef"
START_S = 400
PRE = {"resize": 256, "crop": 224}


def pictures() -> list[bytes]:
    """JPEG files of about 90 kB, different ones."""
    import numpy as np
    from PIL import Image

    from tests.inference.made_pictures import encode

    made = []
    for n in range(PICTURES):
        draw = np.random.default_rng(n)
        coarse = draw.integers(0, 256, (60, 80, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)).astype(np.float32)
        noise = draw.normal(0, 11, (375, 500, 1)).astype(np.float32)
        made.append(encode(Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8)), quality=90))
    return made


def load(url: str, clients: int, seconds: float, offered: float = 0) -> None:
    """The load generator, run as a process: prints one JSON line. Bodies are made beforehand: it shares the cores.

    `offered`: so many requests a second come, whatever the answers take, and a late one has waited since it was due.
    """
    bodies, times, bad, stop = [form(data) for data in pictures()], [], [], time.monotonic() + seconds
    where, path = urlsplit(url).netloc, urlsplit(url).path

    def ask(n: int) -> None:
        connection = http.client.HTTPConnection(where, timeout=120)
        while time.monotonic() < stop:
            n += clients
            due = began + (n - clients) / offered if offered else time.perf_counter()
            time.sleep(max(due - time.perf_counter(), 0))
            connection.request("POST", path, bodies[n % PICTURES], {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
            answer = connection.getresponse()
            answer.read()
            (times if answer.status == 200 else bad).append(time.perf_counter() - due)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    began = time.perf_counter()
    [t.start() for t in threads]
    [t.join() for t in threads]
    if not times:
        sys.exit(f"expected answers of 200 from {url}, got none ({len(bad)} others)")
    times.sort()
    print(json.dumps({"per_second": len(times) / (time.perf_counter() - began), "bad": len(bad),
                      "p50": 1000 * times[len(times) // 2], "p99": 1000 * times[int(len(times) * 0.99)]}))


def form(data: bytes) -> bytes:
    """A multipart body with one file in the field image."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="x.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def card(asked: argparse.Namespace) -> tuple:
    """A card and weights of the network, random."""
    import hashlib

    import torch
    from safetensors.torch import save

    from contract.documents.card import Card, Preprocess
    from inference.model import network

    torch.manual_seed(0)
    weights = save(network.build(asked.network, 1000).eval().state_dict())
    return Card(model="m", version="1", created_at="", network=asked.network, classes=[f"c{n}" for n in range(1000)],
                preprocess=Preprocess(**PRE), weights_sha256=hashlib.sha256(weights).hexdigest(),
                weights_bytes=len(weights), runtime=asked.runtime, number_format=asked.number_format), weights


def limit(predictor, seconds: float) -> dict[str, float]:
    """Images a second of the bare network on ready batches, of preprocessing in one thread per core, and of both."""
    import torch

    batch = torch.randn(8, 3, PRE["crop"], PRE["crop"])
    net = rate(lambda: predictor.probabilities(batch), 8, seconds)
    files, cores = pictures(), os.cpu_count() or 1
    done, stop = [0] * cores, time.monotonic() + seconds

    def prepare(k: int) -> None:
        while time.monotonic() < stop:
            predictor.prepare(files[done[k] % PICTURES])
            done[k] += 1

    threads = [threading.Thread(target=prepare, args=(k,)) for k in range(cores)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    pre = sum(done) / seconds
    return {"network": net, "preprocessing": pre, "limit": 1 / (1 / net + 1 / pre)}


def rate(call, images: int, seconds: float) -> float:
    """Images a second of a call, after two to warm up."""
    call(), call()
    calls, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        call()
        calls += 1
    return calls * images / (time.monotonic() - began)


def plain() -> None:
    """The peer: a FastAPI handler as people write it, with our predictor (so the same network), on $PORT."""
    import uvicorn
    from fastapi import FastAPI, File

    app, predictor = FastAPI(), load_version()

    @app.get("/health/live")
    def alive() -> str:
        return "yes"

    @app.post("/predict")
    def predict(image: bytes = File()) -> list:
        return predictor.top(predictor.probabilities(predictor.prepare(image)[None])[0], 5)

    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="error")


def serve_ours() -> None:
    """Trueup's service on the root of $ROOT; with $FORGET its outbox answers at once and keeps nothing."""
    from inference import serve
    from inference.outbox import outbox

    if os.environ.get("FORGET"):
        async def nothing(self, row, image, body_hash, answer, brought=False):  # noqa: ANN001, ANN202
            return answer

        outbox.Outbox.append_prediction = nothing
    sys.exit(serve.main(["--root", os.environ["ROOT"], "--model", "m", "--port", os.environ["PORT"], "--no-auth"]))


def load_version():  # noqa: ANN201
    """The predictor of version 1 of the root of $ROOT."""
    from contract.registry import Registry
    from contract.storage import open_root
    from inference.model.predictor import load_predictor

    return load_predictor(Registry(open_root(os.environ["ROOT"]), "m"), "1")


PROGRAMS = {"trueup": ("serve_ours", "/v1/predictions", {}),
            "trueup, nothing logged": ("serve_ours", "/v1/predictions", {"FORGET": "1"}),
            "fastapi": ("plain", "/predict", {}), "litserve": ("litserve", "/predict", {}),
            "torchserve": ("torchserve", "/predictions/m", {})}
HEALTH = {"litserve": "health", "torchserve": "ping"}  # elsewhere health/live


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def start_program(program: str, root: str, peers: str | None = None):
    """The URL of a program in a process of its own."""
    function, path, more = PROGRAMS[program]
    if program in HEALTH and not peers:
        raise RuntimeError(f"{program} needs --peers")
    port = free_port()
    places = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | more | {"ROOT": root, "PORT": str(port), "PYTHONPATH": os.pathsep.join(places)}
    command = ([peers, "-m", f"benchmarks.peer_{function}"] if program in HEALTH else
               [sys.executable, "-c", f"from benchmarks.serving import {function}; {function}()"])
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               start_new_session=True, preexec_fn=end_with_parent)
    try:
        until, live = time.monotonic() + START_S, f"http://127.0.0.1:{port}"
        while True:
            try:
                if httpx.get(f"{live}/{HEALTH.get(program, 'health/live')}", timeout=5).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{program} did not start")
            time.sleep(0.2)
        yield live + path
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def run_load(url: str, clients: int, seconds: float, offered: float = 0) -> dict:
    """One run of the load generator."""
    command = [sys.executable, "-m", "benchmarks.serving", "--load", url, "--clients", str(clients),
               "--seconds", str(seconds), "--offered", str(offered)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    return json.loads(done.stdout)


def main() -> int:
    """Measures by turns and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--runtime", default="torchscript")
    parser.add_argument("--number-format", default="float32")
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--programs", default=",".join(PROGRAMS).replace("trueup, nothing", "trueup; nothing"),
                        help="separated by commas; a name's own comma is written as a semicolon [default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--offered", type=float, default=0, help="also so many requests a second, from 16 clients")
    parser.add_argument("--peers", help="a Python with litserve and torchserve")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        load(asked.load, int(asked.clients), asked.seconds, asked.offered)
        return 0
    return compare(asked)


def compare(asked: argparse.Namespace) -> int:
    """The table, as JSON lines."""
    from inference.model.predictor import Predictor
    from tests.inference.published import publish_tiny

    made, weights = card(asked)
    with tempfile.TemporaryDirectory(prefix="trueup-serving-") as folder:
        root = str(Path(folder, "root"))
        publish_tiny(root, weights=weights, classes=tuple(made.classes), network=made.network, preprocess=made.preprocess,
                     runtime=made.runtime, number_format=made.number_format)
        limits = [limit(predictor := Predictor(made, weights), asked.seconds / 4)]
        names = [name.replace(";", ",") for name in asked.programs.split(",")]
        loads = [(int(clients), 0.0) for clients in asked.clients.split(",")]
        loads += [(16, asked.offered)] if asked.offered else []
        found: dict[tuple[str, int, float], list[dict]] = {}
        for _ in range(asked.rounds):
            for name in names:
                try:
                    with start_program(name, root, asked.peers) as url:
                        for clients, offered in loads:
                            run_load(url, clients, 2, offered)
                            got = run_load(url, clients, asked.seconds, offered)
                            found.setdefault((name, clients, offered), []).append(got)
                            print(name, clients, offered, got, file=sys.stderr, flush=True)
                except RuntimeError as error:
                    print(f"not measured: {error}", file=sys.stderr)
            limits.append(limit(predictor, asked.seconds / 4))
        net, pre = (statistics.median(each[k] for each in limits) for k in ("network", "preprocessing"))
        best = {"network": net, "preprocessing": pre, "limit": 1 / (1 / net + 1 / pre)}
        print(json.dumps({"program": "limit", **{k: round(v, 1) for k, v in best.items()}}), flush=True)
        for (name, clients, offered), of in sorted(found.items(), key=lambda item: item[0][1:]):
            figures = {k: round(statistics.median(r[k] for r in of), 1) for k in ("per_second", "p50", "p99")}
            print(json.dumps({"program": name, "clients": clients, "offered": offered or None, **figures,
                              "bad": sum(r["bad"] for r in of),
                              "of_limit": round(figures["per_second"] / best["limit"], 2)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
