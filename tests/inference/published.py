"""A tiny published model: a real torchvision network at 32 px, about 1.5 MB a version, different for each seed."""

import hashlib
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from contract import clock
from contract.documents.card import Card, Preprocess
from contract.registry import Registry
from contract.storage import open_root
from contract.stores.store import Storage

NETWORK = "shufflenet_v2_x0_5"
PREPROCESS = Preprocess(resize=36, crop=32)


@lru_cache
def tiny_weights(classes: int, seed: int) -> bytes:
    """Random weights whose answers differ from picture to picture."""
    import torch
    from safetensors.torch import save

    from inference.model import network

    torch.manual_seed(seed)
    net = network.build(NETWORK, classes)
    for layer in net.modules():  # statistics of random pictures, so that pictures do not all look alike
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        net(torch.randn(32, 3, 1, 1) + torch.randn(32, 3, 32, 32))
        network.find_head(net)[1].weight.mul_(4)
    return save(net.state_dict())


def publish_tiny(root: str | Storage, model: str = "m", classes: tuple[str, ...] = ("a", "b", "c"), seed: int = 1,
                 weights: bytes | None = None, **card: object) -> str:
    """Publishes a version and makes it live; returns its number. `weights` instead of random ones; `card`: its fields."""
    storage = open_root(root, create=True) if isinstance(root, str) else root
    registry = Registry(storage, model)
    version = registry.claim(by="test")
    data = tiny_weights(len(classes), seed) if weights is None else weights
    fields = {"network": NETWORK, "classes": list(classes), "preprocess": PREPROCESS,
              "weights_sha256": hashlib.sha256(data).hexdigest()} | card
    with TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        path.write_bytes(data)
        registry.write_version(Card(model=model, version=version, created_at=clock.iso(clock.now()),
                                    weights_bytes=len(data), **fields), path)
    newest = registry.newest()
    registry.promote(version, by="test", reason="test", expected_live=newest and newest.state.live)
    return version
