"""Requests a second by runtime and number format, against LitServe with the same network in float32, all by turns.

    python -m benchmarks.formats [--network resnet18] [--clients 16] [--rounds 5] [--seconds 6] [--hour 0.096] [--peers PYTHON]
    python -m benchmarks.formats --bare [--network resnet152] [--rounds 5] [--calls 3]
    python -m benchmarks.formats --limits [--network mobilenet_v3_small] [--rounds 5]
    python -m benchmarks.formats --accuracy [--network resnet18] [--side 64] [--steps 120]

All services run at once and are asked one after another, round by round, so that what else runs on the machine hurts them alike;
a ratio is of one round, and its median and range over the rounds are printed, with the load and the processor. Weights are
random, 1,000 classes at 224 pixels; int8 is calibrated on 100 made pictures. `--peers`: a Python that has litserve and sees our
environment. `--hour`: dollars of an hour of a machine like this one (m5.large, 2 vCPUs). `--bare` has the networks alone answer
batches of 8 by turns, in one process, and counts processor time, too: on a machine that others use that is what tells formats
apart. `--limits` prints, for each format, what no service of these cores can exceed: images a second of the bare network, of
preparing the pictures alone (decode, resize, crop, normalise; a thread a core), and of both one after the other. `--accuracy`
trains the network on scikit-learn's digits at `--side` pixels instead and compares each format with torch on those that it was
not trained on, as `trueup model convert` does: paired difference with its interval.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import serving
from contract.documents.card import Card, Converted
from contract.registry import Registry
from contract.storage import open_root

# name -> program of benchmarks.serving, runtime, number format
TURNS = {"litserve float32": ("litserve", "torch", "float32"), "litserve torchscript": ("litserve", "torchscript", "float32"),
         "trueup torchscript": ("trueup", "torchscript", "float32"), "trueup torch bfloat16": ("trueup", "torch", "bfloat16"),
         "trueup openvino float32": ("trueup", "openvino", "float32"),
         "trueup openvino bfloat16": ("trueup", "openvino", "bfloat16"), "trueup openvino int8": ("trueup", "openvino", "int8")}
PEER, OURS = "litserve float32", "trueup torchscript"
CALIBRATED_ON = 100  # pictures


def publish(root: str, card: Card, weights: bytes, converted: bytes | None) -> None:
    """Makes a root whose live version is this one."""
    registry = Registry(open_root(root, create=True), card.model)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "weights"), Path(folder, "network")
        files[0].write_bytes(weights)
        files[1].write_bytes(converted or b"")
        registry.write_version(card, files[0], files[1] if converted else None)
    registry.promote("1", by="benchmark", reason="benchmark", expected_live=None)


def convert(card: Card, weights: bytes, formats: set[str], pictures: list[bytes]) -> dict[str, tuple[Card, bytes]]:
    """Number format -> card and network of OpenVINO."""
    from inference.model import network, openvino_network, preprocess
    from inference.model.predictor import find_input_size
    from training.quantise import quantise

    shape = (3, *(find_input_size(card.preprocess) or (224, 224)))
    made = {}
    for name in sorted(formats):
        model = openvino_network.convert(network.load(card, weights), shape)
        if name == "int8":
            model = quantise(model, card.network, [preprocess.to_tensor(p, card.preprocess)[None].numpy() for p in pictures])
        data = openvino_network.pack(model)
        names = Converted(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), made_with={})
        made[name] = card.model_copy(update={"runtime": "openvino", "number_format": name, "converted": names}), data
    return made


def take_turns(asked: argparse.Namespace, folder: str) -> Iterator[dict[str, Any]]:
    """Starts all programs, asks them by turns, and yields a row for each."""
    names = [name for name in TURNS if (asked.peers or not name.startswith("litserve")) and name not in asked.without.split(",")]
    card, weights = serving.card(argparse.Namespace(network=asked.network, runtime="torch", number_format="float32"))
    formats = {number for name in names for _, runtime, number in [TURNS[name]] if runtime == "openvino"}
    made = convert(card, weights, formats, (serving.pictures() * 2)[:CALIBRATED_ON])
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with ExitStack() as stack:
        urls = {}
        for place, name in enumerate(names):
            program, runtime, number = TURNS[name]
            of, data = made[number] if runtime == "openvino" else (card.model_copy(update={
                "runtime": runtime, "number_format": number}), None)
            root = str(Path(folder, str(place)))
            publish(root, of, weights, data)
            urls[name] = stack.enter_context(serving.start_program(program, root, asked.peers))
            print(f"started: {name}", file=sys.stderr, flush=True)
        for n in range(asked.rounds + 1):  # the first warms up
            for name, url in urls.items():
                got = serving.run_load(url, asked.clients, asked.seconds if n else 2)
                if n:
                    found[name].append(got)
                print(n, name, {k: round(v, 1) for k, v in got.items()}, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr,
                      flush=True)
    for name, of in found.items():
        rate = statistics.median(one["per_second"] for one in of)
        yield {"network": asked.network, "program": name, "clients": asked.clients, "per_second": round(rate, 1),
               **{k: round(statistics.median(one[k] for one in of), 1) for k in ("p50", "p99")}, "bad": sum(o["bad"] for o in of),
               "dollars_per_100000": round(asked.hour * 100_000 / rate / 3600, 3),
               **{f"of {other}": compare(of, found[other]) for other in (PEER, OURS) if other in found}}


def measure_bare(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Images a second of ready batches of 8, by the clock and by processor time (times the cores), in one process."""
    import torch

    predictors = make_predictors(asked)
    batch, found = torch.randn(8, 3, 224, 224), {name: [] for name in predictors}
    for n in range(asked.rounds + 1):  # the first warms up
        for name, predictor in predictors.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(asked.calls):
                predictor.probabilities(batch)
            if n:
                images = 8 * asked.calls
                found[name].append({"wall": images / (time.perf_counter() - wall),
                                    "per_second": images * (os.cpu_count() or 1) / (time.process_time() - cpu)})
    for name, of in found.items():
        yield {"network": asked.network, "format": name, "images_per_second": round(statistics.median(o["wall"] for o in of), 1),
               "per_cpu_second_x_cores": round(statistics.median(o["per_second"] for o in of), 1),
               "load": round(os.getloadavg()[0], 1),
               **{f"of {other}, by processor time": compare(of, found[other]) for other in ("torch float32", "torchscript")}}


