"""Imports weights that a first version starts from: torchvision's by name, or a file; the head is made new for other classes.

They are kept beside the version as safetensors, so that every rank and a resumed run start from the same bytes.
"""

import contextlib
import os
import sys
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.errors import BadWeights, UsageError
from contract.stores.store import Storage
from training.fit import old_names, weights_file

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

    state = load_named(network_name, name) if name else weights_file.read(Path(file or ""))
    fitted = replace_head(network_name, state, classes, seed)
    storage.put(key, save({key: value.detach().contiguous().clone() for key, value in sorted(fitted.items())}))


def is_of_torchvision(network_name: str) -> bool:
    """Says whether torchvision has a classification network of that name."""
    from inference.model import network

    return not network.is_own(network_name) and network_name in network.list_networks()


def find_weights(network_name: str, name: str) -> Any | None:
    """Finds torchvision's weights of that name (DEFAULT: its own choice), without fetching them; None: it has none at all.

    UsageError: not a network of torchvision, or no such name.
    """
    if not is_of_torchvision(network_name):
        raise UsageError(f"--weights-name {name}: expected a torchvision network beside it, got {network_name!r}.")
    from torchvision import models

    available = models.get_model_weights(network_name)
    if not len(available):
        return None
    if name not in available.__members__:
        raise UsageError(f"--weights-name {name}: torchvision has for {network_name}: {', '.join(available.__members__)}.")
    return available[name]


def recognise(network_name: str, file: Path) -> str | None:
    """Returns the name of torchvision's weights that are handed out in a file of that name; None: in none."""
    if not is_of_torchvision(network_name):
        return None
    from torchvision import models

    return next((weights.name for weights in models.get_model_weights(network_name)
                 if os.path.basename(weights.url) == file.name), None)


def load_named(network_name: str, name: str) -> "dict[str, Tensor]":
    """Returns the tensors of torchvision's weights `name`, from torch's cache or fetched and checked against their hash.

    UsageError: no such weights, or they cannot be fetched. BadWeights: what was fetched is another file.
    """
    import torch

    weights = find_weights(network_name, name)
    if weights is None:
        raise UsageError(f"--weights-name {name}: torchvision has no weights for {network_name}. Name a file: --weights FILE.")
    file = os.path.basename(weights.url)
    folder = Path(torch.hub.get_dir(), "checkpoints")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch says there what it fetches; our own output is a document
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException) as error:
        raise UsageError(f"--weights-name {name}: expected {file} in torch's cache {folder}, it is not there and cannot be "
                         f"fetched ({error}). Put it there from a machine with a network, or name a file: --weights "
                         f"FILE.") from error
    except Exception as error:  # whatever torch, zip and pickle raise for what they do not know, or another hash
        raise BadWeights(f"{folder / file}: expected torchvision's weights {name} for {network_name}, got a file that "
                         f"cannot be used: {weights_file.explain(error)}. Remove it and start again.") from error
    return weights_file.strip_prefixes(state, folder / file)


def replace_head(network_name: str, state: "dict[str, Tensor]", classes: int, seed: int) -> "dict[str, Tensor]":
    """Returns the tensors, those of the head made new where they are of another shape. BadWeights: others do not fit."""
    import torch

    from inference.model import network

    torch.manual_seed(seed)
    fresh = network.build(network_name, classes, like=state)
    head, _ = network.find_head(fresh)
    expected = fresh.state_dict()
    state = old_names.translate(network_name, state, expected)
    fitted = {key: expected[key] if key in expected and key.startswith(f"{head}.") and value.shape != expected[key].shape
              else value for key, value in state.items()}
    weights_file.check_fits(fitted, expected, f"weights to start from, for {network_name}")
    return fitted
