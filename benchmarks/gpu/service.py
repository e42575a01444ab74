"""Part d: answers a second with batches of 8 to 64, a new version under load, and whether GPU and CPU name the same labels."""

import hashlib
import importlib.util
import io
import re
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.gpu import digits, load, made, pictures
from benchmarks.gpu.result import SMALL_NETWORK, Asked, parse, show, show_missing
from contract.documents.card import Card, Preprocess
from inference.model.predictor import Predictor

BATCHES = (8, 16, 32, 64)
LIBRARIES = ("fastapi", "uvicorn", "httptools", "python_multipart", "prometheus_client", "jinja2")
CLASSES = [f"c{n}" for n in range(100)]


def make_version(asked: Asked, seed: int) -> tuple[Card, bytes]:
    """Makes a version of random weights: ResNet-50 at 224 px; on a CPU a small network at 32."""
    from safetensors.torch import save

    from inference.model import network

    name, look = (SMALL_NETWORK, Preprocess(resize=36, crop=32)) if asked.tiny else ("resnet50", Preprocess())
    torch.manual_seed(seed)
    return describe(save(network.build(name, len(CLASSES)).state_dict()), name, look, CLASSES, str(seed))


def describe(weights: bytes, name: str, look: Preprocess, classes: Sequence[str], version: str,
             number_format: str = "float32") -> tuple[Card, bytes]:
    """Returns a card for these weights, and the weights."""
    return Card(model="m", version=version, created_at="", network=name, classes=list(classes), preprocess=look,
                number_format=number_format, weights_sha256=hashlib.sha256(weights).hexdigest(),
                weights_bytes=len(weights)), weights


def make_bodies(count: int = 50) -> list[bytes]:
    """Makes different JPEG files of 256 px, about 20 kB each."""
    made_files = []
    for n in range(count):
        small = Image.fromarray(np.random.default_rng(n).integers(0, 256, (48, 48, 3), dtype=np.uint8))
        out = io.BytesIO()
        small.resize((256, 256), Image.Resampling.BICUBIC).save(out, "JPEG", quality=87)
        made_files.append(out.getvalue())
    return made_files


def show_batches(predictor: Predictor, asked: Asked) -> None:
    """The predictor alone, one batch at a time."""
    picture = predictor.prepare(make_bodies(1)[0])
    for size in (1, 8) if asked.tiny else (1, *BATCHES):
        batch, times = predictor.stack([picture] * size), []
        predictor.probabilities(batch)
        until = time.perf_counter() + (0.3 if asked.tiny else 2.0)
        while time.perf_counter() < until:
            began = time.perf_counter()
            predictor.probabilities(batch)
            times.append(1000 * (time.perf_counter() - began))
        times.sort()
        show("the predictor alone, one batch at a time", batch=size, images_per_s=1000 * size / statistics.mean(times),
             p50_ms=times[len(times) // 2], p99_ms=times[int(0.99 * len(times))], device=str(predictor.device))


def show_service(folder: Path, versions: Sequence[tuple[Card, bytes]], asked: Asked) -> None:
    """The service over HTTP, with largest batches of each size; the last time a new version goes live under load."""
    from tests.inference.published import publish_tiny

    root, files = str(folder / "root"), make_bodies()

    def publish(card: Card, weights: bytes) -> None:
        publish_tiny(root, weights=weights, classes=tuple(card.classes), network=card.network, preprocess=card.preprocess)

    publish(*versions[0])
    sizes = (8,) if asked.tiny else BATCHES
    for size in sizes:
        swap = (lambda: publish(*versions[1])) if size == sizes[-1] else None
        with load.start_service(folder / f"outbox-{size}", root, size, asked.device) as url:
            load.run_http(url, files, 4, 1)
            found = load.run_http(url, files, 8 if asked.tiny else 2 * size, 3 if asked.tiny else 6, swap)
            show(f"the service over HTTP{', a new version under load' if swap else ''}", max_batch=size, **found.figures(),
                 mean_batch=read_mean_batch(url), holds=found.failed == 0 and (not swap or len(found.versions) == 2))


def read_mean_batch(url: str) -> float | None:
    """Returns the mean number of images in a batch, by the service's own metrics."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    numbers = [re.search(rf"^trueup_batch_size_{name} ([0-9.e+]+)$", text, re.M) for name in ("sum", "count")]
    return float(numbers[0][1]) / float(numbers[1][1]) if all(numbers) else None


def show_direct(versions: Sequence[tuple[Card, bytes]], asked: Asked) -> None:
    """The same without HTTP: pictures prepared in threads, computed by the service's batcher."""
    predictors = [Predictor(card, weights, asked.device) for card, weights in versions]
    for size in (8,) if asked.tiny else BATCHES:
        found = load.run_direct(predictors, make_bodies(), size, 2 * size, 2 if asked.tiny else 4)
        show("batcher and predictor without HTTP, a new version under load", max_batch=size, **found.figures(),
             holds=found.failed == 0 and len(found.versions) == 2)


def show_labels(folder: Path) -> None:
    """A trained version's labels on GPU and CPU, by the class through which an assessment asks."""
    data = digits.prepare(str(folder / "digits"), Asked("cuda", False))
    job = data.job("labels")
    made.train(job, "cuda", data.feed)
    weights, _ = made.read_result(job)
    held = [p.data for p in pictures.load_part("held")[1]]
    for number_format in ("float32", "bfloat16"):
        look = Preprocess(resize=data.side, crop=data.side)
        card, _ = describe(weights, data.network, look, pictures.CLASSES, "1", number_format)
        rows = []
        for device in ("cpu", "cuda"):
            predictor = Predictor(card, weights, device)
            ready = [predictor.prepare(picture) for picture in held]
            batches = [predictor.stack(ready[n:n + 64]) for n in range(0, len(ready), 64)]
            rows.append(np.concatenate([predictor.probabilities(batch) for batch in batches]))
        other = int((rows[0].argmax(1) != rows[1].argmax(1)).sum())
        judged = {"holds": other == 0} if number_format == "float32" else {}  # bfloat16 has three digits
        show("labels on GPU and CPU", number_format=number_format, pictures=len(held), other_labels=other,
             largest_difference=float(np.abs(rows[0] - rows[1]).max()), **judged)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the part."""
    asked = parse(argv)
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    with tempfile.TemporaryDirectory(prefix="trueup-gpu-") as folder:
        versions = [make_version(asked, seed) for seed in (1, 2)]
        show_batches(Predictor(*versions[0], asked.device), asked)
        if asked.gpu:
            show_labels(Path(folder))
        if missing:
            show_missing(f"the service over HTTP: {', '.join(missing)} not installed here")
            show_direct(versions, asked)
        else:
            show_service(Path(folder), versions, asked)
    if not asked.gpu:
        show_missing("answers a second on a GPU; whether GPU and CPU name the same labels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
