"""Weights as torchvision and others have handed them out over the years, under the names that the network has today.

torchvision takes its own old files, and so does this: the rules are those of its loading code, named beside each.
"""

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# torchvision/models/densenet.py, _load_state_dict: `norm.1` was `norm1` before names might hold no dot.
# torchvision/models/vision_transformer.py, MLPBlock._load_from_state_dict: two layers were named before they were numbered.
OLD = ((re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12])\.(.+)"), r"\1\2.\3"),
       (re.compile(r"(.*encoder_layer_\d+\.mlp)\.linear_1\.(.+)"), r"\1.0.\2"),
       (re.compile(r"(.*encoder_layer_\d+\.mlp)\.linear_2\.(.+)"), r"\1.3.\2"))
COUNTER = "num_batches_tracked"  # of batch normalisation; files of before 2018 lack it, and no answer depends on it


def translate(network_name: str, state: "Mapping[str, Tensor]", expected: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Returns the tensors under the names of `expected`, a state of the network; what cannot be translated stays as it is.

    Auxiliary heads, which have no say in an answer, are left out and named on standard error.
    """
    import torch

    from inference.model import network

    found = dict(_without_wrapper(state, expected))
    if not network.is_own(network_name):
        found = {_rename(name): tensor for name, tensor in found.items()}
        kept = network.drop_auxiliary_heads(found)
        if len(kept) < len(found):
            heads = sorted({name.partition(".")[0] for name in found if name not in kept})
            print(f"left out: {', '.join(heads)} ({len(found) - len(kept)} tensors), heads that help in training alone",
                  file=sys.stderr)
        found = kept
    missing = [name for name in expected if name.endswith(f".{COUNTER}") and name not in found]
    return found | {name: torch.zeros(expected[name].shape, dtype=expected[name].dtype) for name in missing}


def _rename(name: str) -> str:
    for pattern, now in OLD:
        name = pattern.sub(now, name)
    return name


def _without_wrapper(state: "Mapping[str, Tensor]", expected: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
    """Takes away the name of the attribute that held the network (`model.` in Lightning), where all tensors have it."""
    first = {name.partition(".")[0] for name in state}
    if len(first) != 1:
        return state
    (holder,) = first
    bare = {name.removeprefix(f"{holder}."): tensor for name, tensor in state.items()}
    known = {_rename(name) for name in bare} & expected.keys()
    return bare if known and not expected.keys() & state.keys() else state
