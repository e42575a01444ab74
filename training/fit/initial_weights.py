"""The network that a job starts with: the parent's, its head grown; or weights from outside; or random ones."""

import torch
from torch import nn

from contract.registry import Registry
from contract.stores.store import Storage
from inference.model import network
from training.fit import grow_head
from training.fit.job import Job


def initial(job: Job, storage: Storage) -> tuple[nn.Module, str]:
    """The network before the first step, the same on every rank, and a sentence on what it inherited."""
    if job.parent is not None:
        return _inherited(job, storage)
    if job.start is not None:
        from safetensors.torch import load

        made = network.build_from_state(job.network, len(job.classes), load(storage.read(job.start)))
        return made, f"{job.network} starts from the weights brought in {job.start}"
    torch.manual_seed(job.train.seed)
    made = network.build(job.network, len(job.classes))
    return made, f"{job.network} starts from random weights (seed {job.train.seed})"


def _inherited(job: Job, storage: Storage) -> tuple[nn.Module, str]:
    from safetensors.torch import load

    registry = Registry(storage, job.model)
    card = registry.card(job.parent)
    weights = registry.weights(job.parent)
    made = grow_head.grown(job.network, load(weights), card.classes, job.classes, job.train.seed)
    said = f"{job.network} starts from version {job.parent}: all {len(made.state_dict())} tensors inherited"
    if card.classes == job.classes:
        return made, said
    size = job.preprocess.crop or 224
    moved = grow_head.check(network.load(card, weights), made, card.classes, job.classes, (size, size))
    new = [label for label in job.classes if label not in card.classes]
    return made, f"{said}, its head grown by {', '.join(new)}; known logits moved by {moved:.1e}"
