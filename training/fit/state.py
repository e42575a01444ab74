"""Everything that changes while training: weights, optimizer, averaged weights, the best so far; saved and restored as
tensors."""

import math

import torch
from torch import Tensor, nn

from contract.errors import UsageError
from contract.settings import TrainSettings
from inference.model import network
from training.fit.adamw import AdamW
from training.fit.checkpoint import Checkpoint

NORMS = (nn.modules.batchnorm._BatchNorm,)


class State:
    """A network with its optimizer; its gradients and buffers are views of one flat tensor, for a single sum over ranks.

    BatchNorm: every rank normalises by its own rows; running statistics are averaged over the ranks after each step,
    weighted by rows, so they are the same everywhere and no rank's data counts more. A step of fewer than two rows on a
    rank uses the running statistics.
    """

    SCALARS = 3  # loss, right, rows

    def __init__(self, net: nn.Module, settings: TrainSettings, device: torch.device) -> None:
        self.settings = settings
        self.net = _convert_batchnorm(net, settings, device).to(device, torch.float32)
        if settings.channels_last:
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's annotations lack it
        self._freeze()
        self.names = [name for name, p in self.net.named_parameters() if p.requires_grad]
        self.trained = [p for p in self.net.parameters() if p.requires_grad]
        self.body = self._list_body()
        self.frozen_norms = [m for m in self.body if isinstance(m, NORMS)] if settings.freeze_backbone else []
        self.forward = torch.compile(self.net) if settings.compile else self.net
        self.optimizer = AdamW(self.trained, settings.weight_decay)
        self.buffers = [b for b in self.net.buffers() if b.is_floating_point()]
        self.norms = [m for m in self.net.modules() if isinstance(m, NORMS)]
        self._flatten(device)
        self.ema = [p.detach().clone() for p in self.trained] if settings.ema else None
        self.best: dict[str, Tensor] | None = None

    def _freeze(self) -> None:
        self.net.requires_grad_(not self.settings.freeze_backbone)
        network.find_head(self.net)[1].requires_grad_(True)

    def _list_body(self) -> list[nn.Module]:
        """Lists the layers with weights of their own, in the order of definition, without the head."""
        head = network.find_head(self.net)[1]
        return [m for m in self.net.modules() if m is not head and next(m.parameters(recurse=False), None) is not None]

    def unfreeze(self, epoch: int) -> None:
        """Chooses the layers that train in this epoch (from 0): the head, and with train.unfreeze_share u of E epochs the last
        epoch / (u E) of the others. The rest stays as it is, running statistics and moments of the optimizer too."""
        over = self.settings.unfreeze_share * self.settings.epochs
        if not over:
            return
        frozen = len(self.body) - int(len(self.body) * min(epoch / over, 1))
        for n, layer in enumerate(self.body):
            for p in layer.parameters(recurse=False):
                p.requires_grad_(n >= frozen)
        self.frozen_norms = [layer for layer in self.body[:frozen] if isinstance(layer, NORMS)]

    def _flatten(self, device: torch.device) -> None:
        """Makes gradients and buffers views of `flat`, whose last elements are the scalars."""
        sizes = [t.numel() for t in (*self.trained, *self.buffers)]
        self.flat = torch.zeros(sum(sizes) + self.SCALARS, device=device)
        views = self.flat[:-self.SCALARS].split(sizes)
        for p, view in zip(self.trained, views, strict=False):
            p.grad = _view_like(view, p)
        self.buffer_views = views[len(self.trained):]
        self.gradient = self.flat[:sum(sizes[:len(self.trained)])]

    def set_modes(self, rows: int) -> None:
        """Sets training mode for a step of `rows` rows; BatchNorm uses running statistics where they are fewer than two or the
        layer is frozen."""
        self.net.train(not self.settings.freeze_backbone)
        for norm in self.norms if rows < 2 else self.frozen_norms:
            norm.eval()

    def weigh_buffers(self, rows: int) -> None:
        """Writes this rank's running statistics, times its rows, beside the gradients."""
        for view, buffer in zip(self.buffer_views, self.buffers, strict=True):
            view.copy_(buffer.reshape(-1)).mul_(rows)

    def take_buffers(self, total: int) -> None:
        """Reads the running statistics back, averaged over all ranks by their rows (`total` of all). Those of frozen layers are
        the same on every rank, and stay so bit by bit."""
        frozen = {id(buffer) for norm in self.frozen_norms for buffer in norm.buffers()}
        for view, buffer in zip(self.buffer_views, self.buffers, strict=True):
            if id(buffer) not in frozen:
                buffer.copy_((view / total).view_as(buffer))

    def update(self, total: int, lr: float) -> float:
        """Takes one optimizer step from gradients summed over `total` rows; returns their mean's norm before clipping. When it
        is not finite, no step is taken."""
        self.gradient.div_(total)
        norm = float(self.gradient.norm())
        if not math.isfinite(norm):
            return norm
        if norm > self.settings.clip:
            self.gradient.mul_(self.settings.clip / norm)
        self.optimizer.step(lr)
        if self.ema is not None and self.settings.ema is not None:
            torch._foreach_lerp_(self.ema, [p.detach() for p in self.trained], 1 - self.settings.ema)
        return norm

    def result(self) -> dict[str, Tensor]:
        """Returns the weights as they would be served: averaged where train.ema is set."""
        weights = {key: value.detach() for key, value in self.net.state_dict().items()}
        if self.ema is not None:
            weights |= dict(zip(self.names, self.ema, strict=True))
        return weights

    def keep_best(self) -> None:
        """Remembers the weights of now as the best so far."""
        self.best = {key: value.clone() for key, value in self.result().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Returns all tensors, by the names that `restore` reads."""
        tensors = {f"net.{key}": value for key, value in self.net.state_dict().items()}
        tensors |= {f"optimizer.{key}": value for key, value in self.optimizer.tensors().items()}
        tensors |= {f"ema.{n}": value for n, value in enumerate(self.ema or ())}
        return tensors | {f"best.{key}": value for key, value in (self.best or {}).items()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Copies the tensors of a checkpoint back."""
        groups = _group_by_prefix(checkpoint.tensors)
        self.net.load_state_dict(groups["net"], strict=True)
        self.optimizer.restore(groups["optimizer"])
        for n, average in enumerate(self.ema or ()):
            average.copy_(groups["ema"][str(n)])
        self.best = groups.get("best")


def _convert_batchnorm(net: nn.Module, settings: TrainSettings, device: torch.device) -> nn.Module:
    """Makes BatchNorm normalise over the rows of all ranks where train.sync_batchnorm is set.

    Every rank then has the same running statistics, so that their average weighted by rows (take_buffers) changes nothing.
    UsageError: it is set, and the device is a CPU.
    """
    if not settings.sync_batchnorm:
        return net
    if device.type != "cuda":
        raise UsageError("train.sync_batchnorm: torch has it for GPUs only, this machine trains on a CPU. Leave it out; "
                         "running statistics are averaged over the ranks either way.")
    return nn.SyncBatchNorm.convert_sync_batchnorm(net)


def _view_like(view: Tensor, p: Tensor) -> Tensor:
    """Returns a flat piece of memory as a tensor laid out like `p` (channels last, say)."""
    return torch.as_strided(view, p.shape, p.stride(), view.storage_offset())


def _group_by_prefix(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = value
    return groups


def lr_at(before: float, after: float, settings: TrainSettings) -> float:
    """Returns the learning rate of an update before which the share `before` of all rows of all epochs was read, and `after`
    with it: linear warm-up, then cosine to 0.

    It is a function of rows, not of updates: ranks may change, and with them the rows of an update.
    """
    warm = settings.warmup_share
    if before < warm:
        return settings.lr * min(after / warm, 1.0)
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (before - warm) / (1 - warm)))
