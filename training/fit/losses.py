"""The loss of training: cross entropy summed over rows, by class weights, label smoothing and mixed targets."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as f

from contract.documents.manifest import Manifest
from contract.settings import TrainSettings

NONE, BALANCED = "none", "balanced"


def weigh_classes(dataset: Manifest, settings: TrainSettings, device: torch.device) -> Tensor | None:
    """Returns a weight for each class, float32, or None where all weigh 1. A training row weighs 1 on average.

    "balanced": 1/n of a class of n rows, so every class has the same part of the loss. "effective": 1/E of the effective
    number of samples E = (1 - b^n) / (1 - b), b being train.class_beta (Cui et al. 2019, "Class-Balanced Loss Based on
    Effective Number of Samples", equation 2).
    """
    if settings.class_weights == NONE:
        return None
    rows = [dataset.per_class["train"][label] for label in dataset.classes]
    beta = settings.class_beta
    worth = [float(n) if settings.class_weights == BALANCED else (1 - beta**n) / (1 - beta) for n in rows]
    scale = sum(rows) / sum(n / e for n, e in zip(rows, worth, strict=True))
    return torch.tensor([scale / e for e in worth], dtype=torch.float32, device=device)


def sum_losses(logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float) -> tuple[Tensor, Tensor]:
    """Returns the sum of the losses of n rows, and how many are right. `logits` [n, classes], `labels` int64 [n]."""
    loss = f.cross_entropy(logits.float(), labels, weights, reduction="sum", label_smoothing=smoothing)
    return loss, (logits.detach().argmax(1) == labels).sum()


def sum_mixed_losses(logits: Tensor, labels: Tensor, others: Tensor, own: NDArray[np.float64], weights: Tensor | None,
                     smoothing: float) -> tuple[Tensor, Tensor]:
    """Returns the same of mixed rows, of whose target the part `own`, [n], is `labels` and the rest `others`.

    The loss is by the whole target, so it has the target's entropy as its floor. A row is right when the answer is the label
    of the larger part: of the row's own where the two are equal.
    """
    part = torch.from_numpy(own).to(logits.device, torch.float32)
    of_own, of_other = (f.cross_entropy(logits.float(), target, weights, reduction="none", label_smoothing=smoothing)
                        for target in (labels, others))
    larger = torch.where(part >= 0.5, labels, others)
    return (part * of_own + (1 - part) * of_other).sum(), (logits.detach().argmax(1) == larger).sum()
