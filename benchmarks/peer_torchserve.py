"""TorchServe with batches of 8 and our predictor, on $PORT with the root of $ROOT: a peer of `benchmarks.serving`.

This file is both what starts TorchServe and the handler that its worker loads. Needs Java, and a Python with `torchserve`
and `torch-model-archiver` that sees our environment.
"""

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

MODEL = {"1.0": {"defaultVersion": True, "marName": "m.mar", "minWorkers": 1, "maxWorkers": 1, "batchSize": 8,
                 "maxBatchDelay": 10, "responseTimeout": 120}}


@cache
def load_once():  # noqa: ANN201
    """Version 1, once in a worker."""
    from benchmarks.serving import load_version

    return load_version()


def handle(data, context):  # noqa: ANN001, ANN201
    """TorchServe's entry point: a batch of requests -> an answer for each."""
    import torch

    predictor = load_once()
    if not data:
        return None
    rows = predictor.probabilities(torch.stack([predictor.prepare(bytes(one["image"])) for one in data]))
    return [json.dumps(predictor.top(row, 5)) for row in rows]


def serve() -> None:
    """Serves until it is killed."""
    bin_, port = Path(sys.executable).parent, int(os.environ["PORT"])
    with tempfile.TemporaryDirectory(prefix="trueup-torchserve-") as folder:
        subprocess.run([bin_ / "torch-model-archiver", "--model-name", "m", "--version", "1.0", "--handler", __file__,
                        "--export-path", folder, "--force"], check=True)
        addresses = {name: f"http://127.0.0.1:{port + n}" for n, name in enumerate(("inference", "management", "metrics"))}
        settings = {**{f"{name}_address": url for name, url in addresses.items()}, "disable_token_authorization": "true",
                    "job_queue_size": "200", "models": json.dumps({"m": MODEL}), "grpc_inference_port": port + 3,
                    "grpc_management_port": port + 4}
        config = Path(folder, "config.properties")
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        os.chdir(folder)
        subprocess.run([bin_ / "torchserve", "--start", "--foreground", "--model-store", folder, "--models", "m=m.mar",
                        "--ts-config", config], check=True)


if __name__ == "__main__":
    serve()
