"""Ctrl-C ends a command with 130 in moments, takes along what it started, and prints no traceback."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from command.command import run
from command.interrupts import INTERRUPTED, list_descendants, shield_forks
from contract import clock
from tests.inference.serving import until

REPO = Path(__file__).parents[2]
START = """
import subprocess, sys, threading, time, multiprocessing, os
import click
from command import interrupts
from command.command import run
from command.process import end_with
interrupts.GRACE_S = interrupts.END_S = 0.3
def say(*pids):
    print(*pids, flush=True)
@click.command()
def command():
    {body}
end_with(lambda: run(command, []))
"""
SWALLOWS = """child = subprocess.Popen(['sleep', '60']); say(child.pid)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass"""
FAILS = """child = subprocess.Popen(['sleep', '60']); say(child.pid)
    try:
        time.sleep(60)
    finally:
        raise ConnectionError('the other side is gone')"""
POOLS = """with interrupts.shield_forks(), multiprocessing.get_context('fork').Pool(2) as pool:
        say(*(p.pid for p in pool._pool))
        pool.map(time.sleep, [60, 60])"""
RESTARTS = """def restart():
        while True:
            if not (pid := os.fork()):
                time.sleep(60)
                os._exit(0)
            os.waitpid(pid, 0)
    with interrupts.shield_forks():
        for _ in range(20):  # as the thread of a pool does that starts a worker for each that ends
            threading.Thread(target=restart, daemon=True).start()
        say(os.getpid())
        while True:  # Python may begin a sleep with a signal that came just before it
            time.sleep(0.05)"""
THREADS = """def work():
        while not interrupts.was_interrupted():
            time.sleep(0.01)
        raise ValueError('taken apart')
    threading.Thread(target=work).start(); say(os.getpid())
    time.sleep(60)"""


def is_running(pid):
    """Whether there is such a process; a zombie, whose end nobody has asked about, is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("body", [SWALLOWS, FAILS, POOLS, RESTARTS, THREADS])
def test_whatever_a_library_makes_of_ctrl_c(body, tmp_path):
    """The signal goes to the whole group, as a terminal sends it."""
    process = subprocess.Popen([sys.executable, "-c", START.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPO)}, start_new_session=True)
    pids = [int(word) for word in process.stdout.readline().split()]
    began = clock.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED and said.strip() == "error: interrupted.", said
    assert clock.monotonic() - began < 10 and not any(map(is_running, pids))


@pytest.mark.parametrize("answer", ["", "n\n"])
def test_a_question_that_nobody_answers_with_yes_is_no_interruption(answer, monkeypatch, capsys):
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json):
        click.confirm("Begin?", abort=True, err=True)

    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert run(command, ["--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == "Unanswered" and "error: the question was answered with no" in said.err


def test_an_interruption_is_told_from_an_error(capsys):
    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json):
        raise KeyboardInterrupt

    assert run(command, ["--json"]) == INTERRUPTED
    assert '"Interrupted"' in capsys.readouterr().out


def test_the_handler_is_taken_back():
    before = signal.getsignal(signal.SIGINT)
    assert run(click.Command("x", callback=lambda: None), []) == 0 and signal.getsignal(signal.SIGINT) is before


def test_descendants_are_found():
    with subprocess.Popen([sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '30'])"]) as child:
        until(lambda: list_descendants(child.pid), 10)
        found = list_descendants(child.pid)
        assert child.pid in list_descendants(os.getpid())
        for pid in (*found, child.pid):
            os.kill(pid, signal.SIGKILL)


def test_forks_outside_of_the_block_hear_ctrl_c():
    with shield_forks():
        pass
    pid = os.fork()
    if pid == 0:
        os._exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
