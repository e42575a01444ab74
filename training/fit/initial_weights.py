"""Makes the network that a job starts with: the parent's, its head grown; or weights from outside; or random ones."""

import torch
from torch import nn

from contract.registry import Registry
from contract.stores.store import Storage
from inference.model import network
from training.fit import grow_head
from training.fit.job import Job


def make_initial(job: Job, storage: Storage) -> tuple[nn.Module, str]:
    """Returns the network before the first step, the same on every rank, and a sentence on what it inherited."""
    if job.parent is not None:
        return _inherit(job, job.parent, storage)
    if job.start is not None:
        from safetensors.torch import load

        net = network.build_from_state(job.network, len(job.classes), load(storage.read(job.start)))
        return net, f"{job.network} starts from the weights brought in {job.start}"
    torch.manual_seed(job.train.seed)
    net = network.build(job.network, len(job.classes))
    return net, f"{job.network} starts from random weights (seed {job.train.seed})"


def _inherit(job: Job, parent: str, storage: Storage) -> tuple[nn.Module, str]:
    from safetensors.torch import load

    card, weights = Registry(storage, job.model).load(parent)
    net = grow_head.grow(job.network, load(weights), card.classes, job.classes, job.train.seed)
    inherited = f"{job.network} starts from version {parent}: all {len(net.state_dict())} tensors inherited"
    if card.classes == job.classes:
        return net, inherited
    size = job.preprocess.crop or 224
    moved = grow_head.check(network.load(card, weights), net, card.classes, job.classes, (size, size))
    new = [label for label in job.classes if label not in card.classes]
    return net, f"{inherited}, its head grown by {', '.join(new)}; known logits moved by {moved:.1e}"
