"""Imports weights that a first version starts from: torchvision's by name, or a file; the head is made new for other classes.

They are kept beside the version as safetensors, so that every rank and a resumed run start from the same bytes.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from contract import layout
from contract.errors import UsageError
from contract.stores.store import Storage
from training.fit import weights_file

if TYPE_CHECKING:
    from torch import Tensor

START = "start.safetensors"


def start_key(model: str, number: str) -> str:
    """Returns the key of a version's starting weights."""
    return layout.version(model, number) + START


def import_weights(storage: Storage, key: str, network_name: str, classes: int, seed: int, name: str | None = None,
                   file: Path | None = None) -> None:
    """Writes torchvision's weights `name`, or those of `file`, with a head of `classes` outputs, under `key`.

    UsageError: no such name, or its file is not here and cannot be fetched. BadWeights: they are not the network's.
    """
    from safetensors.torch import save

    from inference.model import network

    state = load_named(network_name, name) if name else network.drop_auxiliary_heads(weights_file.read(Path(file or "")))
    fitted = replace_head(network_name, state, classes, seed)
    storage.put(key, save({key: value.detach().contiguous().clone() for key, value in sorted(fitted.items())}))


def load_named(network_name: str, name: str) -> "dict[str, Tensor]":
    """Returns the tensors of torchvision's weights `name`, from torch's cache or the network."""
    import torch
    from torchvision import models

    from inference.model import network

    if ":" in network_name or network_name not in network.list_networks():
        raise UsageError(f"--weights-name {name}: expected a torchvision network beside it, got {network_name!r}.")
    available = models.get_model_weights(network_name)
    if name not in available.__members__:
        raise UsageError(f"--weights-name {name}: torchvision has for {network_name}: {', '.join(available.__members__)}.")
    file = os.path.basename(available[name].url)
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    try:
        return network.drop_auxiliary_heads(available[name].get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        raise UsageError(f"--weights-name {name}: expected {file} in torch's cache {folder}, it is not there and cannot be "
                         f"fetched ({error}). Put it there from a machine with a network, or name a file: --weights "
                         f"FILE.") from error


def replace_head(network_name: str, state: "dict[str, Tensor]", classes: int, seed: int) -> "dict[str, Tensor]":
    """Returns the tensors, those of the head made new where they are of another shape. BadWeights: others do not fit."""
    import torch

    from inference.model import network

    torch.manual_seed(seed)
    fresh = network.build(network_name, classes)
    head, _ = network.find_head(fresh)
    expected = fresh.state_dict()
    fitted = {key: expected[key] if key in expected and key.startswith(f"{head}.") and value.shape != expected[key].shape
              else value for key, value in state.items()}
    weights_file.check_fits(fitted, expected, f"weights to start from, for {network_name}")
    return fitted
