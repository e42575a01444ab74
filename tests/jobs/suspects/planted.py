"""Roots with wrong labels that are known: made-up answers in milliseconds, or scikit-learn's digits with a trained network."""

import hashlib
import io
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from contract import clock, ids, layout
from contract.dataset_record import INDEX, SPLITS
from contract.documents.card import Card, Preprocess
from contract.documents.manifest import LeakageCheck, Manifest, Table
from contract.records import PREDICTION
from contract.registry import Registry
from contract.settings import DatasetSettings
from contract.storage import open_root
from inference.model.perceptual_hash import phash
from jobs.datasets.plan import split_of
from tests.pipeline.roots import put_rows
from tests.training.loop_root import png

MODEL, DAY = "digits", "2026-11-20"
NETWORK = "tests.training.tiny:build"
LOOK = Preprocess(resize=32, crop=32, mean=[0.5] * 3, std=[0.5] * 3)
MADE = "2026-11-10T08:00:00.000000Z"  # before all predictions


@dataclass
class Planted:
    """A root with a dataset; `wrong`: hashes of the pictures that were given another label than `truth` says."""

    root: str
    made: Manifest
    truth: dict[str, str]
    wrong: set[str] = field(default_factory=set)

    @property
    def storage(self):
        return open_root(self.root)


def publish(storage, classes, dataset=None, created_at=MADE, weights=b"w" * 64, network="resnet18", live=True, **facts) -> str:
    """Writes a version; its weights may be a few bytes that nobody loads."""
    registry = Registry(storage, MODEL)
    number = registry.claim(by="test")
    with TemporaryDirectory() as folder:
        file = Path(folder, "weights")
        file.write_bytes(weights)
        registry.write_version(Card(model=MODEL, version=number, created_at=created_at, network=network, classes=classes,
                                    preprocess=LOOK, weights_sha256=hashlib.sha256(weights).hexdigest(),
                                    weights_bytes=len(weights), dataset=dataset, **facts), file)
    if live:
        registry.promote(number, by="test", reason="test", expected_live=None if number == "1" else str(int(number) - 1))
    return number


@cache
def look(data: bytes) -> tuple[tuple[int, int], int]:
    """Width and height of a picture, and its perceptual hash."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size, phash(image)


def describe(storage, data: bytes, label: str, predicted: bool = True, split: str | None = None) -> dict:
    """Stores a picture and makes its row of an index; `predicted`: a prediction brought it."""
    sha256 = hashlib.sha256(data).hexdigest()
    key = layout.image(sha256, "png")
    storage.path(key).parent.mkdir(parents=True, exist_ok=True)
    storage.path(key).write_bytes(data)  # unsynced: thousands of them
    size, near = look(data)
    at = clock.parse_moment(f"{DAY}T08:00:00Z")
    return {"image_sha256": sha256, "label": label, "label_index": 0, "origin": "import", "votes": 1, "agreeing": 1, "day": DAY,
            "selection_probability": None,
            "prediction_id": ids.uuid7(at, bytes.fromhex(sha256[:20])) if predicted else None, "image_uri": key,
            "width": size[0], "height": size[1], "split": split or split_of(sha256, DatasetSettings()), "file": 0,
            "bytes": len(data), "near": near, "came_with": None, "labelers": ["ann"]}


def put_dataset(storage, name: str, rows: list[dict], classes: list[str], near_bits: int = 2) -> Manifest:
    """Writes a dataset's index and its manifest; it has no Petastorm files, which nobody here reads."""
    folder = layout.dataset_attempt(name, "attempt-1")
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, INDEX.arrow()), out)
    tables = []
    for key, data in ((layout.dataset_index(folder), out.getvalue()), (layout.dataset_left_out(folder), b"[]")):
        storage.put(key, data)
        tables.append(Table(key=key, sha256=hashlib.sha256(data).hexdigest(), rows=len(rows)))
    made = Manifest(dataset=name, attempt="attempt-1", model=MODEL, created_at="t", as_of=f"{DAY}T23:00:00Z", classes=classes,
                    rows={split: sum(row["split"] == split for row in rows) for split in SPLITS}, per_class={},
                    label_sources={}, replayed={}, files=[], index=tables[0], left_out={}, listed=tables[1],
                    settings={"near_bits": near_bits}, split_by="", common_metadata={},
                    leakage=LeakageCheck(images_in_two_splits=0, near_bits=near_bits, near_left_out=0))
    storage.put(layout.manifest(name), made.to_bytes())
    return made


