"""A version as it answers: its card's preprocessing, network, runtime and number format, and nothing else.

The service, batch scoring and the assessment after training all predict through this class, so what was assessed is
what is served.
"""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from contract.documents.card import Calibration, Card, Preprocess
from contract.errors import BadWeights, GpuUnusable, NotFinite, UsageError
from contract.registry import Registry
from inference.model import devices, network, openvino_network, preprocess, scaling
from inference.model.by_shape import compute_by_shape
from inference.model.trial_picture import make_trial_picture

if TYPE_CHECKING:
    from inference.model.speed import Speed

Network: TypeAlias = Callable[[Tensor], Tensor]
Prepared: TypeAlias = Tensor  # an image as a network gets it: float32 [3, H, W]; stacked, [n, 3, H, W]
FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}  # of torch's own kernels
# torch: as PyTorch runs it. torchscript: traced, weights folded, laid out for the processor; 1.5 times as fast on a CPU
# (benchmarks/runtimes.py), for networks whose computation does not depend on what they see.
# openvino: another form of the network, converted beforehand and stored (training/convert.py); for processors.
TORCH, TORCHSCRIPT, OPENVINO = "torch", "torchscript", "openvino"
RUNTIMES = (TORCH, TORCHSCRIPT, OPENVINO)
# Kernels add in another order; a traced network that is wrong is wrong by far more. Share of the largest logit.
AGREE = 1e-3
TRIED_BATCHES = (1, 2, 5)
MOST_PLANNED = 16  # batch sizes that OpenVINO plans before it answers; larger ones are planned when they come


