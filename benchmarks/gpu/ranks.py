"""Part c: two ranks on the one GPU by Gloo, and NCCL with one rank. Several GPUs are not shown by it."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from benchmarks.gpu import digits, jobs, made, pictures
from benchmarks.gpu.result import Asked, count_cores, parse, show, show_missing
from contract import jsonio
from contract.storage import open_root
from training.fit.job import Job
from training.fit.process_group import ProcessGroup, join_process_group

CHECKOUT = Path(__file__).resolve().parents[2]


class AlwaysReducing(ProcessGroup):
    """A group of one rank that reduces all the same, by the library."""

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """Sums over the one rank."""
        dist.all_reduce(tensor)
        return tensor

    def barrier(self) -> None:
        """Waits by the library."""
        dist.barrier()


def write(folder: Path, asked: Asked, ranks: int) -> Path:
    """Writes a job of so many ranks on digits, of 64 rows a step over all."""
    side, share, epochs = (32, 0.16, 1) if asked.tiny else (64, 1.0, 5)
    root = str(folder / f"root-{ranks}")
    files = load(side, share)
    jobs.write_manifest(open_root(root, create=True), {k: len(rows.hashes) for k, rows in files.items()}, pictures.CLASSES)
    job = jobs.make_job(root, "ranks", asked.choose_network("resnet18"), pictures.CLASSES, side,
                        max(1, count_cores() // ranks), ranks=ranks, batch=64 // ranks, epochs=epochs, device=asked.device)
    path = folder / f"job-{ranks}.json"
    path.write_bytes(jsonio.dumps(job.to_dict() | {"share": share}))
    return path


def load(side: int, share: float) -> dict[str, made.Rows]:
    """Loads clean digits (made ones for a share below 1: it takes less time): three quarters to train, the rest to validate."""
    found = pictures.load_part("first")[1] if share == 1 else pictures.make_pictures("first", int(700 * share))
    rows = pictures.decode(found, side)
    cut = len(rows.hashes) * 3 // 4
    first, rest = (made.Rows(rows.images[part], rows.labels[part], rows.hashes[part]) for part in (slice(cut), slice(cut, None)))
    return made.split_rows("train", first, 4) | made.split_rows("validation", rest, 1)


def run_rank(path: Path) -> None:
    """Trains as the rank that the environment names, and prints what it was."""
    document = json.loads(path.read_text())
    share = document.pop("share")
    job = Job.parse(document, str(path))
    with join_process_group(job.threads, device_asked=job.train.device) as group:
        loop = made.TimedLoop(job, group, made.MemoryFeed(load(job.preprocess.crop or 0, share)))
        loop.run()
        backend = dist.get_backend() if group.size > 1 else "none"
        print(json.dumps({"rank": group.rank, "backend": backend, "device": str(group.device), "rate": loop.measure_rate(),
                          "weights": float(sum(w.double().abs().sum() for w in loop.state.result().values()))}), flush=True)


def start_ranks(path: Path, ranks: int) -> list[dict[str, Any]]:
    """Starts the ranks in this part's own process group, and returns what each printed. RuntimeError: one failed."""
    env = os.environ | {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1",
                        "MASTER_PORT": str(find_port()), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "benchmarks.gpu.ranks", "--rank", str(path)]
    processes = [subprocess.Popen(command, env=env | {"RANK": str(n), "LOCAL_RANK": str(n)}, stdout=subprocess.PIPE, text=True)
                 for n in range(ranks)]
    try:
        while any(p.poll() is None for p in processes) and not any(p.poll() for p in processes):
            time.sleep(0.1)
    finally:
        for process in processes:
            if any(p.poll() for p in processes):
                process.kill()
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"a rank failed: exit codes {[p.returncode for p in processes]}")
    return [json.loads(text.strip().splitlines()[-1]) for text in said]


def find_port() -> int:
    """Finds a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def join_nccl() -> Iterator[AlwaysReducing]:
    """Joins a group of one rank by NCCL."""
    dist.init_process_group("nccl", init_method=f"tcp://127.0.0.1:{find_port()}", rank=0, world_size=1)
    try:
        yield AlwaysReducing(0, 1, torch.device("cuda", 0))
    finally:
        dist.destroy_process_group()


def show_nccl(path: Path) -> None:
    """Trains one rank whose every sum goes through NCCL."""
    document = json.loads(path.read_text())
    share = document.pop("share")
    job = Job.parse(document, str(path)).model_copy(update={"folder": "checkpoints/nccl/", "ranks": 1})
    with join_process_group(job.threads, alone=True, device_asked="cuda"), join_nccl() as group:
        loop = made.TimedLoop(job, group, made.MemoryFeed(load(job.preprocess.crop or 0, share)))
        loop.run()
    show("one rank by NCCL", accuracy=made.read_result(job)[1]["validation"]["accuracy"], rows_per_s=loop.measure_rate(),
         nccl=".".join(map(str, torch.cuda.nccl.version())), holds=True)


def compare(folder: Path, asked: Asked) -> Path:
    """One rank and two on the same rows (on a CPU two alone); returns the job of the last."""
    results = {}
    for ranks in (2,) if asked.tiny else (1, 2):
        path = write(folder, asked, ranks)
        said = start_ranks(path, ranks)
        document = json.loads(path.read_text())
        document.pop("share")
        accuracy = made.read_result(Job.parse(document, str(path)))[1]["validation"]
        results[ranks] = accuracy["accuracy"]
        same = len({entry["weights"] for entry in said}) == 1
        show(f"{ranks} rank{'s' if ranks > 1 else ''} on {said[0]['device']}", backend=said[0]["backend"], same_weights=same,
             accuracy=accuracy["accuracy"], rows_per_s=said[0]["rate"], holds=same)
    if not asked.tiny:
        allowed = digits.noise(results[1], int(accuracy["rows"]), 1)
        show("two ranks end where one does", one=results[1], two=results[2], allowed=allowed,
             holds=abs(results[1] - results[2]) <= allowed)
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the part; with --rank, is one of its ranks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=Path)
    asked, rank = parse(argv, parser), parser.parse_known_args(argv)[0].rank
    if rank:
        run_rank(rank)
        return 0
    with tempfile.TemporaryDirectory(prefix="trueup-gpu-") as folder:
        path = compare(Path(folder), asked)
        if asked.gpu:
            show_nccl(path)
        else:
            show_missing("two ranks on one GPU, NCCL")
    show_missing("several GPUs: no sum between two of them was made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
