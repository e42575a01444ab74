"""Pictures of several sizes, as a card without a crop leaves them, are several batches: a batch has one shape."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def compute_by_shape(pictures: Sequence[Tensor], compute: Callable[[Tensor], Tensor], of_none: Tensor) -> Tensor:
    """Computes a row for each picture, in their order, by `compute` of a batch at a time; `of_none` where there is no picture."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, picture in enumerate(pictures):
        places.setdefault(tuple(picture.shape), []).append(place)
    if not places:
        return of_none
    rows = torch.cat([compute(torch.stack([pictures[place] for place in group])) for group in places.values()])
    order = torch.tensor([place for group in places.values() for place in group], device=rows.device)
    return rows[order.argsort()]
