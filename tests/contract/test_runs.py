"""Runs and their owners: one open run, takeover by a beat that stands still, and nothing from who was overtaken."""

import subprocess
import sys
import threading
import time

import pytest

from contract import run_owner
from contract.errors import NoConditionalWrites, RunHeld, RunLost
from contract.runs import Observer, Plan, Runs, Timing
from contract.stores.local import LocalStorage
from tests.contract.forgetful import Forgetful

QUICK = Timing(beat=0.05, takeover=0.5)
PATIENT = Timing(beat=0.05, takeover=60)  # of owners that live: a busy machine may hold back their beat
AT_ONCE = Timing(beat=0.05, takeover=0)


def plan(day="2026-11-20", **more):
    values = {"model": "digits", "window": {"from": day, "to": day}, "as_of": "2026-11-21T00:00:00.000000Z",
              "live": "1", "live_seq": 1} | more
    return Plan(**values)


@pytest.fixture
def runs(tmp_path):
    return Runs(LocalStorage(tmp_path / "root"), "digits")


def test_a_run_is_created_owned_worked_on_and_ended(runs):
    run = runs.acquire(lambda: plan(), QUICK)
    assert (run.key, run.owner) == ("digits/1", 1)
    run.record("evaluate", {"id": "e"})
    run.finish("healthy", 0, "All gates pass.")
    assert runs.newest().stage("evaluate") == {"id": "e"}
    assert runs.newest().end().status == "healthy"
    assert runs.acquire(lambda: plan(), QUICK).n == 2  # a new start is a new run


def test_the_documents_lie_where_the_design_says(runs):
    run = runs.acquire(lambda: plan(), QUICK)
    with run.keep_beating(0.01):
        while runs.get(1).beat(1) == 0:
            time.sleep(0.01)
    run.finish("healthy", 0, "")
    keys = [e.key for e in runs.storage.list("runs/")]
    assert keys == [f"runs/digits/1/{name}.json" for name in ("beat-1", "end", "owner-1", "run")]


def test_who_sees_the_beat_move_is_told_who_holds_the_run(runs):
    run = runs.acquire(lambda: plan(), PATIENT)
    with run.keep_beating(PATIENT.beat), pytest.raises(RunHeld, match=r"digits/1 .* held by host .*, process \d+, since 20"):
        runs.acquire(lambda: plan(), PATIENT)


def test_a_beat_that_stands_still_is_taken_over_and_its_owner_loses(runs):
    old = runs.acquire(lambda: plan(), QUICK)
    old.record("evaluate", {"id": "e"})
    began = time.monotonic()
    new = runs.acquire(lambda: plan(), QUICK)
    assert time.monotonic() - began >= QUICK.takeover
    assert (new.n, new.owner, new.stage("evaluate")) == (1, 2, {"id": "e"})
    with pytest.raises(RunLost, match="another one took over"):
        old.require()
    new.require()


def test_the_run_of_a_process_that_is_gone_is_taken_over_at_once(runs, tmp_path):
    code = ("import sys; sys.path.insert(0, sys.argv[2]); from contract.stores.local import LocalStorage;"
            "from contract.runs import *; from pathlib import Path;"
            "plan = Plan.model_validate_json(sys.stdin.read());"
            "Runs(LocalStorage(Path(sys.argv[1])), 'digits').acquire(lambda: plan, Timing())")
    repo = run_owner.__file__.rsplit("/contract/", 1)[0]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "root"), repo], check=True, text=True,
                   input=plan().model_dump_json(by_alias=True))
    began = time.monotonic()
    assert runs.acquire(lambda: plan(), Timing()).owner == 2
    assert time.monotonic() - began < 5


def test_a_process_in_another_namespace_or_on_another_host_cannot_be_looked_up():
    here = run_owner.me()
    assert not run_owner.has_ended(here)
    assert run_owner.has_ended(here.model_copy(update={"process_started": "1"}))  # the same pid, used again
    for field in ("host", "boot", "pid_namespace"):
        assert not run_owner.has_ended(here.model_copy(update={"process_started": "1", field: "another"}))


