"""The whole loop, as `trueup demo` plays it, started ten seconds before a midnight: one seed here, more by
`make test-slow K=seeds`. The README quotes what it prints."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest

from contract import clock
from contract.registry import Registry
from contract.storage import open_root
from inference.model.predictor import Predictor
from pipeline.demo import digits
from pipeline.demo.world import MODEL
from tests.test_readme import README, TUTORIAL, blocks, first_missing

REPO = Path(__file__).resolve().parents[1]


def play(folder: Path, seed: int) -> tuple[Path, dict, str]:
    """Plays the demo from 23:59:50 of yesterday; returns its root, its document, and all that it printed."""
    start = datetime.now(UTC).replace(hour=23, minute=59, second=50, microsecond=0) - timedelta(days=1)
    (folder / "clock").write_text(str((start - datetime.now(UTC)).total_seconds()))
    command = [sys.executable, "-m", "pipeline.demo.run", "--root", "demo-root", "--seed", str(seed)]
    env = os.environ | {clock.CLOCK_FILE: str(folder / "clock"), "PYTHONPATH": str(REPO)}
    said = subprocess.run(command, env=env, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert said.returncode == 0, said.stdout[-5000:]
    again = subprocess.run([*command, "--json"], env=env, cwd=folder, text=True, capture_output=True)
    assert again.returncode == 0, again.stderr
    return folder / "demo-root", json.loads(again.stdout), said.stdout


def is_near(estimate: dict, truth: float) -> bool:
    """Tells whether the truth lies within the interval, widened by half its width on both sides.

    A 95% interval misses in one run of twenty, and the demo's labelers err: one wrong majority on a perfect version, and no
    interval of these labels can hold its 100%. Twice as wide an interval, some four standard errors, does not miss by chance.
    """
    spare = (estimate["high"] - estimate["low"]) / 2
    return estimate["low"] - spare <= truth <= estimate["high"] + spare


def check(root: Path, document: dict) -> None:
    """What must hold for every seed, with the default policy."""
    first, drifted, fresh = (row["estimate"] for row in document["table"])
    assert drifted["high"] < first["low"], "version 1 is clearly worse on drifted traffic"
    assert fresh["low"] > drifted["high"], "version 2 is clearly better there"
    for row in document["table"]:
        assert is_near(row["estimate"], row["truth"]), row
    assert clean_accuracy(root, "2", document["seed"]) >= clean_accuracy(root, "1", document["seed"]) - 0.02
    assert document["swap"]["failed"] == 0 and set(document["swap"]["by_version"]) == {"1", "2"}
    assert len(set(document["days"].values())) == 4
    assert document["second_cycle"]["status"] == "healthy"
    automatic = document["automatic"]
    assert automatic["share"] > 0.3 and automatic["truth"] >= automatic["target"] - 0.01
    assert is_near(automatic["accuracy"], automatic["truth"]), automatic
    held = Registry(open_root(str(root)), MODEL).newest().state
    assert held.thresholds_of.version == held.live == "2" and set(held.thresholds.values()) == {automatic["threshold"]}


def predictor(root: Path, version: str) -> Predictor:
    registry = Registry(open_root(str(root)), MODEL)
    return Predictor(registry.card(version), registry.weights(version))


def clean_accuracy(root: Path, version: str, seed: int) -> float:
    """On digits that were neither sent nor trained on."""
    model = predictor(root, version)
    pictures = list(digits.make_part("clean_holdout", seed))
    import torch

    rows = model.probabilities(torch.stack([model.prepare(p.data) for p in pictures]))
    return float(np.mean([model.top(row, 1)[0][0] == p.truth for row, p in zip(rows, pictures, strict=True)]))


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """One demo for the tests of this module."""
    return play(tmp_path_factory.mktemp("whole loop"), seed=1)


@pytest.mark.timeout(1200)
def test_the_loop_turns(played):
    root, document, _ = played
    check(root, document)


@pytest.mark.parametrize("path", [README, TUTORIAL], ids=lambda path: path.stem)
def test_pages_quote_a_real_demo(played, path):
    page = blocks(path.read_text())
    after_demo = [after for block, after in pairwise(page) if re.search(r"(make|trueup) demo", block.text)]
    quotes = [block for block in after_demo if block.tag == "output"]
    assert quotes, f"{path.name} shows no output of the demo"
    assert first_missing(quotes[0].text, played[2]) is None


@pytest.mark.timeout(1200)
def test_answers_are_those_of_the_version_that_each_names(played):
    """Probabilities of sampled answers, computed again from the stored image and the weights of the named version."""
    root, _, _ = played
    rows = ds.dataset(root / "predictions", format="parquet").to_table().to_pylist()
    for version in ("1", "2"):
        model = predictor(root, version)
        mine = [r for r in rows if r["model_version"] == version][:: max(1, len(rows) // 40)]
        assert len(mine) >= 3
        for row in mine:
            again = model.probabilities(model.prepare((root / row["image_uri"]).read_bytes())[None])[0]
            said = dict(zip(row["top_labels"], row["top_probabilities"], strict=True))
            computed = dict(model.top(again, 10))
            assert said and said == pytest.approx({label: computed[label] for label in said}, abs=1e-5)


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_loop_turns_for_other_seeds(seed, tmp_path):
    root, document, _ = play(tmp_path, seed)
    check(root, document)
