"""Networks as OpenVINO computes them on a processor: made of one of torch's, kept as one file, run. The one file that imports it.

The file holds OpenVINO's own two (the graph as XML, the numbers) in an archive without compression, so that it has one hash. It
is data: a graph can name operations of OpenVINO, and nothing that would be loaded from elsewhere.
"""

import io
import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, local
from typing import Any

import torch
from torch import Tensor, nn

from contract.errors import BadWeights, UsageError

GRAPH, NUMBERS = "network.xml", "network.bin"
STAMP = (1980, 1, 1, 0, 0, 0)
# What its sums are made in. What int8 does not cover stays float32.
SUMS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
HOW_TO_INSTALL = "Install it: pip install 'trueup[openvino]'"


def import_openvino() -> Any:
    """Imports OpenVINO, without the package by which it would send usage data to its maker. UsageError: how to install it."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if find_spec("openvino") is None:
        raise UsageError(f"the runtime openvino: expected the package openvino, it is not installed. {HOW_TO_INSTALL}, or "
                         f"compute with another runtime.")
    import openvino

    return openvino


def convert(network: nn.Module, shape: Sequence[int]) -> Any:
    """Makes OpenVINO's model of a network in eval mode, for inputs [n, *shape] of any n. RuntimeError: it cannot be converted."""
    library = import_openvino()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # announcements of torch.export
        # Batches of two: a size of one can be taken for a constant.
        return library.convert_model(network, example_input=torch.zeros(2, *shape), input=[-1, *shape])


def pack(model: Any) -> bytes:
    """Writes a model as the bytes of one file."""
    library, out = import_openvino(), io.BytesIO()
    with TemporaryDirectory(prefix="trueup-openvino-") as folder, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        library.save_model(model, Path(folder, GRAPH), compress_to_fp16=False)
        for name in (GRAPH, NUMBERS):
            archive.writestr(zipfile.ZipInfo(name, STAMP), Path(folder, name).read_bytes())
    return out.getvalue()


def read(data: bytes, who: str) -> Any:
    """Reads the model of a file's bytes; BadWeights when they are none. `who` names the version in errors."""
    library = import_openvino()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            graph, numbers = (archive.read(name) for name in (GRAPH, NUMBERS))
        return library.Core().read_model(model=graph, weights=numbers)
    except (zipfile.BadZipFile, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise BadWeights(f"{who}: expected a network of OpenVINO, got {len(data)} bytes that are none ({said}). Convert the "
                         f"version again.") from error


class OpenvinoNetwork:
    """A model, compiled for this processor. Called as a network of torch is: float32 [n, 3, H, W] -> logits [n, classes].

    Any thread may call it. It computes with as many threads as torch would for the calling one (torch.get_num_threads()), so
    that batches side by side get their parts of the cores; for each such number it is compiled once.
    """

    def __init__(self, model: Any, number_format: str) -> None:
        self.model, self.sums = model, SUMS[number_format]
        self.cores = torch.get_num_threads()
        self._core = import_openvino().Core()
        self._compiled: dict[int, Any] = {}
        self._compiling = Lock()
        self._requests = local()

    def __call__(self, x: Tensor) -> Tensor:
        result = self._find_request()([x.contiguous().numpy()])
        return torch.from_numpy(result)

    def _find_request(self) -> Callable[[list[Any]], Any]:
        threads = torch.get_num_threads()
        mine = self._requests.__dict__.setdefault("by_threads", {})
        if threads not in mine:
            request = self._compile(threads).create_infer_request()
            mine[threads] = lambda inputs: request.infer(inputs, share_inputs=True)[0].copy()
        return mine[threads]

    def _compile(self, threads: int) -> Any:
        with self._compiling:
            if threads not in self._compiled:
                streams = max(self.cores // threads, 1)
                self._compiled[threads] = self._core.compile_model(self.model, "CPU", {
                    "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams * threads, "INFERENCE_PRECISION_HINT": self.sums,
                    # Decoders share the cores, and a container may be given others than it was started on.
                    "ENABLE_CPU_PINNING": False, "ENABLE_HYPER_THREADING": True})
            return self._compiled[threads]
