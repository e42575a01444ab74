"""What calibration on validation rows does on rows that nobody looked at: ECE and log loss before and after, by seeds.

    nice python -m benchmarks.calibration [--seeds 10] [--json]      digits, a small network: some minutes
    python -m benchmarks.calibration --latency                       what it costs an answer
    python -m benchmarks.calibration --formats                       temperatures of the same weights in other number formats

Each seed divides scikit-learn's digits anew into 900 training, 300 validation and 597 held-out rows and trains anew: by the
defaults, longer, and without label smoothing for far too long. Differences are of the same rows and weights, so they are paired
by seed, with Student's interval over the seeds.
"""

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import timed

TRAIN, VALIDATION, SIDE = 900, 300, 32
BATCH = 32
TOO_LONG = 0.0, 50, 1e-2  # label smoothing, epochs, learning rate
CASES = {"the defaults (smoothing 0.05, 8 epochs, lr 0.001)": (0.05, 8, 1e-3),
         "smoothing 0.05, 20 epochs, lr 0.01": (0.05, 20, 1e-2),
         "no smoothing, 50 epochs, lr 0.01": TOO_LONG}
METHODS = ("none", "temperature", "vector")


def main(argv: list[str] | None = None) -> int:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--formats", action="store_true")
    asked = parser.parse_args(argv)
    if asked.latency or asked.formats:
        for row in measure_latency() if asked.latency else compare_formats():
            print(json.dumps(row), flush=True)
        return 0
    found = {case: [run(seed, *options) for seed in range(asked.seeds)] for case, options in CASES.items()}
    print(json.dumps(found) if asked.json else text(found))
    return 0


def run(seed: int, smoothing: float, epochs: int, lr: float) -> dict[str, Any]:
    """One training: {method: {ece, loss, accuracy}} on the held-out rows, and the temperature."""
    from tests.training.loop_root import digits
    from training.fit import scaling

    pixels, labels = digits()
    truth, order = np.array([int(t) for t in labels]), np.random.default_rng(seed).permutation(len(labels))
    parts = np.split(order, [TRAIN, TRAIN + VALIDATION])
    net = train(np.stack(pixels)[parts[0]], truth[parts[0]], smoothing, epochs, lr, seed)
    (_, validation, held_out), known = [ask(net, np.stack(pixels)[part]) for part in parts], truth[parts[1]]
    temperature, vector = scaling.fit_temperature(validation, known), scaling.fit_vector(validation, known)
    made = {"none": held_out, "temperature": held_out / temperature, "vector": held_out * vector.scale + vector.bias}
    return {"temperature_found": temperature, **{name: judge(logits, truth[parts[2]]) for name, logits in made.items()}}


