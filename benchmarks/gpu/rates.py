"""Part b: ResNet-50 at 224 px in bfloat16: rows a second on noise in memory, with our feed of JPEGs made here, and with
torchvision's own loader and loop. The aim: 95% of the rate on noise, or of what the cores can decode."""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu import jobs, made
from benchmarks.gpu.result import SMALL_NETWORK, Asked, count_cores, parse, show, show_missing
from benchmarks.training import InMemory
from contract.documents import manifest
from contract.storage import open_root
from inference.model import preprocess
from training.feed import augment
from training.feed.feed import Feed
from training.fit.job import Job

AIM = 0.95
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Sizes:
    """What is trained: rows of an epoch, rows of a step, sides of network and files, epochs (the first is not counted)."""

    network: str
    rows: int
    batch: int
    side: int
    file_side: int
    epochs: int


LARGE = Sizes("resnet50", 8192, 128, 224, 256, 4)
SMALL = Sizes(SMALL_NETWORK, 64, 16, 32, 48, 2)


def make_jpegs(folder: Path, sizes: Sizes) -> list[tuple[str, int]]:
    """Writes JPEGs of smooth noise in two class folders; returns (path, label) of each."""
    from PIL import Image

    for name in "ab":
        (folder / name).mkdir(parents=True)

    def write(n: int) -> tuple[str, int]:
        side, path = sizes.file_side, folder / "ab"[n % 2] / f"{n:06d}.jpg"
        small = Image.fromarray(np.random.default_rng(n).integers(0, 256, (side // 5, side // 5, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=87)
        return str(path), n % 2

    with ThreadPoolExecutor(count_cores()) as pool:
        return list(pool.map(write, range(sizes.rows)))


def lay_out(folder: Path, sizes: Sizes, asked: Asked) -> tuple[Job, made.JpegFiles]:
    """Makes the files, the manifest and the job."""
    listed = make_jpegs(folder / "pictures", sizes)
    files = {f"train/{n}": listed[n::8] for n in range(8)}
    jobs.write_manifest(open_root(str(folder / "root"), create=True), {k: len(rows) for k, rows in files.items()}, ["a", "b"])
    job = jobs.make_job(str(folder / "root"), "rates", sizes.network, ["a", "b"], sizes.side, count_cores(),
                        resize=sizes.file_side, epochs=sizes.epochs, batch=sizes.batch, augment="crop", cache_mib=0,
                        precision="bfloat16" if asked.gpu else "float32", channels_last=asked.gpu, checkpoint_steps=10**6)
    return job, made.JpegFiles(files)


class Measured(made.TimedLoop):
    """Writes nothing at its end."""

    def _finish(self, epoch: int) -> dict[str, Any]:
        return {}


def measure_feed(job: Job, files: made.JpegFiles) -> float:
    """Returns the rows a second that the cores read, decode and cut when nothing is trained: the better of two epochs."""
    manifest_files = manifest.load(open_root(job.root), jobs.DATASET).split("train")
    rows = sum(file.rows for file in manifest_files)
    sizes = [min(job.train.batch, rows - low) for low in range(0, rows, job.train.batch)]
    windows, rates = augment.make_crop_windows(augment.find_strength("crop"), 1, 0), []
    with Feed(open_root(job.root), job.preprocess, count_cores(), rows=files) as feed:
        for _ in range(3):
            began = time.perf_counter()
            for _batch in feed.batches(manifest_files, 0, sizes, windows):
                pass
            rates.append(rows / (time.perf_counter() - began))
    return max(rates[1:])


def train_by_torchvision(folder: Path, sizes: Sizes, asked: Asked) -> float:
    """Returns rows a second of ImageFolder, DataLoader and the loop of torchvision's references, without its extras."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    from inference.model import network

    change = v2.Compose([v2.PILToTensor(), v2.RandomCrop(sizes.side), v2.RandomHorizontalFlip(),
                         v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    loader = DataLoader(ImageFolder(str(folder / "pictures"), change), sizes.batch, shuffle=True, num_workers=count_cores(),
                        pin_memory=asked.gpu, persistent_workers=True)
    layout = torch.channels_last if asked.gpu else torch.contiguous_format
    net = network.build(sizes.network, 2).to(asked.device, memory_format=layout).train()
    step = make_step(net, torch.optim.AdamW(net.parameters(), 1e-3), asked, layout)
    seconds = [time_epoch(loader, step, asked) for _ in range(sizes.epochs)]
    return sizes.rows / min(seconds[1:])


def make_step(net: torch.nn.Module, optimizer: torch.optim.Optimizer, asked: Asked, layout: torch.memory_format
              ) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """Returns a function that trains on one batch."""
    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        images = images.to(asked.device, non_blocking=True, memory_format=layout)
        labels = labels.to(asked.device, non_blocking=True)
        with torch.autocast(asked.device, torch.bfloat16, enabled=asked.gpu):
            loss = torch.nn.functional.cross_entropy(net(images), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return step


def time_epoch(loader: Any, step: Callable[[torch.Tensor, torch.Tensor], None], asked: Asked) -> float:
    """Returns the seconds of one pass."""
    began = time.perf_counter()
    for images, labels in loader:
        step(images, labels)
    if asked.gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the part."""
    asked = parse(argv)
    sizes = SMALL if asked.tiny else LARGE
    with tempfile.TemporaryDirectory(prefix="trueup-gpu-") as temporary:
        folder = Path(temporary)
        job, files = lay_out(folder, sizes, asked)
        what = {"network": sizes.network, "side": sizes.side, "batch": sizes.batch, "rows": sizes.rows}
        noise = made.train(job, asked.device, InMemory(job.preprocess), Measured).measure_rate()
        show("training on noise in memory", rows_per_s=noise, **what)
        decoder = "simplejpeg" if preprocess.find_turbo() else "Pillow"
        cores = measure_feed(job, files)
        show("our feed alone", rows_per_s=cores, cores=count_cores(), decoder=decoder)
        feed = Feed(open_root(job.root), job.preprocess, count_cores(), rows=files)
        ours = made.train(job, asked.device, feed, Measured).measure_rate()
        of_noise, of_cores = ours / noise, ours / min(noise, cores)
        judged = {} if asked.tiny else {"holds": of_cores >= AIM}
        show("training with our feed", rows_per_s=ours, of_noise=of_noise, of_noise_or_cores=of_cores, aim=AIM, **judged)
        show("torchvision's loader and loop", rows_per_s=train_by_torchvision(folder, sizes, asked), **what)
    if not asked.gpu:
        show_missing("rates of ResNet-50 at 224 px in bfloat16; those of this size mean nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