def test_a_zombie_is_gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 20
    while run_owner.find_start(process.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run_owner.find_start(process.pid) is None
    process.wait()


def test_an_open_run_of_another_window_is_closed_when_its_owner_is_dead(runs):
    old = runs.acquire(lambda: plan("2026-11-19"), AT_ONCE)
    new = runs.acquire(lambda: plan("2026-11-20"), AT_ONCE)
    assert (new.n, runs.get(1).end().status) == (2, "closed")
    with pytest.raises(RunLost, match="another one took over"):
        old.record("evaluate", {})


def test_an_open_run_of_another_window_whose_owner_lives_is_held(runs):
    run = runs.acquire(lambda: plan("2026-11-19"), PATIENT)
    with run.keep_beating(PATIENT.beat), pytest.raises(RunHeld, match="2026-11-19 to 2026-11-19"):
        runs.acquire(lambda: plan("2026-11-20"), PATIENT)
    assert runs.newest().n == 1


def test_default_windows_mean_the_same_run_for_a_day():
    first = plan(default_window=True)
    later = plan("2026-11-21", default_window=True, as_of="2026-11-21T23:59:59.000000Z")
    next_day = plan("2026-11-21", default_window=True, as_of="2026-11-22T00:00:00.000000Z")
    assert later.has_same_window(first) and not next_day.has_same_window(first)
    assert not plan("2026-11-21").has_same_window(first)


def test_who_waits_for_a_run_of_the_same_window_gets_how_it_ended(runs):
    run = runs.acquire(lambda: plan(), PATIENT)
    with run.keep_beating(PATIENT.beat):
        waited = runs.acquire(lambda: plan(), PATIENT, wait=True, say=lambda _: run.finish("healthy", 0, "All gates pass."))
    assert (waited.n, waited.owner, waited.end().status) == (1, None, "healthy")


def test_who_waits_for_a_run_of_another_window_gets_a_run_of_its_own(runs):
    run = runs.acquire(lambda: plan("2026-11-19"), PATIENT)
    with run.keep_beating(PATIENT.beat):
        assert runs.acquire(lambda: plan(), PATIENT, wait=True, say=lambda _: run.finish("healthy", 0, "")).n == 2


def test_a_run_that_follows_another_is_planned_after_it(runs):
    """What the run before made live is what the next one judges, also when it was started while that one worked."""
    live = ["1"]
    run = runs.acquire(lambda: plan("2026-11-19"), PATIENT)

    def publish(_):
        live[0] = "2"
        run.finish("published", 0, "")

    with run.keep_beating(PATIENT.beat):
        assert runs.acquire(lambda: plan(live=live[0]), PATIENT, wait=True, say=publish).plan.live == "2"


def test_many_at_once_one_run_and_one_owner(tmp_path):
    won, held, barrier, all_held = [], [], threading.Barrier(8), threading.Event()

    def start():
        barrier.wait()
        try:
            run = Runs(LocalStorage(tmp_path / "root"), "digits").acquire(lambda: plan(), PATIENT)
        except RunHeld:
            held.append(True)
            if len(held) == 7:
                all_held.set()
            return
        won.append(run)
        with run.keep_beating(PATIENT.beat):
            all_held.wait(60)

    threads = [threading.Thread(target=start) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [(r.n, r.owner) for r in won] == [(1, 1)] and len(held) == 7


def test_a_run_that_was_ended_by_another_is_lost(runs):
    run = runs.acquire(lambda: plan(), QUICK)
    ended = b'{"status": "closed", "exit_code": 1, "sentence": "", "at": ""}'
    runs.storage.create("runs/digits/1/end.json", ended)
    with pytest.raises(RunLost, match="ended meanwhile"):
        run.record("evaluate", {})


def test_only_an_owner_may_write(runs):
    runs.acquire(lambda: plan(), QUICK)
    with pytest.raises(RunLost, match="only looked at it"):
        runs.newest().finish("healthy", 0, "")


def test_a_store_without_conditional_writes_holds_no_runs(tmp_path):
    with pytest.raises(NoConditionalWrites, match="two cycles could both win"):
        Runs(Forgetful(tmp_path), "digits").acquire(lambda: plan(), QUICK)


def test_a_beat_goes_on_when_the_store_is_away_for_a_moment(runs):
    run = runs.acquire(lambda: plan(), QUICK)
    put, failed = run.storage.put, []

    def flaky(key, data):
        if not failed:
            failed.append(key)
            raise OSError("away")
        put(key, data)

    run.storage.put = flaky
    with run.keep_beating(0.01):
        deadline = time.monotonic() + 5
        while run.beat(1) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert failed and run.beat(1) >= 2


def test_an_observer_never_compares_clocks(runs, monkeypatch):
    run, observer = runs.acquire(lambda: plan(), QUICK), Observer(Timing(takeover=10))
    now = [5.0]
    monkeypatch.setattr("contract.runs.clock.monotonic", lambda: now[0])
    assert observer.look(run) == "unknown"
    now[0] = 14.9
    assert observer.look(run) == "unknown"
    now[0] = 15.0
    assert observer.look(run) == "dead"