def log_answers(storage, rows: list[dict], answers, version: str = "1", role: str = "live", at: str = f"{DAY}T08:00:00Z") -> None:
    """Writes the prediction rows of an index's rows; `answers`: of each row label -> probability, best first."""
    moment = clock.parse_moment(at)
    made = [{"prediction_id": row["prediction_id"], "predicted_at": moment, "model": MODEL, "model_version": version,
             "predicted_label": next(iter(said)), "confidence": next(iter(said.values())), "role": role,
             "top_labels": list(said), "top_probabilities": list(said.values()), "image_sha256": row["image_sha256"],
             "image_uri": row["image_uri"]} for row, said in zip(rows, answers, strict=True)]
    put_rows(storage, PREDICTION, layout.PREDICTIONS, made, DAY, f"{version}{role}")


def noise_picture(seed: int) -> bytes:
    """A picture that is like no other: 8 x 8 grey squares."""
    squares = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    return png(np.kron(squares, np.ones((4, 4), np.uint8)))


def answer(label: str, classes, p: float = 0.9) -> dict[str, float]:
    """What a version says that is sure of `label`: the others share the rest."""
    rest = (1 - p) / max(len(classes) - 1, 1)
    return {label: p} | {other: rest for other in classes if other != label}


def plant(labels: list[str], classes: list[str], rate: float, rng: np.random.Generator) -> list[str]:
    """The labels, a share of them replaced by another class each."""
    given = list(labels)
    for n in rng.choice(len(labels), round(rate * len(labels)), replace=False):
        given[n] = str(rng.choice([name for name in classes if name != labels[n]]))
    return given


def make_digits(root: str, judge: str, seed: int = 1, rate: float = 0.05, most: int | None = None) -> Planted:
    """A dataset of digits with planted errors, of which version 1 learnt the first half, wrong labels too.

    `judge`: what there is to judge the other half with. `logged`: its logged answers, the five likeliest of ten classes.
    `embedding`: its network alone, because another version answered that has no card here. `pixels`: neither, because
    version 1 learnt all of them.
    """
    from contract.sections.modules import allow
    from tests.training.digits_by_hand import train
    from tests.training.loop_root import digits

    allow([NETWORK.partition(":")[0]])
    storage, rng = open_root(root, create=True), np.random.default_rng(seed)
    pixels, labels = digits()
    order = rng.permutation(len(labels))[:most]
    pixels, truth = [pixels[n] for n in order], [labels[n] for n in order]
    classes, half = sorted(set(labels)), len(pixels) // 2
    given = plant(truth, classes, rate, rng)
    rows = [describe(storage, png(p), label) for p, label in zip(pixels, given, strict=True)]
    learnt = rows if judge == "pixels" else rows[:half]
    put_dataset(storage, "d1", [row | {"split": "train"} for row in learnt], classes)
    weights = b"w" * 64 if judge == "pixels" else train(pixels[:half], [classes.index(x) for x in given[:half]], len(classes))
    publish(storage, classes, "d1", weights=weights, network=NETWORK)
    said = [answer(label, classes) for label in given] if judge == "pixels" else _ask(weights, pixels, classes)
    log_answers(storage, rows, said, "9" if judge == "embedding" else "1")
    known = {row["image_sha256"]: label for row, label in zip(rows, truth, strict=True)}
    return Planted(root, put_dataset(storage, "d2", rows, classes), known,
                   {row["image_sha256"] for row in rows if row["label"] != known[row["image_sha256"]]})


def _ask(weights: bytes, pixels, classes) -> list[dict[str, float]]:
    """The five likeliest classes of each picture."""
    import torch
    from safetensors.torch import load

    from tests.training import tiny

    network = tiny.build(len(classes))
    network.load_state_dict(load(weights))
    x = torch.from_numpy(np.stack(pixels)).float()[:, None].expand(-1, 3, -1, -1).div(127.5).sub(1)
    with torch.inference_mode():
        p = network.eval()(x).softmax(1).numpy()
    return [{classes[k]: float(row[k]) for k in row.argsort()[::-1][:5]} for row in p]
