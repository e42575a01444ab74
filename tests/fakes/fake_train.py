"""Stands for `training.train`: claims a version for the run and writes it, with weights that depend on the dataset."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import click

from command.command import Outcome, run, stage_command
from contract.registry import Registry
from contract.storage import open_root
from tests.pipeline.roots import write_version


@stage_command("train")
@click.option("--model")
@click.option("--dataset")
@click.option("--parent")
@click.option("--run", "run_key")
def command(settings, model, dataset, parent, run_key):
    flag = Path(os.environ.get("FAKE_TRAIN_DIES_ONCE", "/nonexistent"))
    if flag.exists():
        flag.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    registry = Registry(open_root(settings.need_root()), model)
    version = registry.claim(by="train", run=run_key)
    with tempfile.TemporaryDirectory() as folder:
        write_version(registry, version, Path(folder), dataset, parent)
    return Outcome(document={"version": version})


def main(argv=None):
    return run(command, argv)


if __name__ == "__main__":
    sys.exit(main())
