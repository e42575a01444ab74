"""Workers that read and decode beside the loop: processes, or threads where there is too little to pay for processes.

Threads that decode small pictures wait for Python's lock, the more the more there are. Processes are forked, so they share
memory with the rank, and end with it: their pipe breaks.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any

from contract.errors import TrueupError
from training.errors import RankGone

Handler = Callable[[Any], Any]  # a task -> its result
Begin = Callable[[Any], Handler]  # work -> the handler of its tasks; called in the worker
PIPE_CLOSED = (EOFError, BrokenPipeError, ConnectionResetError)
PATIENCE_S = 10.0

_own_ends: weakref.WeakSet[Connection] = weakref.WeakSet()  # this process's ends of all pipes


class Worker:
    """One process or thread: is given work, then handles tasks of it in their order."""

    def __init__(self, begin: Begin, forked: bool) -> None:
        self.forked = forked
        self.pipe, far_end = multiprocessing.Pipe()
        _own_ends.add(self.pipe)
        self.runner: BaseProcess | threading.Thread
        if forked:
            fork = multiprocessing.get_context("fork")
            self.runner = fork.Process(target=_run_process, args=(begin, far_end), daemon=True)
        else:
            self.runner = threading.Thread(target=_serve, args=(begin, far_end), daemon=True)
        self.runner.start()
        if forked:
            far_end.close()

    def begin(self, work: Any) -> None:
        """Makes `work` the one that later tasks are of."""
        self.submit(_Begin(work))

    def submit(self, task: Any) -> None:
        """Sends a task; others may still be unfinished."""
        with suppress(*PIPE_CLOSED):  # the worker's error may wait to be read: `result` raises it
            self.pipe.send(task)

    def result(self) -> Any:
        """Waits for the result of the oldest task that has none and returns it.

        Raises the worker's error, after which the worker is of no use. RankGone: the worker was killed.
        """
        try:
            message = self.pipe.recv()
        except (EOFError, OSError) as error:  # OSError: in the middle of a message
            raise RankGone("a process that decodes for this rank is gone; killed for want of memory?") from error
        if isinstance(message, _Failed):
            raise message.error from RuntimeError(message.trace)
        return message

    def join(self) -> None:
        """Waits for its end, which comes after the current task once its pipe is closed; kills a process that takes longer
        than PATIENCE_S seconds."""
        self.runner.join(PATIENCE_S)
        if self.runner.is_alive() and not isinstance(self.runner, threading.Thread):
            self.runner.kill()
            self.runner.join()


def start_workers(begin: Begin, count: int, forked: bool) -> list[Worker]:
    """Starts `count` workers; `begin(work)` runs in the worker and returns the handler of that work's tasks.

    `forked`: processes instead of threads.
    """
    workers: list[Worker] = []
    try:
        for _ in range(count):
            workers.append(Worker(begin, forked))
    except BaseException:
        stop_workers(workers)
        raise
    return workers


def stop_workers(workers: Sequence[Worker]) -> None:
    """Closes the pipes of all workers and waits for their end."""
    for worker in workers:
        _hang_up(worker.pipe)
    for worker in workers:
        worker.join()


def _hang_up(pipe: Connection) -> None:
    """Ends the connection itself: a process that somebody else forked meanwhile may keep a copy of this end open."""
    with suppress(OSError), socket.socket(fileno=os.dup(pipe.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
    pipe.close()


@dataclass
class _Begin:
    work: Any


@dataclass
class _Failed:
    error: Exception
    trace: str


def _serve(begin: Begin, pipe: Connection) -> None:
    """Handles messages until the other end is closed, or something fails."""
    # Messages are read as they come: a rank that waits to send one, while this waits to send a result, would wait for ever.
    messages: SimpleQueue[Any] = SimpleQueue()
    listener = threading.Thread(target=_listen, args=(pipe, messages), daemon=True)
    listener.start()
    with pipe, suppress(*PIPE_CLOSED):
        try:
            _handle_messages(begin, pipe, iter(messages.get, None))
        except PIPE_CLOSED:
            pass
        except Exception as error:
            pipe.send(_Failed(error if isinstance(error, TrueupError) else RuntimeError(repr(error)), traceback.format_exc()))
        finally:
            listener.join()  # it ends with the other end; closed under it, its number may be another file's


def _listen(pipe: Connection, messages: SimpleQueue[Any]) -> None:
    try:
        with suppress(EOFError, OSError):
            while True:
                messages.put(pipe.recv())
    finally:
        messages.put(None)


def _handle_messages(begin: Begin, pipe: Connection, messages: Iterator[Any]) -> None:
    handle: Any = None
    for message in messages:
        if isinstance(message, _Begin):
            handle = begin(message.work)
        else:
            pipe.send(handle(message))


def _run_process(begin: Begin, pipe: Connection) -> None:
    for connection in _own_ends:
        connection.close()  # or this process would keep open what tells the others that the rank is gone
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the rank's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    if pyarrow := sys.modules.get("pyarrow"):  # which the rank imported, if its rows come by way of it
        pyarrow.set_cpu_count(1)
    try:
        _serve(begin, pipe)
    finally:
        os._exit(0)  # clean-up at exit is the rank's process's to do
