"""Networks by name: built, loaded from safetensors, and their classification head found.

A name is a torchvision classification network (`resnet18`) or `package.module:build`, a callable that takes the number
of classes, from a module that the setting `allow_modules` lists. Auxiliary heads (googlenet, inception_v3) are left out: they
have no say in an answer.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from contract.documents.card import Card
from contract.errors import BadWeights, UsageError
from inference.model import lazy_torchvision
from inference.model.own_code import ENDS, explain_end, import_function

DRAWS = (Tensor.normal_, Tensor.uniform_)  # what everything in torch.nn.init ends in
AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")


def list_networks() -> list[str]:
    """Lists the names of all torchvision classification networks, sorted."""
    lazy_torchvision.load()
    from torchvision import models

    return models.list_models(module=models)


def is_own(name: str) -> bool:
    """Says whether a name is of the user's own network, `package.module:build`."""
    return ":" in name


def build(name: str, classes: int, like: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Builds a network with random weights and a head of `classes` outputs; UsageError for an unknown name.

    Its forward takes [n, 3, H, W] and returns logits [n, classes] in both modes. `like`: weights that it is to hold; a
    vision transformer is made for pictures of one size, which they tell.
    """
    if is_own(name):
        return _build_own(name, classes)
    lazy_torchvision.load()
    from torchvision import models

    if name not in list_networks():
        raise UsageError(f"network {name!r}: expected a torchvision classification network (for example resnet18) or "
                         f"package.module:build. torchvision has: {', '.join(list_networks())}.")
    builder = models.get_model_builder(name)
    options: dict[str, Any] = _find_image_size(like or {}) if name.startswith("vit_") else {}
    if "googlenet" in name or "inception" in name:
        # Named, or torchvision announces a change of its default.
        options = {"aux_logits": False, "init_weights": True}
    return builder(weights=None, num_classes=classes, **options)


def _find_image_size(state: Mapping[str, Tensor]) -> dict[str, int]:
    """Returns the option with which a vision transformer has one position for each patch, as these weights have."""
    positions = next((value.shape[1] for key, value in state.items() if key.endswith("encoder.pos_embedding")
                      and value.dim() == 3), 0)
    patch = next((value.shape[-1] for key, value in state.items() if key.endswith("conv_proj.weight")), 0)
    side = math.isqrt(max(positions - 1, 0))  # one position is the class's
    return {"image_size": side * patch} if side * patch and side * side == positions - 1 else {}


def _build_own(name: str, classes: int) -> nn.Module:
    try:
        network = import_function(name, "network")(classes)
    except ENDS as error:
        raise UsageError(f"network {name!r}: expected a network, but {explain_end(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"network {name!r}: expected {name.partition(':')[2]}({classes}) to return a torch.nn.Module, "
                         f"got {type(network).__name__}.")
    return network


def load(card: Card, weights: bytes) -> nn.Module:
    """Builds the card's network with these weights (safetensors), float32, in eval mode, on the CPU.

    Raises BadWeights when the bytes are no safetensors or their names or shapes are not the network's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    try:
        state = parse(weights)
    except SafetensorError as error:
        raise BadWeights(f"{card.model} version {card.version}: expected safetensors, got {len(weights)} bytes that "
                         f"are none ({error}). Publish the version again.") from error
    return build_from_state(card.network, len(card.classes), state)


def build_from_state(name: str, classes: int, state: Mapping[str, Tensor]) -> nn.Module:
    """Builds a network that holds exactly this state, float32, in eval mode.

    BadWeights when names or shapes differ.
    """
    network = build_empty(name, classes, state)
    # Safetensors do not keep the versions of modules, and mnasnet asks for its own: what we read is always current.
    current = OrderedDict(state)
    current._metadata = getattr(network.state_dict(), "_metadata", {})  # type: ignore[attr-defined]
    try:
        network.load_state_dict(current, strict=True, assign=_can_be_empty(name))
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise BadWeights(f"weights do not fit {name} with {classes} classes: {detail[:800]} Check --network and the "
                         f"class list.") from error
    return network.to(torch.float32).eval()


def build_empty(name: str, classes: int, like: Mapping[str, Tensor] | None = None) -> nn.Module:
    """Builds a network as `build` does, without memory for its tensors where that can be: their shapes at little cost."""
    empty = _can_be_empty(name)
    with torch.device("meta" if empty else "cpu"), _SkipRandomInit() if empty else nullcontext():
        return build(name, classes, like)


def _can_be_empty(name: str) -> bool:
    # torchvision's networks hold no tensor outside their state (tested), so their slow random start can be left out;
    # regnet reads values of tensors while it is built, which the meta device does not have.
    return not is_own(name) and not name.startswith("regnet")


class _SkipRandomInit(TorchFunctionMode):
    """Skips the draws of torch.nn.init: for tensors without memory they would import torch's compiler, 3 CPU-seconds."""

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        if function in DRAWS:
            return args[0]
        return function(*args, **(kwargs or {}))


def drop_auxiliary_heads(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the state dict without the auxiliary heads that torchvision publishes googlenet and inception_v3 with."""
    return {key: value for key, value in state.items() if not key.startswith(AUXILIARY)}


def find_head(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Finds the name and layer of the classification head: the last Linear or Conv2d in the order of definition.

    That layer is the head in every torchvision classification network (tested over all); squeezenet's is a convolution.
    UsageError when there is none.
    """
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not layers:
        raise UsageError(f"{type(network).__name__}: expected a Linear or Conv2d layer as its head, got none.")
    return layers[-1]

