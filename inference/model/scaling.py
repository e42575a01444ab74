"""A card's calibration, applied to a network's outputs: one more operation on [n, classes] numbers, in every runtime.

Not folded into the weights: those are hashed, shared with converted versions and trained on, and of OpenVINO's graph or a
network of the user's own nobody knows where its head is. What the operation costs: python -m benchmarks.calibration --latency.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from contract.documents.card import Calibration


def make_scaling(calibration: Calibration | None) -> Callable[[Tensor], Tensor]:
    """Returns the function of float32 logits [n, classes] whose softmax is what the version answers.

    None: the logits as they are.
    """
    if calibration is None:
        return _leave
    if calibration.temperature is not None:
        temperature = calibration.temperature
        return lambda logits: logits / temperature
    scale, bias = (torch.tensor(part, dtype=torch.float32) for part in (calibration.scale, calibration.bias))
    return lambda logits: logits * scale.to(logits.device) + bias.to(logits.device)


def _leave(logits: Tensor) -> Tensor:
    return logits
