"""Who reads and decodes beside the loop: processes, or threads where there is too little to pay for them.

Threads that decode small pictures wait for Python's lock, the more the more there are. Processes are forked, so they have
memory in common with the rank, and end with it: their pipe breaks.
"""

import multiprocessing
import os
import signal
import socket
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from contract.errors import TrueupError
from training.fit.failure import RankGone

Fill = Callable[[Any], Any]  # a task -> its answer
GONE = (EOFError, BrokenPipeError, ConnectionResetError)
PATIENCE_S = 10.0

_ours: weakref.WeakSet[Connection] = weakref.WeakSet()  # this process's ends of all pipes


class Decoder:
    """One process or thread: is given work, then answers tasks of it in their order."""

    def __init__(self, begin: Callable[[Any], Fill], forked: bool) -> None:
        self.forked = forked
        self.pipe, theirs = multiprocessing.Pipe()
        _ours.add(self.pipe)
        if forked:
            self.worker: Any = multiprocessing.get_context("fork").Process(target=_as_process, args=(begin, theirs), daemon=True)
        else:
            self.worker = threading.Thread(target=_serve, args=(begin, theirs), daemon=True)
        self.worker.start()
        if forked:
            theirs.close()

    def begin(self, work: Any) -> None:
        """Tasks from here on are of this work."""
        self.ask(_Begin(work))

    def ask(self, task: Any) -> None:
        """Gives it a task; it may have others."""
        with suppress(*GONE):  # what went wrong there may wait to be read: `answer` says it
            self.pipe.send(task)

    def answer(self) -> Any:
        """The answer to the oldest task without one; raises what went wrong there, and is of no use then. RankGone: it was
        killed."""
        try:
            found = self.pipe.recv()
        except (EOFError, OSError) as error:  # OSError: in the middle of a message
            raise RankGone("a process that decodes for this rank is gone; killed for want of memory?") from error
        if isinstance(found, _Failed):
            raise found.error from RuntimeError(found.trace)
        return found

    def join(self) -> None:
        """Waits for its end, which comes after the task that it does when its pipe is closed."""
        self.worker.join(PATIENCE_S)
        if self.worker.is_alive() and not isinstance(self.worker, threading.Thread):
            self.worker.kill()
            self.worker.join()


def begun(begin: Callable[[Any], Fill], count: int, forked: bool) -> list[Decoder]:
    """So many decoders; `begin` makes of work what fills its tasks, there."""
    made: list[Decoder] = []
    try:
        for _ in range(count):
            made.append(Decoder(begin, forked))
    except BaseException:
        end(made)
        raise
    return made


def end(decoders: Sequence[Decoder]) -> None:
    """Ends them all."""
    for decoder in decoders:
        _hang_up(decoder.pipe)
    for decoder in decoders:
        decoder.join()


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


def _serve(begin: Callable[[Any], Fill], pipe: Connection) -> None:
    """Answers until the other end is closed, or something fails."""
    # Messages are taken as they come: a rank that waits to send one, while this waits to send an answer, would wait for ever.
    messages: SimpleQueue[Any] = SimpleQueue()
    listener = threading.Thread(target=_listen, args=(pipe, messages), daemon=True)
    listener.start()
    with pipe, suppress(*GONE):
        try:
            _answer(begin, pipe, iter(messages.get, None))
        except GONE:
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


def _answer(begin: Callable[[Any], Fill], pipe: Connection, messages: Iterator[Any]) -> None:
    fill: Any = None
    for message in messages:
        if isinstance(message, _Begin):
            fill = begin(message.work)
        else:
            pipe.send(fill(message))


def _as_process(begin: Callable[[Any], Fill], pipe: Connection) -> None:
    for connection in _ours:
        connection.close()  # or this process would keep open what tells the others that the rank is gone
    import pyarrow
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the rank to say
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    pyarrow.set_cpu_count(1)
    try:
        _serve(begin, pipe)
    finally:
        os._exit(0)  # what else ends with the rank's process is the rank's
