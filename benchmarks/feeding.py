"""Images per second that reach training as uint8 batches: our Petastorm path against others, on JPEGs made here.

    python -m benchmarks.feeding [--images 20000] [--repeats 3] [--json]

The limit is decoding, cropping and flipping the same bytes, already in memory, with our own decoder in the same run. One
dataset serves plain `make_reader` and our path. MosaicML streaming and WebDataset are measured where they are installed.
"""

import argparse
import hashlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

BATCH, SIDE, CROP, WORKERS = 64, 256, 224, 2
ABSENT = {"MosaicML streaming": "streaming", "WebDataset": "webdataset"}


def main() -> None:
    """Makes the pictures, measures every way, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trueup-feeding-") as folder:
        document = measured(Path(folder), asked.images, asked.repeats)
    print(json.dumps(document, indent=1) if asked.json else table(document))


def measured(folder: Path, images: int, repeats: int) -> dict[str, Any]:
    """Images per second of each way (median), the ways taken in turn so that a busy machine hurts them alike."""
    pictures(folder / "pictures", images)
    storage, made = dataset(folder)
    files = made.split("train")
    ways: dict[str, Callable[[], Iterator[int]]] = {
        "limit: decode, crop, flip in memory": partial(limit, storage, files),
        "trueup, Petastorm": partial(ours, storage, files),
        "Petastorm make_reader + DataLoader": partial(plain_petastorm, storage.path(files[0].key).parent),
        "ImageFolder + DataLoader (Pillow)": partial(image_folder, folder / "pictures", False),
        "ImageFolder + DataLoader (decode_jpeg)": partial(image_folder, folder / "pictures", True),
    }
    in_memory(storage, files)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter()
            rows = sum(way())
            rates[name].append(rows / (time.perf_counter() - began))
            if "ImageFolder" not in name and rows != made.rows["train"]:
                raise SystemExit(f"{name}: expected {made.rows['train']} rows, got {rows}")
    return {"images": images, "repeats": repeats, "rates": {n: round(statistics.median(r), 1) for n, r in rates.items()},
            "not_installed": [name for name, module in ABSENT.items() if find_spec(module) is None]}


def pictures(folder: Path, images: int) -> None:
    """JPEGs of smooth noise, about 20 kB each, in two class folders."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for n in range(images):
        small = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / "ab"[n % 2] / f"{n:06d}.jpg", quality=90)


def dataset(folder: Path) -> tuple[Any, Any]:
    """The same pictures as a dataset made by the real job."""
    import logging

    from contract import manifest
    from contract.storage import open_root
    from jobs import images

    logging.disable(logging.WARNING)
    # Near duplicates are not looked for: noise has none.
    sets = ("--set", "dataset.near_bits=0", "--set", "dataset.holdout_share=0.001", "--set", "dataset.validation_share=0.001")
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        code = images.main([str(folder / "pictures"), "--root", str(folder / "root"), "--model", "m", "--json", *sets])
        document = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = stdout
    if code:
        raise SystemExit(f"the dataset was not made: {document}")
    storage = open_root(str(folder / "root"))
    return storage, manifest.load(storage, document["dataset"])


def cut(pixels: Any, key: str) -> Any:
    """uint8 [3, 256, 256] -> [3, 224, 224]: crop and flip, a function of the key."""
    r = hashlib.sha256(key.encode()).digest()
    y, x = r[0] % (SIDE - CROP + 1), r[1] % (SIDE - CROP + 1)
    part = pixels[:, y:y + CROP, x:x + CROP]
    return part.flip(2) if r[2] & 1 else part


def limit(storage: Any, files: Any) -> Iterator[int]:
    """Our decoder on bytes in memory, in as many threads as the others have workers."""
    from contract.card import Preprocess
    from inference.preprocess import to_uint8

    whole = Preprocess(resize=None, crop=None)
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(lambda row: cut(to_uint8(row[1], whole), row[0]).contiguous(), in_memory(storage, files)):
            yield 1


_KEPT: list[tuple[str, bytes]] = []


def in_memory(storage: Any, files: Any) -> list[tuple[str, bytes]]:
    """Hash and bytes of every training row, read once."""
    from training import reader

    if not _KEPT:
        _KEPT.extend((s.image_sha256, s.image) for s in reader.rows(storage, files, 0, _count(files)))
    return _KEPT


def _count(files: Any) -> int:
    return sum(file.rows for file in files)


def ours(storage: Any, files: Any) -> Iterator[int]:
    """The path of the training loop: rows by Petastorm, decoded by threads some steps ahead, in order."""
    import torch

    from contract.card import Preprocess
    from training import reader

    rows = _count(files)
    sizes = [min(BATCH, rows - at) for at in range(0, rows, BATCH)]
    for batch in reader.batches(reader.rows(storage, files, 0, rows), sizes, Preprocess(resize=None, crop=None), WORKERS):
        made = torch.stack([cut(image, key) for image, key in zip(batch.images, batch.hashes, strict=True)])
        yield len(made)


def plain_petastorm(folder: Path) -> Iterator[int]:
    """What Petastorm's own documentation shows."""
    import warnings

    warnings.simplefilter("ignore")
    import torch
    from petastorm import make_reader
    from petastorm.pytorch import DataLoader
    from petastorm.transform import TransformSpec

    def transform(row: dict[str, Any]) -> dict[str, Any]:
        image = cut(torch.from_numpy(row["image"]).permute(2, 0, 1), row["image_sha256"])
        return {"image": image.contiguous().numpy(), "label_index": row["label_index"]}

    spec = TransformSpec(transform, edit_fields=[("image", np.uint8, (3, CROP, CROP), False)],
                         selected_fields=["image", "label_index"])
    reader = make_reader(f"file://{folder}", reader_pool_type="thread", workers_count=WORKERS, transform_spec=spec,
                         schema_fields=["image", "label_index", "image_sha256"])
    with DataLoader(reader, batch_size=BATCH) as loader:
        for batch in loader:
            yield len(batch["image"])


def image_folder(folder: Path, decode_jpeg: bool) -> Iterator[int]:
    """torchvision's ImageFolder with two worker processes."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.io import decode_jpeg as decode
    from torchvision.io import read_file
    from torchvision.transforms import v2

    steps = [v2.RandomCrop(CROP), v2.RandomHorizontalFlip()]
    made = ImageFolder(str(folder), v2.Compose([*([] if decode_jpeg else [v2.PILToTensor()]), *steps]))
    if decode_jpeg:
        made.loader = lambda path: decode(read_file(path))
    torch.set_num_threads(1)
    for images, _ in DataLoader(made, BATCH, shuffle=True, num_workers=WORKERS):
        yield len(images)


def table(document: dict[str, Any]) -> str:
    """The rates with their ratio to the limit and to us."""
    rates = document["rates"]
    top, mine = list(rates.values())[:2]
    lines = [f"{document['images']} JPEGs of {SIDE} px, crop {CROP}, uint8 batches of {BATCH}, {WORKERS} threads or workers",
             f"{'':<42}{'images/s':>10}{'of limit':>10}{'trueup is':>11}"]
    lines += [f"{name:<42}{rate:>10,.0f}{rate / top:>10.0%}{mine / rate:>10.2f}x" for name, rate in rates.items()]
    return "\n".join([*lines, *(f"{name}: not installed, not measured" for name in document["not_installed"])])


if __name__ == "__main__":
    main()
