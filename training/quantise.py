"""int8 of a network that was converted to OpenVINO: ranges measured on pictures, by NNCF. The one file that imports it."""

import logging
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np

from contract.errors import UsageError
from inference.model import openvino_network

ATTENTION = ("vit_", "swin_", "maxvit")  # networks whose matrix products NNCF treats otherwise


def import_nncf() -> Any:
    """The library; UsageError says how to install it."""
    openvino_network.import_openvino()  # first: it keeps both from reporting to their maker
    if find_spec("nncf") is None:
        raise UsageError("number format int8: expected the package nncf, which measures the ranges; it is not installed. Install "
                         "it: pip install 'trueup[convert]'. To serve what was converted it is not needed.")
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf


def quantise(model: Any, network: str, pictures: Sequence[np.ndarray]) -> Any:
    """Makes the int8 form of OpenVINO's model. `pictures`: float32 [1, 3, H, W] each, prepared as the network gets them.

    Preset mixed: symmetric weights, and activations with a zero point, which suits other functions than ReLU.
    """
    nncf = import_nncf()
    kind = nncf.ModelType.TRANSFORMER if network.startswith(ATTENTION) else None
    with redirect_stdout(sys.stderr):  # its progress; a stage's answer goes to stdout
        return nncf.quantize(model, nncf.Dataset(list(pictures)), subset_size=len(pictures), preset=nncf.QuantizationPreset.MIXED,
                             model_type=kind)
