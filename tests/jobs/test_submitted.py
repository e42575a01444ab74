"""`spark-submit jobs/evaluate.py --json`: spark-submit sends a program's stderr to its own stdout."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.jobs import awkward

REPO = Path(__file__).resolve().parents[2]


def test_submitted_with_json_there_is_a_document_on_stdout_and_nothing_else(tmp_root):
    awkward.write(tmp_root, awkward.rows_of(1), 1)
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", str(REPO / "jobs/evaluate.py"),
               "--root", tmp_root, "--model", awkward.QUESTION.model, "--full", "--json"]
    said = subprocess.run(command, text=True, capture_output=True, env=os.environ, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    assert json.loads(said.stdout)["engine"] == "spark"
