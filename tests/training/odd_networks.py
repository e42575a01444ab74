"""Networks of people that cannot serve: each builds, has weights, and does not answer as a classifier does."""

import torch
from torch import nn

from tests.training import tiny


def one_output(classes: int) -> nn.Module:
    return tiny.build(1)


def needs_64(classes: int) -> nn.Module:
    return OfOneSize(classes)


class OfOneSize(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.inner = tiny.build(classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[-1] == 64, "made for 64"
        return self.inner(x)


def not_finite(classes: int) -> nn.Module:
    return nn.Sequential(tiny.build(classes), Overflow())


class Overflow(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float("inf")


def ends(classes: int) -> nn.Module:
    raise SystemExit(3)


def raises(classes: int) -> nn.Module:
    return {}["layer"]


def weights_of(builder: str) -> dict[str, torch.Tensor]:
    """Weights with names and shapes that fit it."""
    from inference.model import network

    torch.manual_seed(1)
    odd = builder.rpartition(":")[2]
    return dict(tiny.build(10).state_dict() if odd in ("ends", "raises") else network.build(builder, 10).state_dict())
