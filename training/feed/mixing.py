"""Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): pictures mixed with others of the same step.

Who is mixed with whom and by how much is a function of (seed, epoch, place in the epoch's order). Partners are found in a
group of GROUP neighbours in that order, which the ranks never divide (training.feed.world), so no number of ranks changes
a picture, and no rank needs one of another. Within a file the order is by image hash, so neighbours are strangers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GROUP = 8  # rows among which partners are found, fewer where a batch is smaller


@dataclass(frozen=True)
class Mix:
    """How n rows are mixed: each with the row `partner` of the same n, of which it keeps the part `kept`.

    `kept` in [0, 1]. `cut`: by a rectangle of the partner's instead of by adding; `center`, [n, 2] in [0, 1), is where
    (down, across) its middle is.
    """

    partner: NDArray[np.int64]
    kept: NDArray[np.float64]
    cut: NDArray[np.bool_]
    center: NDArray[np.float64]


def find_group(mixup: float, cutmix: float, batch: int) -> int:
    """Returns how many neighbours have to stay together: 1 where nothing is mixed."""
    return min(GROUP, batch) if mixup or cutmix else 1


@dataclass(frozen=True)
class Mixer:
    """The draws of a training: `mixup` and `cutmix` are the parameters of their Beta distributions, 0 where one is not used.

    With both, a group takes one of them by a fair coin. `rows`: of an epoch; `group`: of neighbours (`find_group`).
    """

    mixup: float
    cutmix: float
    seed: int
    rows: int
    group: int

    def draw(self, epoch: int, places: Sequence[int]) -> Mix | None:
        """Returns how the rows at these places of the epoch's order are mixed; None where nothing is, or there are no rows.

        Places come in whole groups, in their order.
        """
        if not (self.mixup or self.cutmix) or not places:
            return None
        groups = sorted({place // self.group for place in places})
        drawn = [self._draw_group(epoch, group) for group in groups]
        first = np.cumsum([0, *(len(mix.partner) for mix in drawn)])[:-1]
        partner = np.concatenate([mix.partner + n for mix, n in zip(drawn, first, strict=True)])
        if len(partner) != len(places):
            raise ValueError(f"expected the places of whole groups of {self.group} rows, got {len(places)} of {len(partner)}")
        return Mix(partner, *(np.concatenate([getattr(mix, name) for mix in drawn]) for name in ("kept", "cut", "center")))

    def _draw_group(self, epoch: int, group: int) -> Mix:
        """Every row's partner is the one so many places on, in a ring: each picture is a partner once, none its own."""
        size = min(self.group, self.rows - group * self.group)
        rng = np.random.default_rng([self.seed, epoch, group])
        cut = bool(self.cutmix) and (not self.mixup or rng.random() < 0.5)
        shift = int(rng.integers(1, size)) if size > 1 else 0
        alpha = self.cutmix if cut else self.mixup
        kept = rng.beta(alpha, alpha, size) if size > 1 else np.ones(size)
        return Mix((np.arange(size) + shift) % size, kept, np.full(size, cut), rng.random((size, 2)))


def mix_pictures(x: Tensor, mix: Mix) -> tuple[Tensor, NDArray[np.float64]]:
    """Returns float [n, 3, H, W] mixed, and the part of each row's own that is in it, [n] in [0, 1]: with CutMix what the
    rectangle, rounded to pixels and cut off at the edges, leaves."""
    height, width = x.shape[-2:]
    weights = np.broadcast_to(mix.kept[:, None, None], (len(mix.kept), height, width)).astype(np.float32)
    for n in np.flatnonzero(mix.cut):
        top, bottom, left, right = find_rectangle(mix.kept[n], mix.center[n], height, width)
        weights[n] = 1
        weights[n, top:bottom, left:right] = 0
    own = np.where(mix.cut, weights.mean((1, 2), dtype=np.float64), mix.kept)
    w = torch.from_numpy(weights)[:, None].to(x.device, x.dtype)
    return x * w + x[torch.from_numpy(mix.partner).to(x.device)] * (1 - w), own


def find_rectangle(kept: float, center: NDArray[np.float64], height: int, width: int) -> tuple[int, int, int, int]:
    """Returns (top, bottom, left, right) of the partner's rectangle, ends excluded: sides of sqrt(1 - kept) of the picture's
    around `center` (down, across), cut off at the edges (Yun et al. 2019, equation 2)."""
    half = 0.5 * math.sqrt(1 - kept)
    edges = []
    for at, side in zip(center, (height, width), strict=True):
        middle, reach = int(at * side), int(half * side)
        edges += [max(middle - reach, 0), min(middle + reach, side)]
    return edges[0], edges[1], edges[2], edges[3]
