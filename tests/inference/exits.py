"""Networks whose code ends instead of answering, as `--network tests.inference.exits:build_…` names them."""

import sys
import threading

import torch
from torch import nn


class Ends(nn.Module):
    """Gives logits `answers` times, then raises."""

    def __init__(self, classes: int, error: type[BaseException], answers: int = 0) -> None:
        super().__init__()
        self.layer, self.error, self.left = nn.Linear(1, classes), error, answers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raises once its answers are used up."""
        self.left -= 1
        if self.left < 0:
            raise self.error("the end")
        return self.layer(x.mean((1, 2, 3)).unsqueeze(1))


class Mute(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit(3)


def build_exit(classes: int) -> nn.Module:
    """As a module that reads the command line."""
    sys.exit("usage: train.py --epochs N")


def build_deep(classes: int) -> nn.Module:
    """Never comes to an end."""
    return build_deep(classes)


def build_mute(classes: int) -> nn.Module:
    """Raises what cannot be written down."""
    raise Mute


HANGS = threading.Event()


def build_hanging(classes: int) -> nn.Module:
    """Returns once HANGS is set."""
    HANGS.wait()
    return Ends(classes, RuntimeError)


def build_systemexit(classes: int) -> nn.Module:
    """Exits at its first picture."""
    return Ends(classes, SystemExit)


def build_interrupt(classes: int) -> nn.Module:
    """Says that somebody pressed Ctrl-C."""
    return Ends(classes, KeyboardInterrupt)


def build_generatorexit(classes: int) -> nn.Module:
    """Ends as a generator does."""
    return Ends(classes, GeneratorExit)


def build_stop(classes: int) -> nn.Module:
    """Ends as an iterator does."""
    return Ends(classes, StopIteration)


def build_late_exit(classes: int) -> nn.Module:
    """Passes the trial batches, of which there are two, then exits."""
    return Ends(classes, SystemExit, 2)


def build_late_stop(classes: int) -> nn.Module:
    """Passes the trial batches, then ends as an iterator does."""
    return Ends(classes, StopIteration, 2)
