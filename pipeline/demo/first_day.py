"""A first version and a first day under any root, S3 too: what a rehearsal of an installation works with.

    python -m pipeline.demo.first_day --root s3://bucket/prefix --model M

Few of the demo's digits: a hasty version 1 is trained here and goes live, a service on this machine answers pictures of the
knocked camera, and every answer gets its true label, as if people had judged all of them. The clock is the real one.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.child import make_environment, write_settings
from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import clock
from contract.settings import Settings
from pipeline.demo import digits, traffic
from pipeline.demo.service import run_service
from pipeline.running.local import read_answer
from pipeline.running.stages import Stage

RATE = 40.0  # requests a second
HASTY = {"train.epochs": "1", "train.lr": "0.002"}
FIELDS = ("prediction_id", "label", "labeler", "labeled_at")


@stage_command("first-day")
@click.option("--model", help="Name of the model.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--size", type=click.FloatRange(0.02, 1.0), default=0.5, show_default=True, help="Share of the demo's pictures.")
def command(settings: Settings, model: str | None, seed: int, size: float) -> Outcome:
    """Train a first version on generated digits, answer a day's pictures, and label them."""
    settings = with_options(settings, model=model)
    root, name = settings.need_root(), settings.need_model()
    with tempfile.TemporaryDirectory(prefix="trueup-first-day-") as folder, \
            write_settings(settings.dump_for_stages()) as config:
        work = Path(folder)
        common = ["--root", root, "--config", config]
        version = publish_first(work / "pictures", name, seed, size, common)
        answers = answer_day(root, name, work, config, list(digits.make_part("drifted", seed, size)), common)
        label_all(work / "labels.csv", answers, common)
    right = sum(answer.right for answer in answers)
    document = {"model": name, "version": version, "day": clock.day_of(clock.now()), "predictions": len(answers),
                "labels": len(answers), "right": right}
    return Outcome(document=document, text=f"version {version} of {name}: {right} of {len(answers)} answers right, all labelled")


def publish_first(folder: Path, model: str, seed: int, size: float, common: Sequence[str]) -> str:
    """Trains version 1 for one epoch on clean digits, and makes it live."""
    digits.write_class_folders(folder, "first_training", seed, size)
    dataset = call("jobs.import_images", str(folder), "--model", model, *common)["dataset"]
    hasty = [word for name, value in HASTY.items() for word in ("--set", f"{name}={value}")]
    trained = call("training.train", "--model", model, "--dataset", dataset, "--parent", "none", "--network", "resnet18",
                   "--size", "32", "--launcher", "process", "--ranks", "1", *common, *hasty)
    call("pipeline.model", "promote", trained["version"], "--model", model, "--by", "rehearsal", "--reason", "first version",
         *common)
    return str(trained["version"])


def answer_day(root: str, model: str, work: Path, config: str, pictures: Sequence[digits.Picture],
               common: Sequence[str]) -> list[traffic.Answer]:
    """Lets a service on this machine answer all pictures; when it stops, it ships the rows of its outbox."""
    key = call("inference.keys", "add", "camera", "--role", "predict", *common)["token"]
    with run_service(root, model, work, more=("--config", config)) as url:
        return traffic.send(url, key, pictures, RATE, "pictures", clock.now())


def label_all(file: Path, answers: Sequence[traffic.Answer], common: Sequence[str]) -> None:
    """Imports the truth of every picture, as labels that somebody made who judged all of them."""
    now = clock.iso(clock.now())
    with open(file, "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(FIELDS)
        writer.writerows((answer.prediction_id, answer.truth, "rehearsal", now) for answer in answers)
    call("jobs.import_table", "labels", str(file), *common)


def call(module: str, *arguments: str) -> dict[str, Any]:
    """Runs `python -m module … --json` and returns its document. StageFailed with the command's own error."""
    done = subprocess.run([sys.executable, "-m", module, *arguments, "--json"], stdout=subprocess.PIPE, env=make_environment(),
                          text=True, check=False)
    return read_answer(Stage(module.rpartition(".")[2], module, (), (0,)), done.returncode, done.stdout).document


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m pipeline.demo.first_day`."""
    return run(command, argv, prog_name="python -m pipeline.demo.first_day")


if __name__ == "__main__":
    end_with(main)
