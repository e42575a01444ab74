"""Reads weights made elsewhere, which are never unpickled unchecked: safetensors, or a state_dict with `weights_only`.

Known wrappers are opened: {"model": …}, {"state_dict": …}, {"model_state_dict": …}, and the prefixes that
DataParallel (`module.`) and torch.compile (`_orig_mod.`) put before names.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import BadWeights

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("model", "state_dict", "model_state_dict", "network", "net")
PREFIXES = ("module.", "_orig_mod.")
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")
NAMED = re.compile(r"GLOBAL ([A-Za-z_]\w*(?:\.\w+)+)")
UNSAFE = re.compile(r"weights_only|safe_globals|allowlist|trust", re.I)


def read(path: Path) -> "dict[str, Tensor]":
    """Returns the tensors of a file by name, on the CPU. BadWeights: no such file, something that would need unchecked
    unpickling, or no state_dict."""
    if not path.is_file():
        raise BadWeights(f"{path}: expected a weights file (safetensors or a state_dict), there is none.")
    content: Any = _read_safetensors(path)
    if content is None:
        content = _load_state_dict(path)
    return strip_prefixes(_unwrap(content, path), path)


def _read_safetensors(path: Path) -> "dict[str, Tensor] | None":
    """Returns the tensors; None when the file does not look like safetensors."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with open(path, "rb") as file:
        head = file.read(9)
    if path.suffix != ".safetensors" and (len(head) < 9 or head[8:9] != b"{"):
        return None
    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise BadWeights(f"{path}: expected safetensors, got a file that is none ({error}). Save it again.") from error


def _load_state_dict(path: Path) -> Any:
    """Loads with weights_only: torch's restricted unpickler builds tensors and plain containers, nothing else."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch, zip and pickle raise for what they do not know
        raise BadWeights(f"{path}: expected a plain state_dict (tensors by name), got a file that cannot be read without "
                         f"running code in it ({explain(error)}). Save `model.state_dict()`, best as safetensors.") from error


def explain(error: BaseException) -> str:
    """Says in a line what a loader of weights found, without its escape codes, and without its advice to load the file all
    the same, which would run what is in it."""
    text = " ".join(ESCAPES.sub("", str(error)).split())
    if named := NAMED.search(text):
        return f"it holds {named[1]}, which is no tensor"
    if "TorchScript" in text:
        return "it is a TorchScript program"
    if not text or UNSAFE.search(text):
        return "it is no file of tensors that torch wrote"
    return text[:300]


def _unwrap(content: Any, path: Path) -> Mapping[str, Any]:
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise BadWeights(f"{path}: expected a state_dict, got {type(content).__name__}. Save `model.state_dict()`.")
    return content


def strip_prefixes(state: Mapping[str, Any], path: Path) -> "dict[str, Tensor]":
    """Returns the tensors, on the CPU, by their names without the prefixes of wrappers. BadWeights: an entry is no tensor."""
    import torch

    wrong = [f"{key!r} is {type(value).__name__}" for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise BadWeights(f"{path}: expected tensors by name, but {wrong[0]} ({len(wrong)} such entries). "
                         f"Save `model.state_dict()` alone.")
    odd = [f"{key!r} is {_describe_odd(value)}" for key, value in state.items() if _describe_odd(value)]
    if odd:
        raise BadWeights(f"{path}: expected tensors of plain numbers, but {odd[0]} ({len(odd)} such entries). Save the "
                         f"state_dict of the network before it was quantised or pruned, on a device that has memory.")
    names = list(state)
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, (value.detach().cpu() for value in state.values()), strict=True))


def _describe_odd(tensor: "Tensor") -> str | None:
    """Says what keeps a tensor from being kept as plain numbers; None for one that can."""
    import torch

    if tensor.is_quantized:
        return "quantised"
    if tensor.layout != torch.strided:
        return "sparse"
    return "without memory (device meta)" if tensor.device.type == "meta" else "complex" if tensor.is_complex() else None


def widen(state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Returns the tensors with every floating-point number as float32, in which networks are loaded."""
    import torch

    return {name: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def check_fits(state: "Mapping[str, Tensor]", expected: "Mapping[str, Tensor]", what: str) -> None:
    """Raises BadWeights that names the first tensor of `state` that is missing, too many, or of another shape.

    `what`: what the state is, for the message.
    """
    for name, tensor in expected.items():
        if name not in state:
            raise BadWeights(f"{what}: expected a tensor {name!r} of shape {list(tensor.shape)}, there is none. "
                             f"The file has: {', '.join(list(state)[:5])}, … Check --network.")
        if state[name].shape != tensor.shape:
            raise BadWeights(f"{what}: expected {name!r} of shape {list(tensor.shape)}, got {list(state[name].shape)}. "
                             f"Check --network, and that --classes has as many lines as the head has outputs.")
    extra = [name for name in state if name not in expected]
    if extra:
        raise BadWeights(f"{what}: expected no tensor {extra[0]!r} ({len(extra)} too many). Check --network.")


def check_finite(state: "Mapping[str, Tensor]", what: str) -> None:
    """Raises BadWeights that names the first tensor with NaN or infinity."""
    import torch

    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadWeights(f"{what}: expected finite numbers, {name!r} holds NaN or infinity. Export the weights again.")
