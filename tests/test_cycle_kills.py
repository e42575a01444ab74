"""A real cycle dies around each of its writes, is started again, and leaves what an undisturbed one leaves.

Everything but the training's launcher is what a user runs: real evaluation, gate, dataset, fine-tuning of a tiny
network, assessment. One kill per write belongs to the first tier: each start dies at the first write that was not yet
fatal, just before it or just after it in turn. `make test-slow K=kills` kills alone at every write, both before and after.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract import clock, jsonio, storage
from contract.documents import manifest
from contract.runs import Runs
from contract.stores.local import LocalStorage
from pipeline import cycle
from tests import tiny_root
from tests.faults import AFTER, BEFORE, Died, Process, patched

NOW = clock.to_us(clock.parse_moment("2026-11-11T00:00:00Z"))
SETTINGS = {"train.launcher": "process", "train.epochs": 1, "train.batch": 16, "train.checkpoint_steps": 2,
            "dataset.files": 2, "gates.max_drop": 0.99, "gates.max_class_drop": 0.99, "cycle.takeover_seconds": 0,
            "cycle.beat_seconds": 3600, "gates.min_held_out": 1}
OPTIONS = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


class World:
    """One root at one place, brought back to its beginning as often as needed; time stands still."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.root, self.beginning, self.monkeypatch = folder / "root", folder / "beginning", monkeypatch
        monkeypatch.setattr(clock, "now_us", lambda: NOW)
        tiny_root.make(str(self.beginning))
        self.begin()

    def begin(self) -> None:
        """The root as it was before any cycle; modification times too, which are a disk's etags."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.beginning, self.root)

    def start(self, process: Process) -> int | None:
        """A start of the cycle as a process; its exit code, or None when it died."""
        patched(self.monkeypatch, process)
        try:
            return cycle.main(["--root", str(self.root), "--model", tiny_root.MODEL, "--in-process", *OPTIONS])
        except Died:
            return None

    def unfinished(self) -> bool:
        """Whether there is no run yet, or an open one; who starts a cycle after the end of a run wants another run."""
        newest = Runs(LocalStorage(self.root), tiny_root.MODEL).newest()
        return newest is None or newest.end() is None

    def state(self) -> dict[str, bytes]:
        """Every object by its key, without what may differ: who owned the run, and attempts that nothing names."""
        store = LocalStorage(self.root)
        kept = {}
        for entry in store.list():
            if re.search(r"runs/.*/owner-\d+\.json", entry.key) or unnamed_attempt(store, entry.key):
                continue
            kept[ATTEMPT.sub("attempt-*", entry.key)] = normal(store.read(entry.key), entry.key)
        return kept


# Petastorm's pools and Spark's gateway close their files and sockets when they are collected.
pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"), pytest.mark.usefixtures("without_spark")]
ATTEMPT = re.compile(r"attempt-[0-9a-f]{8}")
MEASURED = re.compile("seconds|per_second|latency_ms")


def unnamed_attempt(store, key: str) -> bool:
    """Whether a dataset's file belongs to an attempt that died: its manifest names another, or there is none."""
    found = re.match(rf"datasets/([^/]+)/({ATTEMPT.pattern})/", key)
    if not found:
        return False
    return not store.exists(f"datasets/{found[1]}/manifest.json") or manifest.load(store, found[1]).attempt != found[2]


def normal(data: bytes, key: str) -> bytes:
    """The content without the names of attempts and without measured times."""
    if not key.endswith(".json"):
        return data
    return jsonio.dumps(without_times(jsonio.loads(ATTEMPT.sub("attempt-*", data.decode()))))


def without_times(value):
    if isinstance(value, dict):
        # Of `rests_on` the keys: hashes are of documents that hold times.
        named = {k: sorted(v) if k == "rests_on" and isinstance(v, dict) else v for k, v in value.items()}
        return {k: without_times(v) for k, v in named.items() if not MEASURED.search(k)}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


@pytest.fixture
def clean(world):
    """The state and the writes of an undisturbed cycle, which published version 2."""
    process = Process()
    assert world.start(process) == 0
    state = world.state()
    assert any(key.endswith("publish.json") for key in state)
    assert len(process.writes) > 30
    world.begin()
    return state, process.writes


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(expected)
    assert [key for key in expected if found[key] != expected[key]] == []


@pytest.mark.timeout(600)
def test_a_cycle_that_dies_around_each_of_its_writes_ends_as_an_undisturbed_one(world, clean):
    state, writes = clean
    deaths = []

    def fatal(name):
        if name in deaths:
            return None
        deaths.append(name)
        return BEFORE if len(deaths) % 2 else AFTER

    while world.start(Process(fatal)) is None and world.unfinished():
        assert len(deaths) < 2 * len(writes), "it makes no progress"
    assert set(writes) <= set(deaths)
    same(world.state(), state)


@pytest.mark.slow("kills")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_death_at_any_write_alone_leaves_no_trace(world, clean, when):
    state, writes = clean
    for fatal in writes:
        world.begin()
        assert world.start(Process(lambda name, fatal=fatal: when if name == fatal else None)) is None
        tiny_root.check_readable(LocalStorage(world.root))
        assert not world.unfinished() or world.start(Process()) == 0, fatal
        same(world.state(), state)


def test_the_store_of_a_dead_process_answers_nothing(tmp_path, monkeypatch):
    process = Process(lambda name: AFTER if name.startswith("create b") else None)
    patched(monkeypatch, process)
    store = storage.open_storage(str(tmp_path))
    with pytest.raises(Died):
        store.create("b", b"1")
    for call in (lambda: store.put("c", b"1"), lambda: store.read("b"), lambda: storage.open_storage(str(tmp_path)).exists("b")):
        with pytest.raises(Died):
            call()
    assert (tmp_path / "b").read_bytes() == b"1" and not (tmp_path / "c").exists()


STAGES = ("evaluate", "gate", "dataset", "train", "assess")


@pytest.mark.slow("kills")
@pytest.mark.parametrize("stage", ["evaluate", "dataset", "train", "assess"])
def test_a_cycle_killed_in_a_stage_with_all_its_processes_is_continued(tmp_path, stage):
    """Real processes, Spark and two ranks: SIGKILL to the whole session a second after the stage began."""
    root, before = tiny_root.make(str(tmp_path / "root")), STAGES[:STAGES.index(stage)]
    settings = SETTINGS | {"train.launcher": "spark", "train.ranks": 2, "cycle.takeover_seconds": 60}
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "pipeline.cycle", "--root", root, "--model", tiny_root.MODEL, "--json", *options]
    started = {"cwd": Path(cycle.__file__).parents[1], "text": True, "stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    first = subprocess.Popen(command, start_new_session=True, **started)
    for line in first.stderr:
        if line.startswith(f"  {before[-1]} " if before else "run "):
            break
    time.sleep(1)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    second = subprocess.run(command, **started, check=False)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("done before") in (len(before), len(before) + 1)
    assert jsonio.loads(second.stdout)["published"] == "2"
