"""`make setup` from nothing, on a PATH without Java: `make test-slow K=package` (about two minutes, 6 GB for a while)."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.prerequisites import need
from tests.test_setup import JOB, ROOT, TOOLS


@pytest.fixture
def clone(tmp_path):
    """A clone of what is committed, at a path with a space; removed afterwards because it is large."""
    (git,) = need("git")
    folder = tmp_path / "a clone"
    subprocess.run([git, "clone", "-q", ROOT, folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def environ(tmp_path):
    """The user's own environment (proxies, pip's settings), with a PATH that has Python 3.11, make and no Java."""
    (tmp_path / "bin").mkdir()
    places = [Path(place) for place in os.defpath.split(":")]
    for name in (*TOOLS, "make", "awk"):
        found = [place / name for place in places if (place / name).exists()]
        if found:
            (tmp_path / "bin" / name).symlink_to(found[0])
    (tmp_path / "bin" / "python3.11").symlink_to(Path(sys.base_prefix) / "bin" / "python3.11")
    dropped = ("JAVA_HOME", "VIRTUAL_ENV", "PYTHONPATH", "SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    return {name: value for name, value in os.environ.items() if name not in dropped} | {"PATH": str(tmp_path / "bin")}


@pytest.mark.slow("package")
def test_a_fresh_clone_sets_itself_up_and_runs_spark(clone, environ, tmp_path):
    make = ["make", "-C", clone, "setup"]
    interrupted = subprocess.Popen(make, env=environ, cwd=tmp_path, start_new_session=True, stdout=subprocess.DEVNULL)
    time.sleep(8)
    os.killpg(interrupted.pid, signal.SIGKILL)
    interrupted.wait()

    done = subprocess.run(make, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "setup: fetches up to" in done.stdout and "setup: done in" in done.stdout
    again = subprocess.run(make, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert "setup: .venv is up to date" in again.stdout

    (tmp_path / "job.py").write_text(JOB)
    command = [clone / ".venv/bin/spark-submit", "--master", "local[2]", "job.py", tmp_path / "out"]
    said = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert f"ANSWER 1000 True {clone / '.venv/bin/python'}" in said.stdout, said.stderr
    helped = subprocess.run([clone / ".venv/bin/trueup", "--help"], env=environ, cwd=tmp_path, capture_output=True)
    assert helped.returncode == 0
