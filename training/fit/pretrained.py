"""Weights that a first version starts from: torchvision's by name, or a file; the head is made new for other classes.

They are kept beside the version as safetensors, so that every rank and a resumed run start from the same bytes.
"""

import os
from pathlib import Path
from typing import Any

from contract import layout
from contract.errors import UsageError
from contract.stores.store import Storage
from training.fit import weights_file

START = "start.safetensors"


def key(model: str, number: str) -> str:
    """Where a version's starting weights lie."""
    return layout.version(model, number) + START


def bring(storage: Storage, at: str, network_name: str, classes: int, seed: int, name: str | None = None,
          file: Path | None = None) -> None:
    """Writes the weights of that torchvision name or file, with a head of `classes` outputs, under the key `at`.

    UsageError: no such name, or its file is not here and cannot be fetched; BadWeights: they are not the network's.
    """
    from safetensors.torch import save

    from inference.model import network

    state = named(network_name, name) if name else network.drop_auxiliary_heads(weights_file.read(Path(file or "")))
    made = with_head(network_name, state, classes, seed)
    storage.put(at, save({key: value.detach().contiguous().clone() for key, value in sorted(made.items())}))


def named(network_name: str, name: str) -> dict[str, Any]:
    """The tensors of torchvision's weights, from torch's cache or the network."""
    import torch
    from torchvision import models

    from inference.model import network

    if ":" in network_name or network_name not in network.list_networks():
        raise UsageError(f"--weights-name {name}: expected a torchvision network beside it, got {network_name!r}.")
    there = models.get_model_weights(network_name)
    if name not in there.__members__:
        raise UsageError(f"--weights-name {name}: torchvision has for {network_name}: {', '.join(there.__members__)}.")
    file = os.path.basename(there[name].url)
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    try:
        return network.drop_auxiliary_heads(there[name].get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise UsageError(f"--weights-name {name}: expected {file} in torch's cache {folder}, it is not there and cannot be "
                         f"fetched ({error}). Put it there from a machine with a network, or name a file: --weights "
                         f"FILE.") from error


def with_head(network_name: str, state: dict[str, Any], classes: int, seed: int) -> dict[str, Any]:
    """The tensors, those of the head made new where they are of another shape; BadWeights when others do not fit."""
    import torch

    from inference.model import network

    torch.manual_seed(seed)
    fresh = network.build(network_name, classes)
    head, expected = network.find_head(fresh)[0], fresh.state_dict()
    made = {key: expected[key] if key in expected and key.startswith(f"{head}.") and value.shape != expected[key].shape
            else value for key, value in state.items()}
    weights_file.check_fits(made, expected, f"weights to start from, for {network_name}")
    return made
