"""Part a: fine-tuning ends on the GPU where it ends on the CPU, in each number format, and a checkpoint of one resumes on the
other. ResNet-18 learns clean digits, then those of a camera that was knocked, and is judged on others of that camera."""

import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu import jobs, made, pictures
from benchmarks.gpu.result import Asked, count_cores, parse, show, show_missing
from contract.storage import open_root
from training.fit.job import Job

START = "start.safetensors"
FLOAT32 = {"precision": "float32"}
BFLOAT16 = {"precision": "bfloat16"}
AUGMENTED = "float32, augmented"
VARIANTS = {"float32": FLOAT32, AUGMENTED: FLOAT32 | {"augment": "light"}, "bfloat16": BFLOAT16,
            "bfloat16, channels_last": BFLOAT16 | {"channels_last": True},
            "bfloat16, channels_last, torch.compile": BFLOAT16 | {"channels_last": True, "compile": True}}


@dataclass
class Digits:
    """The dataset of the fine-tuning, its feed, and what the jobs have in common."""

    root: str
    feed: made.MemoryFeed
    held: int
    side: int
    epochs: int
    network: str

    def job(self, name: str, epochs: int | None = None, **settings: Any) -> Job:
        """Returns a fine-tuning from the weights of the first training."""
        return jobs.make_job(self.root, name, self.network, pictures.CLASSES, self.side, count_cores(), start=START,
                             **({"epochs": epochs or self.epochs, "lr": 0.001} | settings))


def prepare(root: str, asked: Asked) -> Digits:
    """Trains the first version on clean digits, and lays out the fine-tuning on the others."""
    share, side, epochs = (0.16, 32, 1) if asked.tiny else (1.0, 64, 5)
    storage, network = open_root(root, create=True), asked.choose_network("resnet18")
    source, first = pictures.load_part("first", share)
    parts = {name: pictures.decode(found, side) for name, found in
             (("first", first), *((name, pictures.load_part(name, share)[1]) for name in ("tuning", "held")))}
    held = made.split_rows("validation", parts["held"], 1)
    clean = made.split_rows("train", parts["first"], 4) | held
    jobs.write_manifest(storage, {key: len(rows.hashes) for key, rows in clean.items()}, pictures.CLASSES)
    job = jobs.make_job(root, "first", network, pictures.CLASSES, side, count_cores(), epochs=epochs)
    made.train(job, asked.device, made.MemoryFeed(clean))
    weights, last = made.read_result(job)
    storage.put(START, weights)
    show("a first version on clean digits", network=network, pictures=source, rows=len(parts["first"].hashes), side=side,
         device=asked.device, accuracy_on_drifted=last["validation"]["accuracy"])
    files = made.split_rows("train", parts["tuning"], 4) | held
    jobs.write_manifest(storage, {key: len(rows.hashes) for key, rows in files.items()}, pictures.CLASSES)
    return Digits(root, made.MemoryFeed(files), len(parts["held"].hashes), side, epochs, network)


def tune(data: Digits, device: str, variant: str, seed: int = 1) -> float:
    """Fine-tunes in one variant and returns the accuracy."""
    job = data.job(f"{device}-{variant}-{seed}", seed=seed, **VARIANTS[variant])
    loop = made.train(job, device, data.feed)
    _, last = made.read_result(job)
    show("fine-tuned", device=device, variant=variant, seed=seed, accuracy=last["validation"]["accuracy"],
         loss=last["validation"]["loss"], rows_per_s=loop.measure_rate())
    return last["validation"]["accuracy"]


def noise(accuracy: float, rows: int, runs: int) -> float:
    """Returns the difference of two accuracies that is no finding: twice its standard error, for one run against several."""
    spread = max(accuracy * (1 - accuracy), 1 / rows) / rows
    return 2 * math.sqrt(spread * (1 + 1 / runs))


def compare(data: Digits) -> None:
    """Each variant on the GPU beside two runs on the CPU."""
    cpu = [tune(data, "cpu", "float32", seed) for seed in (1, 2)]
    mean = sum(cpu) / len(cpu)
    allowed = noise(mean, data.held, len(cpu)) + (max(cpu) - min(cpu)) / 2
    for variant in VARIANTS:
        try:
            accuracy = tune(data, "cuda", variant)
        except Exception as error:  # the other variants have their own say
            show("fine-tuned", device="cuda", variant=variant, holds=False, error=f"{type(error).__name__}: {error}"[:500])
            continue
        if variant != AUGMENTED:  # which is another training, here for its rate
            show("the GPU ends where the CPU does", variant=variant, cpu=mean, gpu=accuracy, allowed=allowed,
                 holds=abs(accuracy - mean) <= allowed)


def resume(data: Digits, first: str, second: str) -> None:
    """Stops on one device after a checkpoint, and goes on on the other."""
    job = data.job(f"resume-{first}-{second}", epochs=2, checkpoint_steps=3)
    undisturbed = data.job(f"undisturbed-{second}", epochs=2, checkpoint_steps=3)
    try:
        made.train(job, first, data.feed, made.StoppingLoop)
    except made.Stopped:
        pass
    made.train(job, second, data.feed)
    made.train(undisturbed, second, data.feed)
    (_, last), (_, whole) = made.read_result(job), made.read_result(undisturbed)
    got, expected = last["validation"]["accuracy"], whole["validation"]["accuracy"]
    same = last["sha256"] == whole["sha256"]
    alike = same if first == second == "cpu" else abs(got - expected) <= noise(expected, data.held, 1)
    show("a checkpoint resumes", made_on=first, resumed_on=second, accuracy=got, undisturbed=expected, same_weights=same,
         holds=alike and last["rows"] == whole["rows"])


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the part."""
    asked = parse(argv)
    with tempfile.TemporaryDirectory(prefix="trueup-gpu-") as folder:
        data = prepare(f"{folder}/root", asked)
        if not asked.gpu:
            tune(data, "cpu", "float32")
            resume(data, "cpu", "cpu")
            show_missing("fine-tuning on a GPU, bfloat16 and torch.compile there, checkpoints that go from GPU to CPU and back")
            return 0
        resume(data, "cuda", "cpu")
        resume(data, "cpu", "cuda")
        compare(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
