"""Real processes of a search, killed for real: whoever comes next repeats what they were training, and nothing else."""

import json
import os
import signal
import subprocess
import sys

import pytest

from contract import layout
from tests.inference.serving import until
from tests.training.tuning.test_tune import COMMON, FIRST

TRIALS = 3


def start(world, *more):
    command = [sys.executable, "-m", "training.tune", "--root", world.root, "--model", "digits", "--dataset", world.made.dataset,
               *COMMON, *FIRST, "--sampler", "random", "--trials", str(TRIALS), "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)


def wait_for(world, ending):
    """Waits until a search has a document that ends so."""
    until(lambda: any(entry.key.endswith(ending) for entry in world.storage.list(layout.tunings("digits"))), 600)


@pytest.mark.slow("kills")
def test_a_killed_process_is_continued_by_the_next_and_two_share_what_is_left(world):
    first = start(world)
    wait_for(world, "claims/0002-1.json")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    both = [start(world), start(world)]
    documents = [json.loads(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for document in documents:
        assert [(one["trial"], one["state"]) for one in document["trials"]] == [(n, "completed") for n in range(1, TRIALS + 1)]
        assert [one["attempts"] for one in document["trials"]] == [1, 2, 1]
    told = [[(one["config"], one["epochs"]) for one in document["trials"]] for document in documents]
    assert told[0] == told[1]
