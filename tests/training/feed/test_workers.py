"""Decoders: answers in order, errors that reach the rank, and nothing that outlives it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from contract.errors import BadImage
from training.feed.workers import begun, end
from training.fit.failure import RankGone

BOTH = pytest.mark.parametrize("forked", [False, True])


@contextmanager
def decoders(begin, count, forked, work=0):
    found = begun(begin, count, forked)
    try:
        for one in found:
            one.begin(work)
        yield found
    finally:
        end(found)


def times(factor):
    return lambda task: factor * task


@BOTH
def test_each_answers_its_tasks_in_order_of_the_work_it_was_given(forked):
    with decoders(times, 2, forked, work=2) as (first, second):
        for task in range(3):
            first.ask(task)
        first.begin(5)
        first.ask(3)
        second.ask(7)
        assert [second.answer(), *(first.answer() for _ in range(4))] == [14, 0, 2, 4, 15]
    assert not first.worker.is_alive() and not second.worker.is_alive()


@BOTH
def test_tasks_and_answers_that_no_pipe_holds_make_nobody_wait_for_ever(forked):
    with decoders(times, 1, forked, work=1) as (one,):
        asked = [bytes([n]) * 300_000 for n in range(20)]
        for task in asked:  # none is answered to anybody before all are asked
            one.ask(task)
        assert [one.answer() for _ in asked] == asked


@BOTH
@pytest.mark.parametrize(("error", "raised"), [(BadImage("picture 3"), BadImage), (KeyError("x"), RuntimeError)])
def test_what_goes_wrong_there_is_raised_here_with_its_trace(forked, error, raised):
    def filling(task):
        raise error

    with decoders(lambda _: filling, 1, forked) as (one,):
        one.ask(1)
        with pytest.raises(raised, match="picture 3|KeyError") as caught:
            one.answer()
    assert "in filling" in str(caught.value.__cause__)


@BOTH
def test_an_error_at_the_beginning_of_work_is_raised_too(forked):
    def begin(_):
        raise BadImage("at once")

    with decoders(begin, 1, forked) as (one,), pytest.raises(BadImage, match="at once"):
        one.answer()


@BOTH
def test_what_went_wrong_is_said_however_many_tasks_it_is_given_afterwards(forked):
    def begin(work):
        if work:
            raise BadImage("at once")
        return lambda task: 1 // task

    with decoders(begin, 2, forked) as (early, late):
        for task in (1, 1, 0, 1):
            late.ask(task)
        assert [late.answer(), late.answer()] == [1, 1]
        early.begin(1)
        time.sleep(0.3)
        for one in (early, late):
            for _ in range(50):
                one.ask(1)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            late.answer()
        with pytest.raises(BadImage, match="at once"):
            early.answer()


def test_a_process_that_is_killed_while_it_answers_is_gone_too():
    with decoders(lambda _: bytes, 1, forked=True) as (one,):
        one.ask(50_000_000)  # more than a pipe holds
        while not one.pipe.poll():
            time.sleep(0.01)
        os.kill(one.worker.pid, signal.SIGKILL)
        with pytest.raises(RankGone):
            one.answer()


@BOTH
def test_others_that_were_begun_later_keep_nobody_from_ending(forked, monkeypatch):
    monkeypatch.setattr("training.feed.workers.PATIENCE_S", 60)
    first = begun(times, 2, forked)
    with decoders(times, 2, forked=True):
        end(first)
        assert not any(one.worker.is_alive() for one in first)
        assert not forked or [one.worker.exitcode for one in first] == [0, 0]  # they were not killed in the end


@BOTH
def test_processes_of_others_that_were_forked_meanwhile_keep_nobody_from_ending(forked, monkeypatch):
    monkeypatch.setattr("training.feed.workers.PATIENCE_S", 60)
    found = begun(times, 2, forked)
    other = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,), daemon=True)
    other.start()
    try:
        end(found)
        assert not any(one.worker.is_alive() for one in found)
        assert not forked or [one.worker.exitcode for one in found] == [0, 0]
    finally:
        other.kill()
        other.join()


def test_a_process_that_is_killed_is_a_rank_that_is_gone():
    with decoders(lambda _: time.sleep, 2, forked=True) as (one, other):
        one.ask(60)
        os.kill(one.worker.pid, signal.SIGKILL)
        with pytest.raises(RankGone, match="decodes"):
            one.answer()
        other.ask(0)
        assert other.answer() is None


def test_ctrl_c_is_for_the_rank_to_say():
    with decoders(lambda _: time.sleep, 2, forked=True) as found:
        for one in found:
            one.ask(0)
            one.answer()
            os.kill(one.worker.pid, signal.SIGINT)  # a terminal sends it to all
        time.sleep(0.1)
        for one in found:
            one.ask(0)
            assert one.answer() is None


RANK = """
import time
from training.feed.workers import begun
found = begun(lambda _: time.sleep, 3, True)
found[0].begin(0)
found[0].ask(0.5)
print(*(one.worker.pid for one in found), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: reads /proc")
def test_nothing_outlives_a_rank_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", RANK], stdout=subprocess.PIPE, text=True) as rank:
        pids = [int(word) for word in rank.stdout.readline().split()]
        rank.kill()
    until = time.monotonic() + 10
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(pids) == 3


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
