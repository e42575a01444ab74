"""Workers: results in order, errors that reach the rank, and nothing that outlives it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from contract.errors import BadImage
from tests.command.test_interrupts import is_running
from tests.inference.serving import until
from training.errors import RankGone
from training.feed.workers import start_workers, stop_workers

BOTH = pytest.mark.parametrize("forked", [False, True])


@contextmanager
def started(begin, count, forked, work=0):
    found = start_workers(begin, count, forked)
    try:
        for one in found:
            one.begin(work)
        yield found
    finally:
        stop_workers(found)


def times(factor):
    return lambda task: factor * task


@BOTH
def test_each_answers_its_tasks_in_order_of_the_work_it_was_given(forked):
    with started(times, 2, forked, work=2) as (first, second):
        for task in range(3):
            first.submit(task)
        first.begin(5)
        first.submit(3)
        second.submit(7)
        assert [second.result(), *(first.result() for _ in range(4))] == [14, 0, 2, 4, 15]
    assert not first.runner.is_alive() and not second.runner.is_alive()


@BOTH
def test_tasks_and_answers_that_no_pipe_holds_make_nobody_wait_for_ever(forked):
    with started(times, 1, forked, work=1) as (one,):
        asked = [bytes([n]) * 300_000 for n in range(20)]
        for task in asked:  # none is answered to anybody before all are asked
            one.submit(task)
        assert [one.result() for _ in asked] == asked


@BOTH
@pytest.mark.parametrize(("error", "raised"), [(BadImage("picture 3"), BadImage), (KeyError("x"), RuntimeError)])
def test_what_goes_wrong_there_is_raised_here_with_its_trace(forked, error, raised):
    def decode(task):
        raise error

    with started(lambda _: decode, 1, forked) as (one,):
        one.submit(1)
        with pytest.raises(raised, match="picture 3|KeyError") as caught:
            one.result()
    assert "in decode" in str(caught.value.__cause__)


@BOTH
def test_an_error_at_the_beginning_of_work_is_raised_too(forked):
    def begin(_):
        raise BadImage("at once")

    with started(begin, 1, forked) as (one,), pytest.raises(BadImage, match="at once"):
        one.result()


@BOTH
def test_what_went_wrong_is_said_however_many_tasks_it_is_given_afterwards(forked):
    def begin(work):
        if work:
            raise BadImage("at once")
        return lambda task: 1 // task

    with started(begin, 2, forked) as (early, late):
        for task in (1, 1, 0, 1):
            late.submit(task)
        assert [late.result(), late.result()] == [1, 1]
        early.begin(1)
        time.sleep(0.3)
        for one in (early, late):
            for _ in range(50):
                one.submit(1)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            late.result()
        with pytest.raises(BadImage, match="at once"):
            early.result()


def test_a_process_that_is_killed_while_it_answers_is_gone_too():
    with started(lambda _: bytes, 1, forked=True) as (one,):
        one.submit(50_000_000)  # more than a pipe holds
        while not one.pipe.poll():
            time.sleep(0.01)
        os.kill(one.runner.pid, signal.SIGKILL)
        with pytest.raises(RankGone):
            one.result()


@BOTH
def test_others_that_were_begun_later_keep_nobody_from_ending(forked, monkeypatch):
    monkeypatch.setattr("training.feed.workers.PATIENCE_S", 60)
    first = start_workers(times, 2, forked)
    with started(times, 2, forked=True):
        stop_workers(first)
        assert not any(one.runner.is_alive() for one in first)
        assert not forked or [one.runner.exitcode for one in first] == [0, 0]  # they were not killed in the end


@BOTH
def test_processes_of_others_that_were_forked_meanwhile_keep_nobody_from_ending(forked, monkeypatch):
    monkeypatch.setattr("training.feed.workers.PATIENCE_S", 60)
    found = start_workers(times, 2, forked)
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True)
    other.start()
    try:
        stop_workers(found)
        assert not any(one.runner.is_alive() for one in found)
        assert not forked or [one.runner.exitcode for one in found] == [0, 0]
    finally:
        other.kill()
        other.join()


def test_a_process_that_is_killed_is_a_rank_that_is_gone():
    with started(lambda _: time.sleep, 2, forked=True) as (one, other):
        one.submit(60)
        os.kill(one.runner.pid, signal.SIGKILL)
        with pytest.raises(RankGone, match="decodes"):
            one.result()
        other.submit(0)
        assert other.result() is None


def test_ctrl_c_is_for_the_rank_to_say():
    with started(lambda _: time.sleep, 2, forked=True) as found:
        for one in found:
            one.submit(0)
            one.result()
            os.kill(one.runner.pid, signal.SIGINT)  # a terminal sends it to all
        time.sleep(0.1)
        for one in found:
            one.submit(0)
            assert one.result() is None


RANK = """
import time
from training.feed.workers import start_workers
found = start_workers(lambda _: time.sleep, 3, True)
found[0].begin(0)
found[0].submit(0.5)
print(*(one.runner.pid for one in found), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: reads /proc")
def test_nothing_outlives_a_rank_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", RANK], stdout=subprocess.PIPE, text=True) as rank:
        pids = [int(word) for word in rank.stdout.readline().split()]
        rank.kill()
    until(lambda: not any(map(is_running, pids)))
    assert len(pids) == 3
