"""A version as it answers: its card's preprocessing, network, runtime and number format, and nothing else.

The service, batch scoring and the assessment after training all predict through this class, so what was assessed is
what is served.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contract.card import Card
from contract.errors import BadWeights, NotFinite, UsageError
from inference import network, preprocess

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Predictor:
    """One version of a model, ready to answer; not to be called by two threads at once."""

    def __init__(self, card: Card, weights: bytes, device: str | None = None) -> None:
        """Raises BadWeights when the weights do not fit, UsageError for a runtime that this Trueup does not have."""
        if card.runtime != "torch":
            raise UsageError(f"{card.model} version {card.version}: its card names the runtime {card.runtime!r}; "
                             f"expected torch. Update Trueup, or publish the weights for torch.")
        self.card = card
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.number_format = FORMATS[card.number_format]
        self.network = network.load(card, weights).to(self.device, self.number_format).requires_grad_(False)
        self.preprocess_hash = card.preprocess.hash()

    def prepare(self, data: bytes) -> Tensor:
        """float32 [3, H, W] of an image's bytes; BadImage when they cannot be decoded. Any thread may call it."""
        return preprocess.to_tensor(data, self.card.preprocess)

    def stack(self, rows: list[Tensor]) -> Tensor:
        """One batch of prepared images of one shape."""
        return torch.stack(rows)

    def trial(self, batch: int = 1) -> None:
        """Answers a made-up picture, `batch` times at once, from bytes to labels: raises what a request would raise.

        Also the warm-up: the first call of a size is the slow one.
        """
        picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8))
        data = io.BytesIO()
        picture.save(data, "PNG")
        rows = self.probabilities(self.stack([self.prepare(data.getvalue())] * batch))
        if rows.shape != (batch, len(self.card.classes)):
            raise BadWeights(f"{self.card.model} version {self.card.version}: expected {len(self.card.classes)} "
                             f"probabilities for {batch} images, got the shape {rows.shape}.")

    def probabilities(self, batch: Tensor) -> np.ndarray:
        """[n, 3, H, W] to float32 [n, classes], rows sum to 1; NotFinite when the network gives no finite number.

        In float32 a row's result does not depend on the batch it is in, to 1e-6 (kernels may add in another order).
        """
        # TF32 would cost three digits on a GPU; "assessed is served" wants float32 to mean float32.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = self.network(batch.to(self.device, self.number_format)).to(torch.float32)
            result = torch.softmax(logits, dim=1).cpu().numpy()
        if not np.isfinite(result).all():
            raise NotFinite(f"{self.card.model} version {self.card.version}: expected finite probabilities, got NaN or "
                            f"infinity. The weights are damaged or overflow in {self.card.number_format}.")
        return result

    def top(self, row: np.ndarray, k: int) -> list[tuple[str, float]]:
        """The k most probable (label, probability), best first, ties by class order; all classes when k is larger."""
        order = np.argsort(-row, kind="stable")[:k]
        return [(self.card.classes[i], float(row[i])) for i in order]
