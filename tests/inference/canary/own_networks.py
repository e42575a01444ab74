"""Networks that pass the trial of the service that loads them, and fail once they are asked for answers."""

import time

import torch
from torch import nn

TRIALS = 2  # batches of one and of the most images


class Failing(nn.Module):
    """Answers the trial batches, then does what it was made for."""

    def __init__(self, classes: int, fail) -> None:
        super().__init__()
        self.add_module("0", nn.Linear(3, classes))
        self.asked, self.fail = 0, fail

    def forward(self, batch):
        self.asked += 1
        good = self.get_submodule("0")(batch.mean(dim=(2, 3)))
        return good if self.asked <= TRIALS else self.fail(good)


def build_raises(classes: int) -> nn.Module:
    return Failing(classes, lambda good: 1 / 0)


def build_hangs(classes: int) -> nn.Module:
    return Failing(classes, lambda good: time.sleep(30) or good)


def build_exits(classes: int) -> nn.Module:
    def leave(good):
        raise SystemExit(3)
    return Failing(classes, leave)


def build_gives_nan(classes: int) -> nn.Module:
    return Failing(classes, lambda good: good * torch.nan)


def build_gives_another_shape(classes: int) -> nn.Module:
    return Failing(classes, lambda good: good[:, :1])


class NowAndThen(Failing):
    """Fails for one batch in five."""

    def forward(self, batch):
        good = super().forward(batch)
        if self.asked > TRIALS and self.asked % 5 == 0:
            raise RuntimeError("now and then")
        return good


def build_fails_now_and_then(classes: int) -> nn.Module:
    return NowAndThen(classes, lambda good: good)