class Predictor:
    """One version of a model, ready to answer. Any thread may call it.

    A network of the user's own, which may keep something from call to call, computes for one thread at a time.
    """

    def __init__(self, card: Card, weights: bytes, device: str | None = None, converted: bytes | None = None) -> None:
        """`device`: auto (the default), cpu or cuda. `converted`: the network that the card names beside the weights.

        Raises BadWeights when the weights do not fit, UsageError for a runtime that this Trueup does not have, GpuUnusable.
        """
        if card.runtime not in RUNTIMES:
            raise UsageError(f"{card.model} version {card.version}: its card names the runtime {card.runtime!r}; "
                             f"expected {', '.join(RUNTIMES)}. Update Trueup, or publish the weights for torch.")
        self.card = card
        self.speed: Speed | None = None  # as inference.live measures it
        self.preprocess_hash = card.preprocess.hash()
        self.steps = card.preprocess.list_steps()  # predictors with the same ones take what either prepared
        self._scale = scaling.make_scaling(card.calibration)
        if card.runtime == OPENVINO:
            self._take_openvino(converted, device or devices.AUTO)
            return
        self.device = devices.choose(device or devices.AUTO)
        if card.number_format not in FORMATS:
            raise UsageError(f"{card.model} version {card.version}: the runtime {card.runtime} computes in "
                             f"{' or '.join(FORMATS)}, its card names {card.number_format}. Convert it: trueup model convert.")
        self.number_format = FORMATS[card.number_format]
        self.network: Any = network.load(card, weights).to(self.device, self.number_format).requires_grad_(False)
        self._turn: AbstractContextManager[Any] = Lock() if network.is_own(card.network) else nullcontext()
        # Kernels of bfloat16 are made for channels innermost: twice as fast, the same sums.
        self.layout = torch.channels_last if self.number_format == torch.bfloat16 else torch.contiguous_format
        # torch's own annotation leaves the layout out.
        self.network = self.network.to(memory_format=self.layout)  # type: ignore[call-overload]
        if card.runtime == TORCHSCRIPT:
            self.network = self._compile_torchscript()

    def _take_openvino(self, converted: bytes | None, device: str) -> None:
        who = f"{self.card.model} version {self.card.version}"
        if device == devices.CUDA:
            raise GpuUnusable(f"{who}: the runtime openvino computes on the processor; expected serve.device: cpu or auto, got "
                              f"cuda.")
        if converted is None:
            raise BadWeights(f"{who}: its card names the runtime openvino, and no converted network. Convert its parent: trueup "
                             f"model convert.")
        self.device, self.number_format, self.layout = torch.device(devices.CPU), torch.float32, torch.contiguous_format
        self._turn = nullcontext()
        model = openvino_network.read(converted, who)
        self.network = openvino_network.OpenvinoNetwork(model, self.card.number_format)

    def _compile_torchscript(self) -> torch.jit.ScriptModule:
        """Makes torchscript of the network, and tries that it gives what the network itself gives, in batches of several sizes.

        BadWeights when the two differ, UsageError when the card or the network rules torchscript out.
        """
        side = find_input_size(self.card.preprocess)
        who = f"{self.card.model} version {self.card.version}"
        if side is None:
            raise UsageError(f"{who}: the runtime torchscript needs pictures of one size. Publish with --crop or --size, or "
                             f"with --runtime torch.")
        if self.number_format != torch.float32:  # normalisation would be folded into weights of too few digits
            raise UsageError(f"{who}: the runtime torchscript computes in float32. Publish with --runtime torch.")
        try:
            compiled = trace_and_freeze(self.network, (3, *side))
            n = find_other_answer(self.network, compiled, side, self.device)
            if n is not None:
                raise BadWeights(f"{who}: {self.card.network} computes otherwise in torchscript than in torch, for a batch "
                                 f"of {n}. Publish with --runtime torch.")
        except RuntimeError as error:  # what torch raises for whatever cannot be traced
            raise UsageError(f"{who}: {self.card.network} cannot be traced: {' '.join(str(error).split())[:300]} Publish "
                             f"with --runtime torch.") from error
        return compiled

    def prepare(self, data: bytes) -> Prepared:
        """Makes float32 [3, H, W] of an image's bytes; BadImage when they cannot be decoded.

        Any thread may call it.
        """
        return preprocess.to_tensor(data, self.card.preprocess)

    def stack(self, rows: list[Prepared]) -> Prepared:
        """Makes one batch of prepared images of one shape; `ask` takes images of any shapes."""
        return torch.stack(rows)

    def run_trial(self, batch: int = 1) -> None:
        """Answers a made-up picture, `batch` times at once, from bytes to labels: raises what a request would raise.

        Also the warm-up: the first call of a size is the slow one.
        """
        rows = self.probabilities(self.stack([self.prepare(make_trial_picture())] * batch))
        if rows.shape != (batch, len(self.card.classes)):
            raise BadWeights(f"{self.card.model} version {self.card.version}: expected {len(self.card.classes)} "
                             f"probabilities for {batch} images, got the shape {rows.shape}.")

    def warm_up(self, max_batch: int, lanes: int = 1) -> None:
        """Runs trial batches of one and of `max_batch` images; raises what a request would raise.

        OpenVINO plans each size of batch when it comes first, for all cores and for a part of them: `lanes` batches side by side.
        """
        for batch in sorted({1, max_batch}):
            self.run_trial(batch)
        if self.card.runtime != OPENVINO:
            return
        cores = count_threads()
        try:
            for threads in {cores, max(cores // lanes, 1)}:
                set_threads(threads)
                for batch in range(1, min(max_batch, MOST_PLANNED) + 1):
                    self.run_trial(batch)
        finally:
            set_threads(cores)

    def probabilities(self, batch: Prepared) -> np.ndarray:
        """Computes float32 [n, classes], rows sum to 1, of [n, 3, H, W]; NotFinite when the network gives NaN or infinity.

        In float32 a row's result does not depend on the batch it is in, to 1e-6 (kernels may add in another order).
        """
        return self.to_probabilities(self.logits(batch))

    def logits(self, batch: Prepared) -> Tensor:
        """Computes the network's outputs, float32 [n, classes] on its device, before any calibration."""
        with self._turn, torch.inference_mode(), self._without_tf32():
            return self.network(batch.to(self.device, self.number_format, memory_format=self.layout)).to(torch.float32)

    def ask(self, rows: Sequence[Prepared]) -> Tensor:
        """Computes the logits of prepared images, in their order: those of one shape are one batch."""
        return compute_by_shape(rows, self.logits, torch.empty(0, len(self.card.classes)))

    def to_probabilities(self, logits: Tensor, calibrated: bool = True) -> np.ndarray:
        """Makes the probabilities of `logits`, by the card's calibration; NotFinite. `calibrated` False: as without one."""
        with torch.inference_mode():
            result = torch.softmax(self._scale(logits) if calibrated else logits, dim=1).cpu().numpy()
        if not np.isfinite(result).all():
            raise NotFinite(f"{self.card.model} version {self.card.version}: expected finite probabilities, got NaN or "
                            f"infinity. The weights are damaged or overflow in {self.card.number_format}.")
        return result

    def take_calibration(self, calibration: Calibration) -> None:
        """Answers by this calibration from now on, and has it in its card: for whoever fits one, before anything is answered."""
        self.card = self.card.model_copy(update={"calibration": calibration})
        self._scale = scaling.make_scaling(calibration)

    def _without_tf32(self) -> AbstractContextManager:
        """Turns TF32 off, which would cost three digits on a GPU: float32 is to mean float32 wherever a version is assessed."""
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if self.device.type == "cuda" else nullcontext()

    def top(self, row: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Returns the k most probable (label, probability) of a row [classes], best first, ties by class order.

        All classes when k is larger.
        """
        order = np.argsort(-row, kind="stable")[:k]
        return [(self.card.classes[i], float(row[i])) for i in order]


def load_predictor(registry: Registry, version: str, device: str | None = None) -> Predictor:
    """Loads a version of a registry; raises what reading it raises, and what Predictor does."""
    card, weights = registry.load(version)
    return Predictor(card, weights, device, registry.load_converted(card))


def find_other_answer(network: Network, traced: Network, side: tuple[int, int], device: torch.device) -> int | None:
    """Compares a network with what was made of it by tracing, in batches of several sizes; returns the first size whose logits
    differ by more than AGREE, None when all agree."""
    for n in TRIED_BATCHES:
        x = torch.randn(n, 3, *side, generator=torch.Generator().manual_seed(n)).to(device)
        with torch.inference_mode():
            expected, got = network(x), traced(x)
        if (expected - got).abs().max() > AGREE * expected.abs().max():
            return n
    return None


def count_threads() -> int:
    """Returns how many threads a network computes with when the calling thread runs it."""
    return torch.get_num_threads()


def set_threads(threads: int) -> None:
    """Lets the calling thread compute with `threads` threads from now on.

    OpenMP keeps this for each calling thread.
    """
    torch.set_num_threads(threads)


def find_input_size(p: Preprocess) -> tuple[int, int] | None:
    """Returns (height, width) in pixels of what the network gets; None when they depend on the picture."""
    if p.crop is not None:
        return p.crop, p.crop
    return (p.resize[0], p.resize[-1]) if isinstance(p.resize, list) and len(p.resize) == 2 else None


def trace_and_freeze(network: nn.Module, shape: tuple[int, ...]) -> torch.jit.ScriptModule:
    """Makes TorchScript of a network in eval mode, for inputs [n, *shape]: traced, frozen, optimised for its device."""
    device = next(network.parameters()).device
    # Batches of two: a size of one can be taken for a constant.
    example = torch.zeros(2, *shape, device=device)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # announcements of torch.export, and Python values that tracing keeps
        traced = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))
        return traced if device.type == "cuda" else torch.jit.optimize_for_inference(traced)
