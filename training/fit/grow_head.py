"""Grows a network's head for new classes: the known rows of the weights stay bit for bit, all else is the parent's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from contract.errors import BadWeights
from inference.model import network

KNOWN_LOGITS = 1e-5  # most that a known class's logit may differ from the parent's: other shapes sum in another order


def grow(name: str, state: dict[str, Tensor], old: Sequence[str], new: Sequence[str], seed: int) -> nn.Module:
    """Returns network `name` with the weights `state` (whose classes are `old`) and one output for each of `new`, in that order.

    A new class starts with small random weights and the mean bias of the known ones. BadWeights: a known class is missing
    in `new`.
    """
    missing = [label for label in old if label not in new]
    if missing:
        raise BadWeights(f"expected the dataset to keep the classes of the parent, it lacks {', '.join(missing)}. "
                         f"Classes are never taken out; train a first version (--parent none) for another class list.")
    if list(old) == list(new):
        return network.build_from_state(name, len(old), state)
    fresh = network.build(name, len(new), like=state)
    head, _ = network.find_head(fresh)
    known = torch.tensor([list(new).index(label) for label in old])
    grown = {key: _grow_rows(key, value, fresh.state_dict()[key], known, seed) if key.startswith(f"{head}.") else value
             for key, value in state.items()}
    return network.build_from_state(name, len(new), grown)


def _grow_rows(key: str, old: Tensor, fresh: Tensor, known: Tensor, seed: int) -> Tensor:
    """Returns a weight or bias of the shape of `fresh`: rows `known` are those of `old`, the others are made."""
    generator = torch.Generator().manual_seed(seed)
    if key.endswith("bias"):
        rows = torch.full_like(fresh, old.mean().item())
    else:
        rows = torch.empty_like(fresh).normal_(0, 0.1 * old.std().item(), generator=generator)
    rows[known] = old
    return rows


def check(parent: nn.Module, child: nn.Module, old: Sequence[str], new: Sequence[str], size: tuple[int, int]) -> float:
    """Returns the largest difference between the known classes' logits of parent and child on random input of
    `size` (height, width). BadWeights: a known row or a logit moved."""
    known = torch.tensor([list(new).index(label) for label in old])
    name, layer = network.find_head(child)
    _, before = network.find_head(parent)
    if not torch.equal(layer.weight[known], before.weight):
        raise BadWeights(f"head {name}: expected the known rows to be the parent's bit for bit. Please report this.")
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        moved = float((child.eval()(x)[:, known] - parent.eval()(x)).abs().max())
    if not moved <= KNOWN_LOGITS:
        raise BadWeights(f"expected the known logits within {KNOWN_LOGITS} of the parent's, got {moved}.")
    return moved
