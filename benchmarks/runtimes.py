"""How fast a network answers ready batches on this machine's CPU, by runtime: the choice behind `runtime` of the card.

    python -m benchmarks.runtimes [--network resnet18] [--batch 8] [--threads 2] [--rounds 5] [--only eager,torchscript]

All runtimes take turns in one process, so that what else runs on the machine hurts them alike. Prints for each the
median images a second by the wall clock and by processor time (times the threads), the ratio to eager, and the largest
difference of a logit to eager float32. ONNX Runtime, which is no dependency of Trueup (docs/decisions/0010-the-service.md says
why), and OpenVINO, which is that of an extra (docs/decisions/0044-runtimes.md), are measured where they are installed.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Runs = dict[str, Callable[[], Any]]


def variants(network: torch.nn.Module, x: torch.Tensor, threads: int, only: list[str]) -> Runs:
    """Name -> a call that computes the logits of `x`; those that cannot be made here are named on stderr."""
    made: Runs = {}
    for name, make in (("eager", eager), ("channels_last", channels_last), ("torchscript", torchscript),
                       ("compile+freeze", compile_network), ("onnxruntime", onnxruntime), ("openvino", openvino),
                       ("bf16 channels_last", bf16), ("openvino bf16", openvino_bf16)):
        if only and name not in only:
            continue
        try:
            made[name] = make(copy.deepcopy(network), x, threads)
            made[name]()
        except Exception as error:
            made.pop(name, None)
            print(f"{name}: not measured: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    return made


def eager(network: Any, x: torch.Tensor, _: int) -> Callable[[], Any]:
    """As PyTorch runs it."""
    return lambda: network(x)


def channels_last(network: Any, x: torch.Tensor, _: int) -> Callable[[], Any]:
    """Weights and pictures with the channels innermost."""
    network = network.to(memory_format=torch.channels_last)
    return lambda: network(x.contiguous(memory_format=torch.channels_last))


def torchscript(network: Any, x: torch.Tensor, _: int) -> Callable[[], Any]:
    """The card's runtime `torchscript`: inference.model.predictor's own."""
    from inference.model.predictor import trace_and_freeze

    made = trace_and_freeze(network, x.shape[1:])
    return lambda: made(x)


def compile_network(network: Any, x: torch.Tensor, _: int) -> Callable[[], Any]:
    """torch.compile, weights folded in; needs a C++ compiler where it serves."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    made = torch.compile(network.to(memory_format=torch.channels_last))
    return lambda: made(x.contiguous(memory_format=torch.channels_last))


def bf16(network: Any, x: torch.Tensor, _: int) -> Callable[[], Any]:
    """Weights and sums of bfloat16."""
    network = network.to(torch.bfloat16, memory_format=torch.channels_last)
    return lambda: network(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


def _onnx(network: Any, x: torch.Tensor) -> str:
    path = Path(tempfile.mkdtemp(), "network.onnx")
    torch.onnx.export(network, (x,), str(path), dynamo=False, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
    return str(path)


def onnxruntime(network: Any, x: torch.Tensor, threads: int) -> Callable[[], Any]:
    """ONNX Runtime on the CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(_onnx(network, x), options, providers=["CPUExecutionProvider"])
    return lambda: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def openvino(network: Any, x: torch.Tensor, threads: int, precision: str = "f32") -> Callable[[], Any]:
    """OpenVINO on the CPU."""
    import openvino as ov

    made = ov.Core().compile_model(_onnx(network, x), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision})
    return lambda: torch.from_numpy(made([x.numpy()])[0].copy())


def openvino_bf16(network: Any, x: torch.Tensor, threads: int) -> Callable[[], Any]:
    """OpenVINO with sums of bfloat16."""
    return openvino(network, x, threads, "bf16")


def measured(runs: Runs, images: int, rounds: int, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Images a second (wall, processor) of each round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            calls, wall, cpu = 0, time.perf_counter(), time.process_time()
            while time.perf_counter() - wall < seconds:
                run()
                calls += 1
            found[name].append((calls * images / (time.perf_counter() - wall), calls * images / (time.process_time() - cpu)))
    return found


def main(argv: list[str] | None = None) -> int:
    """Prints one JSON line per runtime."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="resnet18")
    for name, default in (("batch", 8), ("threads", 2), ("rounds", 5), ("size", 224)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", default="", help="names, separated by commas")
    asked = parser.parse_args(argv)
    from inference.model.network import build

    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    network, x = build(asked.network, 1000).eval(), torch.randn(asked.batch, 3, asked.size, asked.size)
    with torch.inference_mode():
        runs = variants(network, x, asked.threads, [n for n in asked.only.split(",") if n])
        reference = network(x)
        differs = {name: float((run() - reference).abs().max()) for name, run in runs.items()}
        rates = measured(runs, asked.batch, asked.rounds, asked.seconds)
    base = {k: statistics.median(r[k] for r in rates.get("eager", rates[next(iter(rates))])) for k in (0, 1)}
    for name, of in rates.items():
        wall, cpu = (statistics.median(r[k] for r in of) for k in (0, 1))
        print(json.dumps({"network": asked.network, "batch": asked.batch, "runtime": name, "per_second": round(wall, 1),
                          "per_cpu_second_x_threads": round(cpu * asked.threads, 1), "ratio": round(wall / base[0], 2),
                          "ratio_cpu": round(cpu / base[1], 2), "logit_differs": float(f"{differs[name]:.2g}")}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
