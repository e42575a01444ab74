"""What a network makes of pictures before its last layer: the embedding, which its head turns into classes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from contract.documents.card import Card
from inference.model import network, preprocess
from inference.model.by_shape import compute_by_shape

BATCH = 32


class Embedder:
    """The network of a version, in float32 as PyTorch runs it, whatever the runtime that serves it."""

    def __init__(self, card: Card, weights: bytes) -> None:
        """Raises BadWeights when the weights do not fit, UsageError for a network without a head that is a layer."""
        self.card = card
        self.network = network.load(card, weights).to(torch.float32).requires_grad_(False)
        _, head = network.find_head(self.network)
        head.register_forward_pre_hook(self._keep)
        self._kept: list[Tensor] = []

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._kept.append(inputs[0])

    def prepare(self, data: bytes) -> Tensor:
        """Makes float32 [3, H, W] of an image's bytes; BadImage when they cannot be decoded."""
        return preprocess.to_tensor(data, self.card.preprocess)

    def embed(self, pictures: Sequence[Tensor]) -> np.ndarray:
        """Computes float64 [pictures, size]: the input of the head; of a head that is a convolution its mean over places."""
        with torch.inference_mode():
            return compute_by_shape(pictures, self._embed_batch, torch.empty(0, 0)).to(torch.float64).numpy()

    def _embed_batch(self, batch: Tensor) -> Tensor:
        self._kept = []
        self.network(batch)
        found = self._kept[-1]
        return found.mean((2, 3)) if found.dim() == 4 else found.flatten(1)
