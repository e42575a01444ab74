"""Two cycles at once, killed and stopped ones: real processes, quick stages."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.registry import Registry
from contract.runs import Runs
from contract.storage import open_storage
from tests.inference.serving import until
from tests.pipeline.roots import DAY, MODEL, make_root

REPO = Path(__file__).resolve().parents[2]
# Starts the cycle with the fakes of the retraining stages, in which publishing waits for a file when it is told to.
START = """
import os, sys, time
from dataclasses import replace
from pathlib import Path
from pipeline import cycle
from pipeline.running import stages
stages.RETRAINING = tuple(replace(s, module=f"tests.fakes.fake_{s.name}") for s in stages.RETRAINING)
publish, wait = cycle.Turn._publish, os.environ.get("WAIT_BEFORE_PUBLISH")
def held(self, candidate, reason):
    if wait:
        Path(wait + ".here").touch()
        while not Path(wait).exists():
            time.sleep(0.02)
    return publish(self, candidate, reason)
cycle.Turn._publish = held
sys.exit(cycle.main(sys.argv[1:]))
"""


@contextmanager
def cycle(root, *options, takeover=60.0, **env):
    """A cycle as a process; killed in the end if it still runs."""
    command = [sys.executable, "-c", START, "--root", root, "--model", MODEL, "--in-process", "--json", *options,
               "--set", "cycle.beat_seconds=0.2", "--set", f"cycle.takeover_seconds={takeover}"]
    process = subprocess.Popen(command, cwd=REPO, env=os.environ | env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end_of(process, code):
    """The JSON document of a process that ends with `code`."""
    out, err = process.communicate(timeout=90)
    assert process.returncode == code, out + err
    return json.loads(out)


@pytest.fixture
def root(tmp_root):
    return make_root(tmp_root, right=120, n=200)


def test_of_two_at_once_one_works_and_the_other_says_who_holds_it(root, tmp_path):
    go = tmp_path / "go"
    with cycle(root, WAIT_BEFORE_PUBLISH=str(go)) as first:
        until(Path(f"{go}.here").exists, 60)
        with cycle(root) as second:
            held = end_of(second, 1)["error"]
        assert held["code"] == "RunHeld"
        assert f"process {first.pid}, since" in held["message"]
        with cycle(root, "--unless-held") as third:  # what a schedule starts
            passed = end_of(third, 0)
        assert (passed["status"], passed["sentence"]) == ("held", held["message"])
        with cycle(root, "--wait") as waiting:
            assert f"waiting: run digits/1 of {DAY} to {DAY} is held by host" in waiting.stderr.readline()
            go.touch()
            assert end_of(first, 0)["published"] == "2"
            assert end_of(waiting, 0)["run"] == "digits/1"
    assert [r.state.live for r in Registry(open_storage(root), MODEL).history()] == ["1", "2"]


def test_a_killed_cycle_is_continued_at_once_and_redoes_nothing(root, tmp_path):
    with cycle(root, WAIT_BEFORE_PUBLISH=str(tmp_path / "never")) as first:
        until((tmp_path / "never.here").exists, 60)
        first.kill()
        first.wait()
        before = {e.key: e.etag for e in open_storage(root).list() if e.key.startswith(("runs", "models", "datasets"))}
        with cycle(root) as second:
            made = end_of(second, 0)
    after = {e.key: e.etag for e in open_storage(root).list()}
    assert (made["run"], made["published"]) == ("digits/1", "2")
    assert {k for k in before if after[k] != before[k]} <= {f"models/{MODEL}/live.json", f"models/{MODEL}/probe.json",
                                                           f"runs/{MODEL}/1/beat-1.json"}
    assert Runs(open_storage(root), MODEL).newest().holder()[1].took_over_from == 1


def test_a_stopped_holder_that_wakes_up_fails_at_publish(root, tmp_path):
    go = tmp_path / "go"
    with cycle(root, WAIT_BEFORE_PUBLISH=str(go)) as first:
        until(Path(f"{go}.here").exists, 60)
        first.send_signal(signal.SIGSTOP)
        with cycle(root, takeover=1.0) as second:
            assert end_of(second, 0)["published"] == "2"
        history = Registry(open_storage(root), MODEL).history()
        go.touch()
        first.send_signal(signal.SIGCONT)
        woken = end_of(first, 1)["error"]
    assert woken["code"] == "RunLost" and "another one took over" in woken["message"]
    assert Registry(open_storage(root), MODEL).history() == history


def test_a_stage_that_is_killed_leaves_the_run_open_and_the_next_start_continues(root, tmp_path):
    """Stages as processes of their own here: the cycle survives and says what happened."""
    flag = tmp_path / "die"
    flag.touch()
    start = START.replace("--in-process", "")
    env = os.environ | {"FAKE_TRAIN_DIES_ONCE": str(flag)}
    command = [sys.executable, "-c", start, "--root", root, "--model", MODEL, "--json"]
    first = subprocess.run(command, cwd=REPO, env=env, text=True, capture_output=True, check=False)
    assert first.returncode == 1
    assert "train (tests.fakes.fake_train) was killed by signal 9" in json.loads(first.stdout)["error"]["message"]
    second = subprocess.run(command, cwd=REPO, env=env, text=True, capture_output=True, check=False)
    assert json.loads(second.stdout)["published"] == "2"
    assert second.stderr.count("done before") == 3  # evaluate, gate, dataset
