"""The head grows for new classes: the known rows of the weights stay bit for bit, all else is the parent's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.errors import BadWeights
from inference.model import network

KNOWN_LOGITS = 1e-5


def grown(name: str, state: dict[str, Tensor], old: Sequence[str], new: Sequence[str], seed: int) -> nn.Module:
    """The network of `state` (whose classes are `old`) with one output for each of `new`, in that order.

    BadWeights when a known class is missing in `new`. A new class starts with small random weights and the mean bias of
    the known ones.
    """
    missing = [label for label in old if label not in new]
    if missing:
        raise BadWeights(f"expected the dataset to keep the classes of the parent, it lacks {', '.join(missing)}. "
                         f"Classes are never taken out; train a first version (--parent none) for another class list.")
    if list(old) == list(new):
        return network.build_from_state(name, len(old), state)
    fresh = network.build(name, len(new))
    head, _ = network.find_head(fresh)
    places = torch.tensor([list(new).index(label) for label in old])
    made = {key: _head_rows(key, value, fresh.state_dict()[key], places, seed) if key.startswith(f"{head}.") else value
            for key, value in state.items()}
    return network.build_from_state(name, len(new), made)


def _head_rows(key: str, known: Tensor, fresh: Tensor, places: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if key.endswith("bias"):
        rows = torch.full_like(fresh, known.mean().item())
    else:
        rows = torch.empty_like(fresh).normal_(0, 0.1 * known.std().item(), generator=generator)
    rows[places] = known
    return rows


def check(parent: nn.Module, child: nn.Module, old: Sequence[str], new: Sequence[str], size: tuple[int, int]) -> float:
    """The largest difference of known logits on random input; BadWeights when a known row or a logit moved."""
    places = torch.tensor([list(new).index(label) for label in old])
    name, layer = network.find_head(child)
    _, before = network.find_head(parent)
    if not torch.equal(layer.weight[places], before.weight):
        raise BadWeights(f"head {name}: expected the known rows to be the parent's bit for bit. Please report this.")
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        moved = float((child.eval()(x)[:, places] - parent.eval()(x)).abs().max())
    if not moved <= KNOWN_LOGITS:
        raise BadWeights(f"expected the known logits within {KNOWN_LOGITS} of the parent's, got {moved}.")
    return moved
