"""A network that is not torchvision's, as `--network tests.inference.own_network:build` names it."""

from torch import nn


def build(classes: int) -> nn.Module:
    """Mean colours, then one layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))


def wrong(classes: int) -> int:
    """No network."""
    return classes
