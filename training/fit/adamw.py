"""AdamW by torch's own fused function, without the class around it: that one imports torch's compiler, 3 CPU-seconds in
every rank. The numbers are the class's bit for bit (a test compares them).

No decay of biases and normalisation (one-dimensional tensors), as usual.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's defaults


class AdamW:
    """Optimizer of `params` (float32), whose gradients it reads from `.grad`; `weight_decay`: of those of two dimensions or
    more."""

    def __init__(self, params: Sequence[Tensor], weight_decay: float) -> None:
        self.params = list(params)
        self.decays = [weight_decay if p.ndim > 1 else 0.0 for p in self.params]
        self.first = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.second = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.steps = [torch.zeros((), device=p.device) for p in self.params]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Updates every parameter once, at learning rate `lr`; one that needs no gradient now stays as it is, with its
        moments."""
        from torch.optim.adam import adam

        for decay in sorted(set(self.decays)):
            mine = [n for n, d in enumerate(self.decays) if d == decay and self.params[n].requires_grad]
            if not mine:
                continue
            grads = cast(list[Tensor], [self.params[n].grad for n in mine])  # none is None: backward has run
            first = [self.first[n] for n in mine]
            second = [self.second[n] for n in mine]
            steps = [self.steps[n] for n in mine]
            adam([self.params[n] for n in mine], grads, first, second, [], steps, fused=True, decoupled_weight_decay=True,
                 amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=lr, weight_decay=decay, eps=EPS, maximize=False)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the moments and step counts, by the names that `restore` reads."""
        return {f"{n}.{name}": tensor for name, tensors in self._lists_by_name() for n, tensor in enumerate(tensors)}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Copies moments and step counts back in place: the fused function walks memory, so they must be laid out as the
        weights are."""
        for name, own in self._lists_by_name():
            for n, tensor in enumerate(own):
                tensor.copy_(tensors[f"{n}.{name}"])

    def _lists_by_name(self) -> tuple[tuple[str, list[Tensor]], ...]:
        return ("first", self.first), ("second", self.second), ("step", self.steps)
