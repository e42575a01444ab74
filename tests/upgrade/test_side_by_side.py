"""Replicas of the release before and of this one on one root, under traffic, while this release evaluates and publishes.

`make test-slow K=upgrade`: it runs the code of the commit that tests/upgrade/README.md names, from this checkout's history.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading

import httpx
import pytest

from contract import clock
from contract.registry import Registry
from contract.sections.modules import VARIABLE
from contract.storage import open_root
from pipeline import cli
from tests.inference.serving import REPOSITORY, serving, until
from tests.prerequisites import need, not_run
from tests.restore.test_drill import publish_again
from tests.upgrade.of_rules_1 import MODEL, make_picture, unpack

COMMIT = "5f39d2a"
PNG = {"Content-Type": "image/png"}
SOON = ("--set", "serve.ship_seconds=0.3", "--set", "serve.poll_seconds=0.2")


@pytest.fixture
def before(tmp_path):
    """The code of the release before, in a folder of its own."""
    git, = need("git")
    made = subprocess.run([git, "-C", REPOSITORY, "archive", COMMIT], capture_output=True, check=False)
    if made.returncode:
        not_run(f"this checkout's history lacks commit {COMMIT}", "git fetch --unshallow, in a clone of the repository")
    folder = tmp_path / "before"
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Traffic:
    """Asks one service all the time, in a thread; keeps which version answered each id."""

    def __init__(self, url: str) -> None:
        self.url, self.answers, self.failed, self._stop = url, {}, [], threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            n = 0
            while not self._stop.is_set():
                n += 1
                answer = client.post("/v1/predictions", content=make_picture("red", n % 9), headers=PNG)
                if answer.status_code == 200:
                    self.answers[answer.json()["prediction_id"]] = answer.json()["model_version"]
                else:
                    self.failed.append(answer.text)
                self._stop.wait(0.05)

    def is_at(self, version: str) -> bool:
        return list(self.answers.values())[-1:] == [version]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


def make_environment(code):
    """What a process of the release before gets: that one stops at settings that it does not know."""
    return {name: value for name, value in os.environ.items() if name != VARIABLE} | {"PYTHONPATH": str(code)}


def start_before(code, root, folder):
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "inference.serve", "--root", root, "--model", MODEL, "--port", "0", "--no-auth",
               "--ready-file", str(ready), "--outbox", str(folder / "of-before"), *SOON]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log, cwd=folder, env=make_environment(code))
    until(lambda: ready.exists() or process.poll() is not None, 120)
    assert ready.exists(), (folder / "log").read_text()
    return process, json.loads(ready.read_text())["url"]


@pytest.mark.slow("upgrade")
def test_replicas_of_two_releases_share_a_root(before, tmp_path, capsys):
    root = unpack(tmp_path)
    process, url = start_before(before, root, tmp_path)
    try:
        with serving(root, tmp_path / "of-this", models=(MODEL,)) as client:
            both = [Traffic(url), Traffic(str(client.base_url))]
            until(lambda: all(one.is_at("2") for one in both), 60)
            assert cli.main(["evaluate", "--root", root, "--model", MODEL]) == 0
            old = subprocess.run([sys.executable, "-m", "pipeline.cli", "evaluate", "--root", root, "--model", MODEL],
                                 env=make_environment(before), cwd=tmp_path, capture_output=True, check=False)
            assert old.returncode == 0, old.stderr
            assert publish_again(open_root(root)) == "3"
            until(lambda: all(one.is_at("3") for one in both), 60)
            Registry(open_root(root), MODEL).promote("1", by="me", reason="r", expected_live="3", kind="rollback")
            until(lambda: all(one.is_at("1") for one in both), 60)
            for one in both:
                one.stop()
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    finally:
        process.kill()
    assert [one.failed for one in both] == [[], []]
    today = clock.day_of(clock.now())
    capsys.readouterr()
    assert cli.main(["evaluate", "--root", root, "--model", MODEL, "--from", today, "--json"]) == 0
    counted = json.loads(capsys.readouterr().out)["versions"]
    answered = [version for one in both for version in one.answers.values()]
    assert {v: counted[v]["predictions"] for v in counted} == {v: answered.count(v) for v in sorted(set(answered))}
    assert min(len(one.answers) for one in both) > 10