def train(pixels: np.ndarray, truth: np.ndarray, smoothing: float, epochs: int, lr: float, seed: int) -> Any:
    """A small network after some epochs, in eval mode; loss, optimizer and schedule are those of `trueup train`."""
    import torch
    from torch.nn.functional import cross_entropy

    from tests.training import tiny

    torch.manual_seed(seed)
    torch.set_num_threads(1)  # threads that wait for each other take longer on so small a network
    net, x, y = tiny.build(10).train(), prepare(pixels), torch.from_numpy(truth)
    optimizer, steps = torch.optim.AdamW(net.parameters(), lr, weight_decay=0.01), epochs * -(-len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.1)
    for _ in range(epochs):
        for chosen in torch.randperm(len(y)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(net(x[chosen]), y[chosen], label_smoothing=smoothing).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def prepare(pixels: np.ndarray) -> Any:
    """The network's input of uint8 [n, H, W]."""
    import torch

    return torch.from_numpy(pixels).float()[:, None].expand(-1, 3, -1, -1).div(127.5).sub(1)


def ask(net: Any, pixels: np.ndarray) -> np.ndarray:
    """Outputs, float64 [n, 10]."""
    import torch

    with torch.inference_mode():
        return net(prepare(pixels)).double().numpy()


def judge(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """ECE as an evaluation counts it, log loss in nats, and accuracy."""
    from scipy.special import softmax

    from metrics.held_out import HeldOutRows, measure_calibration_error
    from training.fit.scaling import measure_loss

    rows = softmax(logits, axis=1)
    best, n = rows.argmax(1), len(truth)
    held = HeldOutRows([str(k) for k in best], rows[np.arange(n), best], [str(k) for k in truth], ["import"] * n,
                       np.full(n, np.nan))
    return {"ece": measure_calibration_error(held)["ece"], "loss": measure_loss(logits, truth),
            "accuracy": float((best == truth).mean())}


def text(found: dict[str, list[dict[str, Any]]]) -> str:
    """A table: of each case and method the means, and the differences from `none` with their intervals."""
    rows = [("", "method", "accuracy", "ECE", "less than none by (95%)", "log loss", "less than none by (95%)", "temperatures")]
    for case, runs in found.items():
        for name in METHODS:
            mean = {what: statistics.mean(one[name][what] for one in runs) for what in ("accuracy", "ece", "loss")}
            temperatures = sorted(one["temperature_found"] for one in runs)
            rows.append((case if name == "none" else "", name, f"{100 * mean['accuracy']:.2f}%", f"{100 * mean['ece']:.2f}%",
                         "" if name == "none" else write_gain(runs, name, "ece", 100, " points"), f"{mean['loss']:.4f}",
                         "" if name == "none" else write_gain(runs, name, "loss", 1, ""),
                         f"{temperatures[0]:.2f} to {temperatures[-1]:.2f}" if name == "temperature" else ""))
    return f"{timed.machine()}, {timed.today()}, {len(next(iter(found.values())))} seeds\n{timed.table(rows)}"


def write_gain(runs: list[dict[str, Any]], name: str, what: str, times: float, unit: str) -> str:
    """How much less a figure is than without calibration: mean over the seeds and Student's interval."""
    from scipy.stats import t

    gains = np.array([times * (one["none"][what] - one[name][what]) for one in runs])
    margin = t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
    digits = 2 if unit else 4
    return f"{gains.mean():.{digits}f} ({gains.mean() - margin:.{digits}f} to {gains.mean() + margin:.{digits}f}){unit}"


def measure_latency(calls: int = 2000) -> Iterator[dict[str, Any]]:
    """Microseconds from outputs to probabilities, without and with a calibration, by turns; medians."""
    import torch

    from contract.documents.card import Calibration
    from inference.model.scaling import make_scaling

    said: dict[str, Any] = {"rows": 300, "fitted_on": "", "loss_before": 1.0, "loss_after": 1.0}
    for n, classes in ((1, 10), (1, 1000), (32, 1000)):
        logits = torch.randn(n, classes)
        made = {"none": None, "temperature": Calibration(method="temperature", temperature=1.4, **said),
                "vector": Calibration(method="vector", scale=[1.1] * classes, bias=[0.1] * classes, **said)}
        scalings, spent = {name: make_scaling(of) for name, of in made.items()}, {name: [] for name in made}
        with torch.inference_mode():
            for _ in range(calls):
                for name, scaling in scalings.items():
                    began = time.perf_counter()
                    torch.softmax(scaling(logits), dim=1).numpy()
                    spent[name].append(time.perf_counter() - began)
        medians = {name: round(1e6 * statistics.median(of), 1) for name, of in spent.items()}
        yield {"batch": n, "classes": classes, "microseconds": medians}


def compare_formats(seeds: int = 2) -> Iterator[dict[str, Any]]:
    """The temperature that fits each number format of the same weights on the same 300 rows, and the ECE of held-out rows under
    it and under the one that was fitted for float32."""
    import torch
    from safetensors.torch import save

    from benchmarks.formats import convert
    from contract.documents.card import Card, Preprocess
    from contract.sections.modules import allow
    from inference.model.predictor import Predictor
    from tests.training.loop_root import digits, png
    from training.fit import scaling

    allow(["tests"])
    pixels, labels = digits()
    truth, look = np.array([int(t) for t in labels]), Preprocess(resize=SIDE, crop=SIDE, mean=[0.5] * 3, std=[0.5] * 3)
    for seed in range(seeds):
        parts = np.split(np.random.default_rng(seed).permutation(len(labels)), [TRAIN, TRAIN + VALIDATION])
        weights = save(train(np.stack(pixels)[parts[0]], truth[parts[0]], *TOO_LONG, seed).state_dict())
        card = Card(model="m", version="1", created_at="", network="tests.training.tiny:build", preprocess=look,
                    classes=[str(n) for n in range(10)],
                    weights_sha256=hashlib.sha256(weights).hexdigest(), weights_bytes=len(weights))
        made = convert(card, weights, {"float32", "bfloat16", "int8"}, [png(pixels[k]) for k in parts[0][:300]])
        forms = {"torch float32": (card, None), **{f"openvino {name}": of for name, of in made.items()}}
        own: dict[str, float] = {}
        for name, (of, data) in forms.items():
            predictor = Predictor(of, weights, "cpu", data)
            validation, held_out = (torch.cat([predictor.logits(torch.stack([predictor.prepare(png(pixels[k])) for k in some]))
                                               for some in np.array_split(part, 10)]).double().numpy() for part in parts[1:])
            own[name] = scaling.fit_temperature(validation, truth[parts[1]])
            yield {"seed": seed, "format": name, "temperature": own[name],
                   "ece": round(judge(held_out, truth[parts[2]])["ece"], 4),
                   "ece_own": round(judge(held_out / own[name], truth[parts[2]])["ece"], 4),
                   "ece_inherited": round(judge(held_out / own["torch float32"], truth[parts[2]])["ece"], 4)}


if __name__ == "__main__":
    sys.exit(main())
