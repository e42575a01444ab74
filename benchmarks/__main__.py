"""What this machine does, at the end in one table, and the rates that `trueup emr plan` computes with.

    make bench
    python -m benchmarks [--rows 1e6] [--quick] [--instance m5.large] [--root s3://bucket/prefix] [--recorded FILE]

`--instance` names this machine's type, so that its column is priced by it; `--root` is the store that uploads are timed to, a
folder of this machine by default. `--recorded` is the file that is written, `benchmarks/recorded.json` by default (its form:
emr/costs/rates.py, Recorded). Run it on an idle machine: it says the load.
Several machines' tables side by side: trueup bench here.json there.json
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks import evaluation, incremental, requests, summary
from benchmarks.timed import machine, today
from contract import jsonio


def main(argv: list[str] | None = None) -> int:
    """Prints the tables and records the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="1e6")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--recorded", type=Path, default=summary.RECORDED)
    parser.add_argument("--quick", action="store_true", help="leave out the buckets of 30 and 1,000 days")
    parser.add_argument("--instance", help="this machine's instance type, e.g. g5.xlarge")
    parser.add_argument("--root", help="store that uploads are timed to, e.g. s3://bucket/prefix [default: a folder]")
    parser.add_argument("--network", default=summary.NETWORK, help="trained beside ResNet-18 [default: %(default)s]")
    given = parser.parse_args(argv)
    load = os.getloadavg()[0]
    print(f"{machine()}, {today()}, load before: {load:.1f}")
    counted = evaluation.measure(given.rows, given.repeats, ["embedded"], ["DuckDB by hand"])
    print(evaluation.text(counted), end="\n\n")
    if not given.quick:
        print(incremental.text(incremental.measure([30, 1000], 20_000, given.repeats)), end="\n\n")
    made = record(counted, given.rows, load, given.root, given.instance, given.network)
    made |= {"serving": requests.measure(seconds=3 if given.quick else 10)}
    given.recorded.write_bytes(jsonio.dumps(made))
    print(f"{summary.text([made])}\n\nrecorded in {given.recorded}")
    return 0


def record(counted: dict[str, Any], rows: str, load: float, root: str | None = None, instance: str | None = None,
           network: str = summary.NETWORK) -> dict[str, Any]:
    """The rates of this machine, with what they were measured by."""
    wall = counted["programs"]["trueup embedded"]["wall"]
    of = {"instance": instance} if instance else {}
    return {"machine": machine(), "cores": len(os.sched_getaffinity(0)), **of, "date": today(), "load_before": round(load, 1),
            "evaluation_rows_per_s": (counted["rows"] + counted["labels"]) / wall, "training_rows_per_s": training(),
            "training_of": {"network": network, "rows_per_s": training(network=network)},
            "upload_mb_per_s": upload(root), "upload_to": root or "a folder",
            "commands": {"serving": "python -m benchmarks.requests",
                         "evaluation_rows_per_s": f"python -m benchmarks.evaluation --rows {rows}",
                         "training_rows_per_s": "ResNet-18, 224 px, batches of 16, one process: python -m benchmarks",
                         "upload_mb_per_s": f"64 MiB in 16 objects: python -m benchmarks{f' --root {root}' if root else ''}"}}


def training(seconds: float = 20.0, batch: int = 16, network: str = "resnet18") -> float:
    """Pictures a second through decoding, forward, backward and step of a network at 224 px, one process; on the CPU."""
    import io

    import numpy as np
    import torch
    from PIL import Image

    from contract.documents.card import Preprocess
    from inference.model import network as networks
    from inference.model import preprocess

    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (375, 500, 3), dtype=np.uint8)).save(out, "JPEG")
    net, how = networks.build(network, 10).train(), Preprocess()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    done, began = -batch, 0.0  # the first step warms up
    while done < 0 or time.perf_counter() - began < seconds:
        pictures = torch.stack([preprocess.to_tensor(out.getvalue(), how) for _ in range(batch)])
        loss = torch.nn.functional.cross_entropy(net(pictures), torch.zeros(batch, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += batch
        began = began or time.perf_counter()
    return done / (time.perf_counter() - began)


def upload(root: str | None = None, objects: int = 16, size: int = 4 << 20) -> float:
    """Megabytes a second that a store takes, one object after the other: that of `root`, or a folder's, whose writes are
    synced to the disk. What was written is removed."""
    from contract.storage import open_storage

    with tempfile.TemporaryDirectory() as folder:
        storage, data = open_storage(root or folder), os.urandom(size)
        keys = [f"upload-{uuid.uuid4().hex}/{n}" for n in range(objects)]
        try:
            began = time.perf_counter()
            for key in keys:
                storage.create(key, data)
            return objects * size / 1e6 / (time.perf_counter() - began)
        finally:
            for key in keys:
                storage.delete(key)


if __name__ == "__main__":
    sys.exit(main())
