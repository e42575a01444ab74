"""What reading costs training, and what the launcher costs: two ranks on this machine.

    python -m benchmarks.training [--rows 256] [--size 224] [--network resnet18] [--repeats 3] [--json]

The same loop over the same steps, once on a dataset (Petastorm, JPEGs of 256 px), once on pictures that are in memory
already; epochs are timed inside the ranks, the first is not counted, the two are taken in turn. Then the whole of a
small `trueup train` under each launcher: seconds by the clock and of processor.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import timed

RANKS, BATCH, EPOCHS = 2, 16, 3
CHECKOUT = Path(__file__).resolve().parents[1]
SPENT = "seconds of the epochs: "


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; as a rank (--rank JOB.json) trains and prints its seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rank", help=argparse.SUPPRESS)
    parser.add_argument("--synthetic", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.rank:
        run_rank(Path(asked.rank), asked.synthetic)
        return 0
    document = measure(asked.rows, asked.size, asked.network, asked.repeats)
    print(json.dumps(document, indent=1) if asked.json else format_text(document))
    return 0


def measure(rows: int, size: int, network: str, repeats: int) -> dict[str, Any]:
    """Rows a second with data and without, their ratio, and each launcher's cost."""
    from benchmarks.feeding import make_dataset, make_pictures

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="trueup-training-") as folder:
        make_pictures(Path(folder, "pictures"), rows)
        dataset = make_dataset(Path(folder))
        job = write_job(Path(folder), dataset, network, size)
        spent: dict[str, list[float]] = {"data": [], "memory": []}
        for _ in range(repeats):
            for kind, seconds in spent.items():
                seconds += time_epochs(job, synthetic=kind == "memory")[1:]
        n = json.loads(job.read_text())["rows"]
        launchers = time_launchers(Path(folder), dataset, repeats)
    data, memory = (n / statistics.median(seconds) for seconds in spent.values())
    return {"machine": timed.machine(), "date": timed.today(), "load_before": round(load, 1), "network": network,
            "size": size, "rows": n, "ranks": RANKS, "batch": BATCH, "rows_per_s": round(data, 1),
            "rows_per_s_in_memory": round(memory, 1), "ratio": round(data / memory, 3), "launchers": launchers}


def write_job(folder: Path, dataset: str, network: str, size: int) -> Path:
    """Writes the job as the ranks get it, with the dataset's rows, and returns the path."""
    from command.load_settings import load
    from contract.documents import manifest
    from contract.registry import Registry
    from contract.storage import open_root
    from training.first_version import FirstVersion
    from training.train import plan_job

    storage = open_root(str(folder / "root"))
    # Pictures are not cached, so every epoch is as dear as the first.
    options = {"launcher": "torchrun", "ranks": RANKS, "epochs": EPOCHS, "batch": BATCH, "augment": "crop", "cache_mib": 0}
    settings = load(root=storage.root, model="m", overrides=[f"train.{k}={v}" for k, v in options.items()])
    made = manifest.load(storage, dataset)
    job = plan_job(storage, Registry(storage, "m"), settings, made, None, "1", None,
                 FirstVersion(network, size))
    # The picture is shrunk to a little more than what is cut out of it, as in the usual recipe (256 and 224).
    look = job.preprocess.model_copy(update={"resize": round(size * 256 / 224), "crop": size})
    path = folder / "job.json"
    path.write_text(json.dumps(job.model_copy(update={"preprocess": look}).to_dict() | {"rows": made.rows["train"]}))
    return path


def time_epochs(job: Path, synthetic: bool) -> list[float]:
    """Trains on two ranks and returns the seconds of each epoch on rank 0."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={RANKS}", "-m",
               "benchmarks.training", "--rank", str(job), *(["--synthetic"] if synthetic else [])]
    env = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": str(max(os.cpu_count() // RANKS, 1)),
                        "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a rank failed: {done.stderr[-2000:]}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith(SPENT)).removeprefix(SPENT))


def run_rank(path: Path, synthetic: bool) -> None:
    """Runs the loop of training as one rank, its epochs timed, without validation, and prints their seconds."""
    from training.fit import loop
    from training.fit.job import Job
    from training.fit.process_group import join_process_group

    class Timed(loop.Loop):
        spent: list[float] = []  # noqa: RUF012

        def _run_epoch(self, epoch: int, first: int) -> None:
            began = time.perf_counter()
            super()._run_epoch(epoch, first)
            self.spent.append(time.perf_counter() - began)

        def _validate(self) -> None:
            return None

        def _finish(self, epoch: int) -> dict[str, Any]:
            self.process_group.barrier()
            return {}

    document = json.loads(path.read_text())
    del document["rows"]
    job = Job.parse(document, str(path))
    with join_process_group(job.threads) as group:
        Timed(job, group, InMemory(job.preprocess) if synthetic else None).run()
        if group.is_first:
            print(SPENT + json.dumps(Timed.spent), flush=True)


class InMemory:
    """A training.feed.batches.BatchSource: pictures of noise made once."""

    def __init__(self, preprocess: Any) -> None:
        self.side = preprocess.crop

    def batches(self, _files: Any, _low: int, sizes: Sequence[int], _windows: Any = None) -> Iterator[Any]:
        """Yields batches of these sizes."""
        import torch

        from training.feed.batches import Batch

        made = torch.randint(0, 256, (max(sizes), self.side, self.side, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
        for size in sizes:
            yield Batch(made[:size], torch.zeros(size, dtype=torch.int64), [f"{n:064x}" for n in range(size)])

    def close(self) -> None:
        """Holds nothing."""


def time_launchers(folder: Path, dataset: str, repeats: int) -> dict[str, dict[str, float]]:
    """Returns the seconds of `trueup train` of one short epoch at 32 px, by launcher: by the clock and of processor."""
    from benchmarks.timed import Case, alternate, trueup

    def command(launcher: str) -> list[str]:
        return trueup("train", "--root", str(folder / "root"), "--model", "m", "--dataset", dataset, "--parent", "none",
                      "--network", "resnet18", "--size", "32", "--epochs", "1", "--launcher", launcher, "--ranks", str(RANKS),
                      "--json")

    cases = [Case(name, command(name), env={"PYTHONPATH": str(CHECKOUT)}) for name in ("process", "torchrun", "spark")]
    alternate(cases, repeats)
    return {case.name: {"wall": round(case.median("wall"), 1), "cpu": round(case.median("cpu"), 1)} for case in cases}


def format_text(document: dict[str, Any]) -> str:
    """Returns the figures for people."""
    head = (f"{document['machine']}, {document['date']}, load before: {document['load_before']}\n"
            f"{document['network']} at {document['size']} px, {document['ranks']} ranks, batches of {document['batch']}, "
            f"{document['rows']} rows an epoch: {document['rows_per_s']:,.1f} rows/s with data, "
            f"{document['rows_per_s_in_memory']:,.1f} in memory: {document['ratio']:.1%}")
    lines = [f"trueup train by {name:<9} {cost['wall']:6.1f} s, {cost['cpu']:6.1f} CPU-seconds"
             for name, cost in document["launchers"].items()]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    sys.exit(main())
