"""AdamW by torch's own fused function, without the class around it: that one imports torch's compiler, 3 CPU-seconds in
every rank. The numbers are the class's bit for bit (a test compares them).

No decay of biases and normalisation (one-dimensional tensors), as usual.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's defaults


class AdamW:
    """The optimizer of these parameters (float32); gradients are read from `.grad`."""

    def __init__(self, params: Sequence[Tensor], weight_decay: float) -> None:
        self.params = list(params)
        self.decays = [weight_decay if p.ndim > 1 else 0.0 for p in self.params]
        self.first = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.second = [torch.zeros_like(p, memory_format=torch.preserve_format) for p in self.params]
        self.steps = [torch.zeros((), device=p.device) for p in self.params]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step of every parameter at this learning rate."""
        from torch.optim.adam import adam

        for decay in sorted(set(self.decays)):
            mine = [n for n, d in enumerate(self.decays) if d == decay]
            params, first, second, steps = ([of[n] for n in mine] for of in (self.params, self.first, self.second, self.steps))
            adam(params, [p.grad for p in params], first, second, [], steps, fused=True, decoupled_weight_decay=True,
                 amsgrad=False, beta1=BETAS[0], beta2=BETAS[1], lr=lr, weight_decay=decay, eps=EPS, maximize=False)

    def tensors(self) -> dict[str, Tensor]:
        """The moments and step counts, by names that `restore` understands."""
        return {f"{n}.{name}": of[n] for name, of in self._parts() for n in range(len(self.params))}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Takes them back in place: the fused function walks memory, so they must lie as the weights do."""
        for name, of in self._parts():
            for n, mine in enumerate(of):
                mine.copy_(tensors[f"{n}.{name}"])

    def _parts(self) -> tuple[tuple[str, list[Tensor]], ...]:
        return ("first", self.first), ("second", self.second), ("step", self.steps)
