"""The dataset's nodes have no GPU and no torch: its job runs where torch cannot be imported, in Spark's workers too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.storage import open_root
from emr import requirements
from emr.needs import NEEDS
from tests import tiny_root

ROOT = Path(__file__).resolve().parents[3]
REFUSED = ("torch", "torchvision", "tensorboard", "fastapi")


@pytest.mark.slow("spark")
def test_it_splits_looks_at_pictures_and_writes_petastorm(tmp_path):
    for name in REFUSED:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is refused')")
    root = tiny_root.make(str(tmp_path / "root"), n=40)
    command = [sys.executable, "-m", "jobs.dataset", "--root", root, "--model", tiny_root.MODEL, "--from", tiny_root.DAY,
               "--to", tiny_root.DAY, "--spark-conf", "spark.ui.enabled=false", "--json"]  # with settings it is Spark's work
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}, cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    document = json.loads(done.stdout)
    assert sum(document["rows"].values()) == 40
    assert any(entry.key.endswith(".parquet") for entry in open_root(root).list("datasets/"))


def test_only_stages_that_run_a_model_unpack_cuda():
    packages = {stage: dict(requirements.list_requirements(need.environment, ROOT)) for stage, need in NEEDS.items()}
    heavy = {stage for stage, names in packages.items() if any(n.startswith(("nvidia", "cuda", "torch")) for n in names)}
    assert heavy == {"train", "assess", "score", "replay", "tune"}