def make_predictors(asked: argparse.Namespace) -> dict[str, Any]:
    """Each format's predictor, by its name, of one network with the same random weights."""
    from inference.model.predictor import Predictor

    card, weights = serving.card(argparse.Namespace(network=asked.network, runtime="torch", number_format="float32"))
    made = convert(card, weights, {"float32", "bfloat16", "int8"}, (serving.pictures() * 2)[:CALIBRATED_ON])
    predictors = {"torch float32": Predictor(card, weights, "cpu"), "torchscript": Predictor(card.model_copy(update={
        "runtime": "torchscript"}), weights, "cpu"), "torch bfloat16": Predictor(card.model_copy(update={
            "number_format": "bfloat16"}), weights, "cpu")}
    return predictors | {f"openvino {name}": Predictor(of, weights, "cpu", data) for name, (of, data) in made.items()}


def measure_limits(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Medians over rounds of `serving.limit` of each format, by turns."""
    predictors = make_predictors(asked)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    for _ in range(asked.rounds):
        for name, predictor in predictors.items():
            found[name].append(serving.limit(predictor, 2.0))
    for name, of in found.items():
        yield {"network": asked.network, "format": name, "load": round(os.getloadavg()[0], 1),
               **{kind: round(statistics.median(one[kind] for one in of), 1) for kind in of[0]}}


def compare(of: list[dict[str, float]], other: list[dict[str, float]]) -> dict[str, float]:
    """The ratio of requests a second, round by round: its median, least and most."""
    ratios = [a["per_second"] / b["per_second"] for a, b in zip(of, other, strict=True)]
    return {"median": round(statistics.median(ratios), 2), "least": round(min(ratios), 2), "most": round(max(ratios), 2)}


def name_processor() -> str:
    """The processor's name and what it has for small numbers."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    can = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") if f" {flag}" in text]
    return f"{model}, {os.cpu_count()} cores: {' '.join(can)}"


def measure_accuracy(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Trains on digits, converts, and compares each format with torch on the digits that are left, paired."""
    from contract.documents.card import Preprocess
    from inference.model.predictor import Predictor
    from metrics.significance.paired import Paired
    from tests.training.digits_by_hand import TRAIN
    from tests.training.loop_root import digits, png

    pixels, labels = digits()
    classes = sorted(set(labels))
    look = Preprocess(resize=asked.side, crop=asked.side, mean=[0.5] * 3, std=[0.5] * 3)
    weights = train(asked, [png(p) for p in pixels[:TRAIN]], [classes.index(t) for t in labels[:TRAIN]], look, len(classes))
    card = Card(model="m", version="1", created_at="", network=asked.network, classes=classes, preprocess=look,
                weights_sha256=hashlib.sha256(weights).hexdigest(), weights_bytes=len(weights))
    truth = [classes.index(t) for t in labels[TRAIN:]]
    made = convert(card, weights, {"float32", "bfloat16", "int8"}, [png(p) for p in pixels[:300]])
    right = {}
    for name, (of, data) in {"torch float32": (card, None), **{f"openvino {k}": v for k, v in made.items()}}.items():
        predictor = Predictor(of, weights, "cpu", data)
        parts = [[predictor.prepare(png(p)) for p in pixels[n:n + 64]] for n in range(TRAIN, len(pixels), 64)]
        said = [int(k) for part in parts for k in predictor.probabilities(predictor.stack(part)).argmax(1)]
        right[name] = [a == b for a, b in zip(said, truth, strict=True)]
    import numpy as np

    base = np.array(right["torch float32"])
    for name, of in right.items():
        pair = Paired.count(base, np.array(of))
        yield {"network": asked.network, "format": name, "side": asked.side, "held_out": pair.n,
               "accuracy": round(pair.candidate()["value"], 4), "only_torch_right": pair.only_live,
               "only_it_right": pair.only_candidate, "difference": {k: round(v, 4) for k, v in pair.difference(0.95).items()}}


def train(asked: argparse.Namespace, pictures: list[bytes], truth: list[int], look: Any, classes: int) -> bytes:
    """Weights of the network after some steps of 32 pictures."""
    import torch
    from safetensors.torch import save

    from inference.model import network, preprocess

    torch.manual_seed(1)
    net = network.build(asked.network, classes).train()
    x, y = torch.stack([preprocess.to_tensor(p, look) for p in pictures]), torch.tensor(truth)
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, asked.steps)
    for step in range(asked.steps):
        chosen = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x[chosen]), y[chosen])
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            print(step, round(float(loss.detach()), 3), file=sys.stderr, flush=True)
    return save(net.state_dict())


def main(argv: list[str] | None = None) -> int:
    """Prints the processor, then one JSON line a program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="resnet18")
    for name, default in (("clients", 16), ("rounds", 5), ("side", 64), ("steps", 120), ("calls", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--hour", type=float, default=0.096, help="dollars of an hour of a machine like this one")
    parser.add_argument("--peers", help="a Python with litserve")
    parser.add_argument("--without", default="", help="programs to leave out, separated by commas")
    parser.add_argument("--accuracy", action="store_true")
    for name in ("bare", "limits"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args(argv)
    print(f"{name_processor()}; load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="trueup-formats-") as folder:
        rows = (measure_accuracy(asked) if asked.accuracy else measure_bare(asked) if asked.bare else measure_limits(asked)
                if asked.limits else take_turns(asked, folder))
        for row in rows:
            print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
