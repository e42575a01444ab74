"""Spark reads a root on S3 through s3a, over HTTP, and counts what DuckDB counts there: `make test-slow K=s3`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from contract.storage import open_root
from tests.generate import seeded, write
from tests.prerequisites import need

REPO = Path(__file__).resolve().parents[3]


def evaluated(root, *options):
    """`python -m jobs.evaluate … --json` as a process of its own, so that its Spark loads the jars."""
    command = [sys.executable, "-m", "jobs.evaluate", "--root", root, "--model", "m", "--full", "--json", *options]
    env = os.environ | {"PYTHONPATH": str(REPO)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow("s3")
def test_spark_over_s3a_counts_what_duckdb_counts(s3_root, tmp_path):
    jars = ",".join(need("s3a"))
    made = seeded(3, predictions=60, labels=120)
    write(made, tmp_path, random.Random(3))
    storage = open_root(s3_root, create=True)
    for path in sorted(tmp_path.rglob("*.parquet")):
        storage.put_file(path.relative_to(tmp_path).as_posix(), path)
    window = ("--from", made.day, "--to", made.day, "--as-of", "2026-11-22T00:00:00Z")
    here = evaluated(s3_root, *window)
    there = evaluated(s3_root, *window, "--engine", "spark", "--spark-conf", f"spark.jars={jars}")
    assert here["rows"]["predictions"] > 0
    assert (there["rows"], there["versions"]) == (here["rows"], here["versions"])
