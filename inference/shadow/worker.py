"""The process that computes for the shadow. Its parent talks to it over a socket; it ends when the parent does.

    python -m inference.shadow.worker FD PARENT

A process, because threads share the interpreter lock: one of low priority that holds it would hold up the answers. Here
every thread runs on time that nobody else wants (SCHED_IDLE), and a network that crashes takes no answer with it.

First comes a request to load, JSON {root, model, version, device, max_batch, log_all_classes, threads}; the reply is
{weights_sha256, preprocess_hash} or {error}. Then, again and again, JSON {pictures: n} and n messages with their bytes; the
reply is {tops: [[[label, probability], …], …], errors: [null or text, …]}, one of each per picture.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command.parent import end_with_parent
from command.process import end_with

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

Top = list[tuple[str, float]]


def main(argv: Sequence[str] | None = None) -> int:
    """Answers until the other end of the socket is closed."""
    fd, parent_pid = argv if argv is not None else sys.argv[1:]
    # Of low priority it may not come to hear for minutes that the socket is closed, and holds the version's memory until then.
    end_with_parent(signal.SIGKILL)
    if os.getppid() != int(parent_pid):
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the parent ends this one
    step_back()
    with Connection(int(fd)) as parent, suppress(EOFError, ConnectionError):
        asked = json.loads(parent.recv_bytes())
        predictor, reply = load(asked)
        parent.send_bytes(json.dumps(reply).encode())
        while predictor is not None:
            pictures = [parent.recv_bytes() for _ in range(json.loads(parent.recv_bytes())["pictures"])]
            parent.send_bytes(json.dumps(answer(predictor, pictures, asked["log_all_classes"])).encode())
    return 0


def step_back() -> None:
    """Lets this process compute only while nothing else wants to; where that cannot be said, with the lowest priority.

    Linux may share time among sessions first (autogroup), and its classes count within one alone: so a session of its own.
    """
    with suppress(OSError):
        os.setsid()
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        os.nice(19)


def load(asked: dict[str, Any]) -> tuple[Predictor | None, dict[str, Any]]:
    """Loads and tries the version that was asked for; returns it, or None, and the reply."""
    from contract.registry import Registry
    from contract.storage import open_root
    from inference.live.loading import describe_error, load_version
    from inference.model.predictor import set_threads

    set_threads(asked["threads"])
    try:
        registry = Registry(open_root(asked["root"]), asked["model"])
        predictor = load_version(registry, asked["version"], asked["device"], asked["max_batch"])
    except BaseException as error:  # a version brought from outside may raise anything
        return None, {"error": describe_error(error)}
    return predictor, {"weights_sha256": predictor.card.weights_sha256, "preprocess_hash": predictor.preprocess_hash}


def answer(predictor: Predictor, pictures: Sequence[bytes], log_all_classes: bool) -> dict[str, Any]:
    """Computes pictures together; where that fails, each by itself, so that one harms no other."""
    from inference.live.loading import describe_error
    from inference.model.prediction_row import count_logged_classes

    most = count_logged_classes(predictor, log_all_classes)
    try:
        return {"tops": compute(predictor, pictures, most), "errors": [None] * len(pictures)}
    except BaseException as error:  # as above
        if len(pictures) == 1:
            return {"tops": [[]], "errors": [describe_error(error)]}
    parts = [answer(predictor, [picture], log_all_classes) for picture in pictures]
    return {name: [value for part in parts for value in part[name]] for name in ("tops", "errors")}


def compute(predictor: Predictor, pictures: Sequence[bytes], most: int) -> list[Top]:
    """Returns the `most` best (label, probability) of each picture."""
    logits = predictor.ask([predictor.prepare(picture) for picture in pictures])
    return [predictor.top(row, most) for row in predictor.to_probabilities(logits)]


if __name__ == "__main__":
    end_with(main)  # the version's libraries have threads, as those of any command
