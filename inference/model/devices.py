"""What torch computes on. A GPU that was asked for is used, or its absence is an error with the versions of all that it takes."""

import ctypes
import gc
import os
import re
import sys
from functools import cache
from pathlib import Path

import torch

from contract.errors import GpuUnusable

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
DRIVER = Path("/proc/driver/nvidia/version")  # not there in every container
MANAGEMENT, LIBRARY = "libnvidia-ml.so.1", "libcuda.so.1"  # the driver's own


def choose(asked: str = AUTO, index: int = 0) -> torch.device:
    """Returns the device for `asked`: cpu; cuda, a GPU; or auto, a GPU where torch finds one.

    `index`: which GPU, counted round and round. GpuUnusable: cuda was asked for and torch finds none, or it cannot compute
    on the one that it found.
    """
    if asked == CPU:
        return torch.device(CPU)
    if not torch.cuda.is_available():
        if asked != AUTO:
            raise GpuUnusable(_explain("torch finds none"))
        _warn_of_unused()
        return torch.device(CPU)
    device = torch.device(CUDA, index % torch.cuda.device_count())
    _try(device)
    return device


def free_memory() -> None:
    """Gives back the memory of GPUs that this process has and uses no more: torch keeps it, and other processes lack it."""
    if torch.cuda.is_initialized():
        gc.collect()  # a network may still be held by a cycle
        torch.cuda.empty_cache()


@cache
def _try(device: torch.device) -> None:
    """Computes something: a GPU may be found and yet be too old for torch's kernels, broken, or another's alone."""
    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        raise GpuUnusable(_explain(f"{device} does not compute ({str(error).splitlines()[0]})")) from error


def _explain(why: str) -> str:
    return (f"expected a GPU that torch can use (device: cuda), but {why}: {describe()}. Install a driver for torch's CUDA or "
            f"newer, give this process a GPU, or compute on the CPU: device: cpu.")


@cache
def _warn_of_unused() -> None:
    if find_driver() and os.environ.get("CUDA_VISIBLE_DEVICES") != "":
        print(f"a GPU's driver is here, but torch finds no GPU that it can use, and computes on the CPU: {describe()}. With "
              f"device: cuda this is an error.", file=sys.stderr, flush=True)


def describe() -> str:
    """Names the versions of the driver, of the CUDA that it supports, of torch and its CUDA, and CUDA_VISIBLE_DEVICES."""
    driver, supports = find_driver(), _find_driver_cuda()
    said = f"driver {driver or 'not found'}{f' (CUDA {supports} at most)' if supports else ''}"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    shown = "" if hidden is None else f", CUDA_VISIBLE_DEVICES={hidden!r}"
    return f"{said}, torch {torch.__version__}, its CUDA {torch.version.cuda or 'none (a build for CPUs)'}{shown}"


def find_driver() -> str | None:
    """Finds the version of NVIDIA's driver; None where there is none."""
    return _ask_management_library() or _read_driver()


def _ask_management_library() -> str | None:
    try:
        library = ctypes.CDLL(MANAGEMENT)
    except OSError:
        return None
    version = ctypes.create_string_buffer(80)
    if library.nvmlInit_v2() or library.nvmlSystemGetDriverVersion(version, len(version)):
        return None
    library.nvmlShutdown()
    return version.value.decode()


def _read_driver() -> str | None:
    try:
        found = re.search(r"Kernel Module(?: for \S+)?\s+([0-9.]+)", DRIVER.read_text())
    except OSError:
        return None
    return found[1] if found else None


def _find_driver_cuda() -> str | None:
    number = ctypes.c_int(0)
    try:
        failed = ctypes.CDLL(LIBRARY).cuDriverGetVersion(ctypes.byref(number))
    except OSError:
        return None
    digits = str(number.value)  # 13020 for 13.2
    return None if failed or len(digits) < 4 else f"{digits[:-3]}.{int(digits[-3:-1])}"
