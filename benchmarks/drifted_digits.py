"""The demo's digits in memory, and the fine-tuning of its ResNet-18 at 32 px on them, for benchmarks that train many times.

Cut by seed into what version 1 learns from (450 clean), a pool (947, taken by the drifted camera), and held-out pictures: 400 of
the drifted camera, and the demo's 197 clean ones. The steps are those of the product: its optimizer, schedule, augmentation and
normalisation (training/fit, training/feed), on one thread, without files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as f

from contract.documents.card import Preprocess
from contract.settings import TrainSettings
from inference.model import network
from inference.model.preprocess import to_uint8
from pipeline.demo import digits
from training.feed import augment
from training.feed.normalise import Normaliser
from training.fit.state import State, lr_at

NETWORK, CLASSES, LOOK = "resnet18", 10, Preprocess(resize=32, crop=32)
FIRST = TrainSettings(epochs=6, lr=0.002)  # as the demo trains version 1
HEAD, HEAD_STEPS = TrainSettings(), 400
POOL = ("clean_holdout", "clean", "drifted")
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures, their pixels uint8 [n, 3, 32, 32] and their classes int64 [n]."""

    data: list[bytes]
    pixels: Tensor
    truth: Tensor

    @classmethod
    def of(cls, pictures: Sequence[tuple[bytes, int]]) -> Pictures:
        """Decodes pictures as the network gets them."""
        data = [picture for picture, _ in pictures]
        return cls(data, torch.stack([to_uint8(d, LOOK) for d in data]), torch.tensor([truth for _, truth in pictures]))

    def take(self, places: Sequence[int]) -> Pictures:
        """Takes some of them."""
        return Pictures([self.data[n] for n in places], self.pixels[list(places)], self.truth[list(places)])

    def join(self, other: Pictures) -> Pictures:
        """Puts others behind them."""
        return Pictures(self.data + other.data, torch.cat([self.pixels, other.pixels]), torch.cat([self.truth, other.truth]))


@dataclass(frozen=True)
class Digits:
    """All parts of one seed."""

    first: Pictures
    pool: Pictures
    drifted: Pictures
    clean: Pictures


def make_digits(seed: int) -> Digits:
    """Makes the parts from the demo's digits of that seed; the drifted camera takes all of the pool, its clean parts too."""
    images, labels = digits.load_images()
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    ends = dict(zip(digits.PARTS, np.cumsum(list(digits.PARTS.values())).tolist(), strict=True))
    part = {name: order[ends[name] - n:ends[name]].tolist() for name, n in digits.PARTS.items()}

    def drift(places: Sequence[int]) -> list[tuple[bytes, int]]:
        return [(digits.take_drifted(images[i], np.random.default_rng([seed, 1, i])), int(labels[i])) for i in places]

    def clean(places: Sequence[int]) -> list[tuple[bytes, int]]:
        return [(digits.take_clean(images[i]), int(labels[i])) for i in places]

    return Digits(Pictures.of(clean(part["first_training"])), Pictures.of(drift([i for name in POOL for i in part[name]])),
                  Pictures.of(drift(part["recovered"])), Pictures.of(clean(part["clean_holdout"])))


def train(start: Weights | None, pictures: Pictures, settings: TrainSettings) -> Weights:
    """Fine-tunes from some weights, or trains from random ones; what happens to a picture follows from the seed."""
    torch.manual_seed(settings.seed)
    net = network.build(NETWORK, CLASSES)
    if start:
        net.load_state_dict(start)
    state, normalise = State(net, settings, torch.device("cpu")), Normaliser(LOOK)
    strength, steps, at = augment.find_strength(settings.augment), -(-len(pictures.data) // settings.batch), 0
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(pictures.data))
        for part in np.array_split(order, steps):
            state.flat.zero_()
            state.set_modes(len(part))
            uniforms = augment.draw_uniforms(settings.seed, epoch, [str(n) for n in part])
            logits = state.forward(normalise(augment.apply(pictures.pixels[part].contiguous(), strength, uniforms)))
            f.cross_entropy(logits, pictures.truth[part], reduction="sum", label_smoothing=settings.label_smoothing).backward()
            state.update(len(part), lr_at(at, steps * settings.epochs, settings))
            at += 1
    return {name: value.clone() for name, value in state.result().items()}


def answer(weights: Weights, pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Returns probabilities, float64 [n, classes], and embeddings, float64 [n, 512], of pictures."""
    net = network.build(NETWORK, CLASSES)
    net.load_state_dict(weights)
    embeddings: list[Tensor] = []
    network.find_head(net.eval())[1].register_forward_pre_hook(lambda _, inputs: embeddings.append(inputs[0].clone()))
    normalise = Normaliser(LOOK)
    with torch.inference_mode():
        found = [net(normalise(some.contiguous())).softmax(1).clone() for some in pictures.pixels.split(64)]
    return torch.cat(found).double().numpy(), torch.cat(embeddings).double().numpy()


def measure_accuracy(weights: Weights, pictures: Pictures) -> float:
    """Measures the share of pictures that are named right."""
    return float((answer(weights, pictures)[0].argmax(1) == pictures.truth.numpy()).mean())


def train_head(start: Weights, look: np.ndarray, truth: np.ndarray) -> tuple[Tensor, Tensor]:
    """Trains the last layer alone (`train.freeze_backbone`) on embeddings float64 [n, 512]: its weights and biases.

    The same loss and learning rate as the product's, over all pictures at once, without augmentation, until little changes.
    """
    layer = torch.nn.Linear(look.shape[1], CLASSES)
    layer.load_state_dict({"weight": start["fc.weight"], "bias": start["fc.bias"]})
    optimizer = torch.optim.AdamW(layer.parameters(), HEAD.lr, weight_decay=HEAD.weight_decay)
    x, y = torch.from_numpy(look).float(), torch.from_numpy(truth)
    for _ in range(HEAD_STEPS):
        optimizer.zero_grad()
        f.cross_entropy(layer(x), y, label_smoothing=HEAD.label_smoothing).backward()
        optimizer.step()
    return layer.weight.detach(), layer.bias.detach()


def measure_head(head: tuple[Tensor, Tensor], look: np.ndarray, truth: np.ndarray) -> float:
    """Measures the share of embeddings that a last layer names right."""
    named = f.linear(torch.from_numpy(look).float(), *head).argmax(1).numpy()
    return float((named == truth).mean())


def train_first(seed: int, parts: Digits, keep: Path | None = None) -> Weights:
    """Trains version 1 of a seed on the clean pictures, or reads it where an earlier run left it in a folder."""
    file = keep / f"version-1-{seed}.pt" if keep else None
    if file and file.exists():
        return dict(torch.load(file, weights_only=True))
    made = train(None, parts.first, FIRST.model_copy(update={"seed": seed}))
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(made, file)
    return made
