"""Images per second that reach training: our Petastorm path against others, on JPEGs made here.

    python -m benchmarks.feeding [--images 20000] [--repeats 3] [--folder DIR] [--peers PYTHON] [--json]

Random crop and flip into batches, as uint8 and as normalised float. The limit is decoding, cropping and flipping bytes (and
normalising) that are in memory, in the same run, by bare threads or processes, whichever are faster. One dataset serves plain
`make_reader` and our path. Every way runs an epoch that is not counted first; workers persist. Ours is measured decoding every
epoch (`train.cache_mib=0`), and caching what it decoded: its first epoch, whose time includes emptying the cache, later epochs,
and what both make of a run.
`--peers` names a Python that has `mosaicml-streaming` and `webdataset` (they are no part of our environment); without it these
two are not measured.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.feeding_peers import BATCH, CROP, WORKERS, image_folder, make_reader, make_reader_cached, start_peer
from benchmarks.timed import machine, today
from contract.settings import TrainSettings

SIDE = 256
PEERS = {"MosaicML streaming": "streaming", "WebDataset": "webdataset"}
ANEW, FIRST, LATER = (f"trueup, {part}" for part in ("decoding every epoch", "keeping: its first epoch", "keeping: later epochs"))
RUN = TrainSettings().epochs
CACHE_BYTES = 4 << 30  # enough for all pictures, as `train.cache_mib=4096`
Way = Callable[[], Iterator[int]]


def main() -> None:
    """Makes the pictures, measures every way, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where pictures and dataset are kept for another run")
    parser.add_argument("--peers", help="a Python with mosaicml-streaming and webdataset")
    parser.add_argument("--prepare", action="store_true", help="make pictures and dataset only (needs --folder)")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trueup-feeding-") as temporary:
        folder = asked.folder or Path(temporary)
        dataset = prepare(folder, asked.images)
        if not asked.prepare:
            document = measure(folder, *dataset, asked.repeats, asked.peers)
            print(json.dumps(document, indent=1) if asked.json else format_table(document))


def prepare(folder: Path, images: int) -> tuple[Any, Any]:
    """Makes a dataset of `images` pictures, unless it is there; returns the root's storage and the manifest."""
    from contract.documents import manifest
    from contract.storage import open_root

    name = folder / f"dataset-of-{images}"
    if not name.exists():
        if not (folder / "pictures").exists():
            make_pictures(folder / "pictures", images)
        name.write_text(make_dataset(folder))
    storage = open_root(str(folder / "root"))
    return storage, manifest.load(storage, name.read_text())


def make_pictures(folder: Path, images: int) -> None:
    """Writes `images` JPEGs of smooth noise, about 20 kB each, in two class folders."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for n in range(images):
        small = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / "ab"[n % 2] / f"{n:06d}.jpg", quality=87)


def make_dataset(folder: Path) -> str:
    """Makes a dataset of the pictures by the real job and returns its id."""
    import logging

    from jobs import import_images

    logging.disable(logging.WARNING)
    # Near duplicates are not looked for: noise has none.
    sets = ("--set", "dataset.near_bits=0", "--set", "dataset.holdout_share=0.001", "--set", "dataset.validation_share=0.001")
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        code = import_images.main([str(folder / "pictures"), "--root", str(folder / "root"), "--model", "m", "--json", *sets])
        document = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = stdout
    if code:
        raise SystemExit(f"the dataset was not made: {document}")
    return document["dataset"]


def measure(folder: Path, storage: Any, made: Any, repeats: int, peers: str | None) -> dict[str, Any]:
    """Returns the images per second of each way (median), the ways taken in turn so that a busy machine hurts them alike."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # Petastorm's, of what it uses of pyarrow
    files, load = made.split("train"), os.getloadavg()[0]
    ways = {kind: list_ways(kind, folder, storage, files, peers) for kind in ("uint8", "float")}
    rates: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in found} for kind, found in ways.items()}
    for repeat in range(repeats + 1):
        for kind, name, way in ((kind, name, way) for kind, found in ways.items() for name, way in found.items()):
            began = time.perf_counter()
            rows = sum(way())
            spent = time.perf_counter() - began
            if rows < made.rows["train"]:
                raise SystemExit(f"{name}: expected {made.rows['train']} rows at least, got {rows}")
            rates[kind][name] += [rows / spent] if repeat else []
    bytes_ = sum(run_apart(count_bytes, storage, files)) / made.rows["train"]
    _APART.pop().shutdown()
    for feed in _FEEDS.values():
        feed.close()
    return {"machine": machine(), "date": today(), "load_before": round(load, 1), "images": made.rows["train"],
            "bytes_per_image": round(bytes_), "repeats": repeats, "peers_measured": bool(peers),
            "rates": {kind: {n: round(statistics.median(r), 1) for n, r in found.items()} for kind, found in rates.items()}}


def list_ways(kind: str, folder: Path, storage: Any, files: Any, peers: str | None) -> dict[str, Way]:
    """Returns the ways to feed batches of a kind, uint8 or float, by name; the first two are the limit, then come ours."""
    ways: dict[str, Way] = {f"limit: in memory, {WORKERS} {bare}": partial(run_apart, feed_limit, storage, files, kind, bare)
                            for bare in ("threads", "processes")}
    ways |= {way: partial(feed_ours, way, storage, files, kind) for way in (ANEW, FIRST, LATER)}
    rows = storage.path(files[0].key).parent
    ways["Petastorm make_reader"] = partial(make_reader, rows, kind)
    ways["Petastorm make_reader, its disk cache"] = partial(make_reader_cached, rows, kind, folder / "petastorm-cache")
    for decoder in ("Pillow", "decode_jpeg"):
        ways[f"ImageFolder ({decoder})"] = image_folder(folder / "pictures", decoder, kind)
    for name, module in PEERS.items() if peers else ():
        ways[name] = start_peer(peers, module, folder, kind)
    return ways


