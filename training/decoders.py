"""Who reads and decodes beside the loop: processes, or threads where an epoch is too short to pay for them.

Threads that decode small pictures wait for Python's lock a third of their time. Processes are forked, so they have the
memory of the batches in common with the rank, and end with it: their pipe breaks.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from contract.errors import TrueupError
from training.failure import RankGone

Fill = Callable[[Any], Any]  # a task -> its answer
GONE = (EOFError, BrokenPipeError, ConnectionResetError)
PATIENCE_S = 10.0


class Decoder:
    """One process or thread: answers tasks in their order."""

    def __init__(self, begin: Callable[[], Fill], tasks: int, forked: bool, others: Sequence["Decoder"]) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        if forked:
            ours = [self.pipe, *(other.pipe for other in others)]
            self.worker: Any = multiprocessing.get_context("fork").Process(target=_as_process, args=(begin, tasks, theirs, ours),
                                                                           daemon=True)
        else:
            self.worker = threading.Thread(target=_serve, args=(begin, tasks, theirs), daemon=True)
        self.worker.start()
        if forked:
            theirs.close()

    def ask(self, task: Any) -> None:
        """Gives it a task; it may have others. RankGone: it was killed."""
        with _alive():
            self.pipe.send(task)

    def answer(self) -> Any:
        """The answer to the oldest task without one; raises what its filling raised. RankGone: it was killed."""
        with _alive():
            found = self.pipe.recv()
        if isinstance(found, _Failed):
            raise found.error from RuntimeError(found.trace)
        return found

    def join(self) -> None:
        """Waits for its end, which comes after the task that it does when its pipe is closed."""
        self.worker.join(PATIENCE_S)
        if self.worker.is_alive() and not isinstance(self.worker, threading.Thread):
            self.worker.kill()


@contextmanager
def decoders(begin: Callable[[int], Fill], tasks: Sequence[int], forked: bool) -> Iterator[list[Decoder]]:
    """One for each number of tasks, until the body ends; each begins by making what fills, from its place here, and ends
    after its tasks."""
    made: list[Decoder] = []
    try:
        for number, count in enumerate(tasks):
            made.append(Decoder(lambda number=number: begin(number), count, forked, made))
        yield made
    finally:
        for decoder in made:
            decoder.pipe.close()
        for decoder in made:
            decoder.join()


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except GONE as error:
        raise RankGone("a process that decodes for this rank is gone; killed for want of memory?") from error


@dataclass
class _Failed:
    error: Exception
    trace: str


def _serve(begin: Callable[[], Fill], tasks: int, pipe: Connection) -> None:
    """Answers so many tasks, or until the other end is closed. A task after one that failed is not answered: the other end
    gives up."""
    with pipe:
        try:
            fill = begin()
            for _ in range(tasks):
                pipe.send(fill(pipe.recv()))
        except GONE:
            return
        except Exception as error:
            with suppress(*GONE):
                pipe.send(_Failed(error if isinstance(error, TrueupError) else RuntimeError(repr(error)), traceback.format_exc()))


def _as_process(begin: Callable[[], Fill], tasks: int, pipe: Connection, ours: Sequence[Connection]) -> None:
    import pyarrow
    import torch

    for connection in ours:
        connection.close()  # or this process would keep open what tells the others that the rank is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the rank to say
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    pyarrow.set_cpu_count(1)
    try:
        _serve(begin, tasks, pipe)
    finally:
        os._exit(0)  # what else ends with the rank's process is the rank's
