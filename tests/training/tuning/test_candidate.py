"""`trueup tune --train` as somebody starts it: a process of its own in which nothing is patched, and the service that it asks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import binomtest

from command.load_settings import load
from contract import layout
from tests.training.test_opened import IN_MOVED_TO, IN_OPEN, logged
from training.tuning.search import make_search

ROOT = Path(__file__).resolve().parents[3]
SETS = ["tune.space={lr: [0.003, 0.00001]}", "tune.sampler=grid", "tune.pruner=none", "tune.trial_epochs=2", "train.epochs=3",
        "train.batch=16", "train.threads=1", "train.launcher=process"]


def run_tune(world, *more):
    """The command's document."""
    command = [sys.executable, "-m", "training.tune", "--root", world.root, "--model", "digits", "--dataset", world.made.dataset,
               "--json", *(word for one in SETS for word in ("--set", one)), *more]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def make_live(world):
    """Version 1, trained for an epoch and live; its record."""
    world.train(epochs=1)
    return world.registry.promote("1", by="test", reason="the first", expected_live=None)


def find_study(world):
    """The folder of the search, made before the command that would make it, so that it can be watched."""
    settings = load(root=world.root, model="digits", overrides=SETS)
    search = make_search(world.storage, world.registry, settings, world.made.dataset, "1")
    folder = world.storage.path(layout.tuning("digits", search.id, "tuning")).parent
    folder.mkdir(parents=True)
    return folder


@pytest.mark.slow("process")
@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: inotify is Linux's")
def test_the_candidate_is_trained_once_assessed_against_the_live_version_and_not_promoted(world):
    record, study = make_live(world), find_study(world)
    holdout = world.storage.path(world.made.split("holdout")[0].key).parent
    with logged({study: IN_MOVED_TO, holdout: IN_OPEN}) as events:
        document = run_tune(world, "--trials", "2", "--train")
    best = document["trials"][document["best"] - 1]
    assert [one["state"] for one in document["trials"]] == ["completed"] * 2 and best["config"] == {"lr": 0.003}
    # One number, of a version with the best settings, that descends from the live one, and the pointer where it was.
    card = world.registry.card("2")
    assert (document["candidate"], world.registry.newest_claim(), world.registry.versions()) == ("2", 2, ["1", "2"])
    assert (card.parent, card.settings["lr"], len(card.metrics["epochs"])) == ("1", 0.003, 3)
    assert world.registry.live() == "1" and world.registry.newest() == record
    check_assessment(world, document["assessment"])
    # tuning.json is written when the trials have ended, and again when the candidate was trained: the holdout opens after that.
    order = ["holdout" if folder == holdout else name for folder, name in events if name]
    kept = [one for one in order if one in ("holdout", "tuning.json")]
    assert kept[:2] == ["tuning.json"] * 2 and set(kept[2:]) == {"holdout"}
    assert {name for folder, name in events if folder == holdout and name} == {
        Path(file.key).name for file in world.made.split("holdout")}


def check_assessment(world, found):
    """It is the paired test of both versions on every held-out row, with the candidate asked in a service process, too."""
    paired = found["overall"]
    one, other = paired["only_live"], paired["only_candidate"]
    assert {side: of["version"] for side, of in found["versions"].items()} == {"live": "1", "candidate": "2"}
    assert paired["both"] + one + other + paired["neither"] == found["rows"] == world.made.rows["holdout"]
    assert one + other > 0 and paired["mcnemar"]["two_sided"] == pytest.approx(binomtest(one, one + other).pvalue)
    assert paired["difference"]["value"] == pytest.approx((other - one) / found["rows"])
    assert found["leakage"]["rows_in_training"] == 0 and found["trial"]["images"] == 5
    assert {row["version"] for row in found["leakage"]["checked"]} == {"1", "2"}


@pytest.mark.slow("spark")
def test_ranks_are_trained_by_the_spark_of_the_trials(world):
    """Which is made for one trial at a time, and has room for both ranks."""
    make_live(world)
    document = run_tune(world, "--trials", "1", "--launcher", "spark", "--parallel", "1", "--train", "--set",
                        "train.launcher=spark", "--set", "train.ranks=2")
    assert document["candidate"] == "2" and world.registry.card("2").settings["ranks"] == 2