def run_apart(way: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Runs a way in a process of its own, which stays: here its pictures in memory would slow the forks of the others."""
    if not _APART:
        _APART.append(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
    yield from _APART[0].submit(_run_to_end, way, *arguments).result()


def _run_to_end(way: Callable[..., Iterator[Any]], *arguments: Any) -> list[Any]:
    import torch

    torch.set_num_threads(1)
    return list(way(*arguments))


_APART: list[ProcessPoolExecutor] = []
_ROWS: list[Any] = []
_FEEDS: dict[bool, Any] = {}


def read_into_memory(storage: Any, files: Any) -> list[Any]:
    """Returns every training row, read once in this process; each exactly once."""
    from training.feed import reader

    if not _ROWS:
        _ROWS.extend(reader.read_rows(storage, files, 0, _count(files)))
        assert len({sample.image_sha256 for sample in _ROWS}) == len(_ROWS) == _count(files)
    return _ROWS


def count_bytes(storage: Any, files: Any) -> Iterator[int]:
    """Yields the bytes of each picture."""
    yield from (len(sample.image) for sample in read_into_memory(storage, files))


def _count(files: Any) -> int:
    return sum(file.rows for file in files)


def feed_limit(storage: Any, files: Any, kind: str, bare: str) -> Iterator[int]:
    """Feeds by two threads or processes that do nothing else, in memory that they keep; float: each picture normalised at
    once."""
    import simplejpeg
    import torch

    from contract.documents.card import Preprocess
    from inference.model.preprocess import normalise
    from training.feed.augment import draw_uniforms
    from training.feed.crop import crop_picture

    rows, how = read_into_memory(storage, files), Preprocess(resize=SIDE, crop=CROP)
    windows = draw_uniforms(1, 0, [row.image_sha256 for row in rows])

    def work(first: int) -> None:
        scratch = np.empty(3 * SIDE * SIDE, np.uint8)
        batch = torch.empty(BATCH, CROP, CROP, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
        floats = torch.empty(BATCH, CROP, CROP, 3).permute(0, 3, 1, 2) if kind == "float" else None
        for n in range(first, len(rows), WORKERS):
            pixels = torch.from_numpy(simplejpeg.decode_jpeg(rows[n].image, "RGB", buffer=scratch)).permute(2, 0, 1)
            batch[n % BATCH].copy_(crop_picture(pixels, CROP, *windows[n, :3]))
            if floats is not None:
                normalise(batch[n % BATCH], how, floats[n % BATCH])

    make = {"threads": threading.Thread, "processes": multiprocessing.get_context("fork").Process}[bare]
    workers = [make(target=work, args=(first,)) for first in range(WORKERS)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    yield len(rows)


def feed_ours(way: str, storage: Any, files: Any, kind: str) -> Iterator[int]:
    """Feeds by the path of the training loop with `train.augment: crop`; every row exactly once is checked beside."""
    from contract.documents.card import Preprocess
    from training.feed import augment
    from training.feed.feed import Feed
    from training.feed.normalise import Normaliser

    rows, how, seen = _count(files), Preprocess(resize=SIDE, crop=CROP), set()
    feed = _FEEDS.setdefault(way == ANEW, Feed(storage, how, WORKERS, cache_bytes=0 if way == ANEW else CACHE_BYTES))
    if way == FIRST:
        feed.close()
    sizes = [min(BATCH, rows - at) for at in range(0, rows, BATCH)]
    windows = augment.make_crop_windows(augment.find_strength("crop"), 1, 0)
    normaliser = Normaliser(how)
    for batch in feed.batches(files, 0, sizes, windows):
        seen.update(batch.hashes)
        yield len(normaliser(batch.images) if kind == "float" else batch.images)
    assert len(seen) == rows


def rate_of_run(epochs: int, rates: dict[str, float]) -> float:
    """Returns the images per second of a run that caches pictures: one first epoch, and later ones."""
    return epochs / (1 / rates[FIRST] + (epochs - 1) / rates[LATER])


def format_table(document: dict[str, Any]) -> str:
    """Returns the rates, as parts of the limit and as multiples of the best peer."""
    lines = [f"{document['machine']}, {document['date']}, load before: {document['load_before']}",
             f"{document['images']} JPEGs of {SIDE} px and {document['bytes_per_image'] / 1000:.0f} kB, crop {CROP}, batches of "
             f"{BATCH}, {WORKERS} threads or workers, median of {document['repeats']}"]
    for kind, rates in document["rates"].items():
        top = max(rate for name, rate in rates.items() if name.startswith("limit"))
        peer = max(rate for name, rate in rates.items() if not name.startswith(("limit", "trueup")))
        lines.append(f"{f'as {kind}':<42}{'images/s':>10}{'of limit':>10}{'of best peer':>14}")
        for name, rate in [*rates.items(), (f"trueup, keeping: a run of {RUN} epochs", rate_of_run(RUN, rates))]:
            lines.append(f"{name:<42}{rate:>10,.0f}{rate / top:>10.0%}{rate / peer:>13.2f}x")
    return "\n".join(lines + ([] if document["peers_measured"] else [f"{name}: not measured" for name in PEERS]))


if __name__ == "__main__":
    main()
