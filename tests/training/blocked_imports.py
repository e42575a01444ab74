"""python -m tests.training.blocked_imports FOLDER: trains, resumes and predicts where Petastorm, Spark and simplejpeg cannot be
imported, as on a GPU machine that has torch and not our lock. Prints one line of JSON."""

import importlib
import importlib.abc
import json
import pkgutil
import sys

REFUSED = ("petastorm", "pyspark", "simplejpeg", "pyarrow.filesystem")
REFUSED_WITHOUT_PYARROW = (*REFUSED, "pyarrow")


class Refuse(importlib.abc.MetaPathFinder):
    """Finds none of the modules that are refused."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if any(name == refused or name.startswith(f"{refused}.") for refused in self.names):
            raise ModuleNotFoundError(f"{name} is refused", name=name)


def import_all() -> list[str]:
    """Imports every module of training/fit, training/feed and inference/model."""
    names = []
    for package in ("training.fit", "training.feed", "inference.model"):
        found = importlib.import_module(package)
        names += [f"{package}.{module.name}" for module in pkgutil.iter_modules(found.__path__)]
    for name in names:
        importlib.import_module(name)
    return names


def feed_jpegs(folder: str) -> int:
    """Reads JPEG files by our feed, decoded by Pillow, in threads and in processes; returns how many rows came."""
    from pathlib import Path

    import torch

    from benchmarks.gpu import jobs, made, pictures
    from contract.documents.card import Preprocess
    from contract.storage import open_root
    from training.feed.feed import Feed

    found, rows = pictures.load_part("first", 0.05)[1], []
    for n, picture in enumerate(found):
        path = Path(folder, f"{n}.jpg")
        path.write_bytes(picture.data)
        rows.append((str(path), int(picture.truth)))
    storage = open_root(f"{folder}/jpegs", create=True)
    files = jobs.write_manifest(storage, {"train/0": len(rows)}, pictures.CLASSES).split("train")
    expected = pictures.decode(found, 32)
    for forked in (False, True):
        with Feed(storage, Preprocess(resize=32, crop=32), 2, forked, 1 << 20, made.JpegFiles({"train/0": rows})) as feed:
            for _ in range(2):  # the second time from the cache
                (batch,) = feed.batches(files, 0, [len(rows)])
                assert torch.equal(batch.images, expected.images) and torch.equal(batch.labels, expected.labels)
                del batch
    return len(rows)


def train(folder: str) -> dict:
    """Trains on rows in memory, stops after a checkpoint, resumes, and asks the result through the class that serves."""
    import numpy
    import torch

    from benchmarks.gpu import digits, jobs, made, pictures
    from benchmarks.gpu.result import Asked
    from contract.documents.card import Preprocess
    from inference.model.predictor import Predictor
    from training.fit.grow_head import grow

    network = "tests.training.tiny:build"
    data = digits.prepare(f"{folder}/root", Asked("cpu", True))
    options = {"epochs": 2, "checkpoint_steps": 1, "augment": "light", "batch": 16}
    whole, stopped = (jobs.make_job(data.root, name, network, pictures.CLASSES, 32, 1, **options)
                      for name in ("whole", "stopped"))
    made.train(whole, "cpu", data.feed)
    try:
        made.train(stopped, "cpu", data.feed, made.StoppingLoop)
    except made.Stopped:
        made.train(stopped, "cpu", data.feed)
    (weights, entry), (_, expected) = made.read_result(stopped), made.read_result(whole)
    from benchmarks.gpu.service import describe

    card, _ = describe(weights, network, Preprocess(resize=32, crop=32), pictures.CLASSES, "1")
    predictor = Predictor(card, weights, "cpu")
    row = predictor.probabilities(predictor.stack([predictor.prepare(pictures.load_part("held", 0.01)[1][0].data)]))
    from safetensors.torch import load

    grown = grow(network, load(weights), pictures.CLASSES, [*pictures.CLASSES, "ten"], 1)
    with torch.inference_mode():
        logits = grown(torch.zeros(1, 3, 32, 32))
    return {"resumed": entry["sha256"], "undisturbed": expected["sha256"], "sum": float(row.sum()), "classes": row.shape[1],
            "grown": logits.shape[1], "numpy": numpy.__version__, "python": sys.version.split()[0]}


def main() -> None:
    refused = REFUSED_WITHOUT_PYARROW if "--without-pyarrow" in sys.argv else REFUSED
    sys.meta_path.insert(0, Refuse(refused))
    names = import_all()
    found = train(sys.argv[1]) | {"modules": len(names), "fed": feed_jpegs(sys.argv[1])}
    found["loaded"] = [name for name in sys.modules if name.split(".")[0] in ("petastorm", "pyspark", "simplejpeg")]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
