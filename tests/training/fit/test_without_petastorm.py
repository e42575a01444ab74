"""The loop and what answers run without Petastorm, Spark and simplejpeg, on other Pythons and numpys too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prerequisites import need
from training.feed import buffers

ROOT = Path(__file__).resolve().parents[3]


def run(python: str, folder, *options: str) -> dict:
    done = subprocess.run([python, "-m", "tests.training.blocked_imports", str(folder), *options], cwd=folder,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(found: dict) -> None:
    assert found["resumed"] == found["undisturbed"]
    assert found["sum"] == pytest.approx(1, abs=1e-5) and (found["classes"], found["grown"]) == (10, 11)
    assert found["modules"] >= 37 and found["fed"] > 20 and found["loaded"] == []


def test_where_they_cannot_be_imported_it_trains_resumes_and_answers(tmp_path):
    check(run(sys.executable, tmp_path, "--without-pyarrow"))


@pytest.mark.slow("python312")
def test_on_python_312_and_numpy_2_it_does_too(tmp_path):
    (python,) = need("python312")
    found = run(python, tmp_path)
    check(found)
    assert found["python"].startswith("3.12.") and found["numpy"].startswith("2.")


def test_memory_in_use_is_known_from_memory_that_is_not():
    made = buffers.BatchBuffers(2, 1, (2, 2, 3))
    held = made.view(1, 0, 1)
    assert made.find_unused() == [0]
    del held
    assert made.find_unused() == [0, 1]
