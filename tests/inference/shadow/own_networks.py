"""Networks that are slow, fail or kill their process, once they have been tried, as shadows that must harm nothing."""

import os
import time

import torch
from torch import nn

TRIED = 2  # batches of a trial: of one picture and of several


class Misbehaving(nn.Module):
    """Answers its trial, then does `act` before every batch."""

    def __init__(self, classes: int, act) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
        self.calls, self.act = 0, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [n, classes]."""
        self.calls += 1
        if self.calls > TRIED:
            self.act()
        return self.net(x)


def _fail():
    raise ValueError("no answer today")


def build_slow(classes: int) -> nn.Module:
    """Takes half a second for every batch."""
    return Misbehaving(classes, lambda: time.sleep(0.5))


def build_failing(classes: int) -> nn.Module:
    """Raises."""
    return Misbehaving(classes, _fail)


def build_deadly(classes: int) -> nn.Module:
    """Ends its process as a crash does."""
    return Misbehaving(classes, lambda: os._exit(9))
