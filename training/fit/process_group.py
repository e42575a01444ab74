"""The processes that train together: this one's number, its device, and sums over all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from training.fit.failure import RankGone


@dataclass(frozen=True)
class Ranks:
    """This process among its fellows. One rank needs no process group and no network."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this rank writes and prints for all."""
        return self.rank == 0

    def add(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place; the same bits on every rank."""
        if self.size > 1:
            with _others():
                dist.all_reduce(tensor)
        return tensor

    def wait(self) -> None:
        """Returns when all ranks are here."""
        if self.size > 1:
            with _others():
                dist.barrier()


@contextmanager
def _others() -> Iterator[None]:
    """Gloo says with a plain RuntimeError that another rank is gone."""
    try:
        yield
    except RuntimeError as error:
        raise RankGone(f"another rank does not answer: {error}") from error


@contextmanager
def joined(threads: int, alone: bool = False) -> Iterator[Ranks]:
    """The ranks as torchrun (also inside TorchDistributor) names them; `alone`: this process by itself.

    Gloo on CPUs, NCCL on GPUs. Threads are set here, because both launchers leave one a rank.
    """
    size = 1 if alone else int(os.environ.get("WORLD_SIZE", "1"))
    rank = 0 if alone else int(os.environ.get("RANK", "0"))
    before, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    device = _device()
    if device.type == "cpu":
        torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, less an import of 3 seconds
        torch.utils.deterministic.fill_uninitialized_memory = False  # only helps debugging, costs time
    if size > 1:
        with _others():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, size, device)
    finally:
        if size > 1:
            dist.destroy_process_group()
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(mode)


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
