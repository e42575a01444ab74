"""The processes that train together: this one's rank, its device, and sums over all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from inference.model import devices
from training.errors import RankGone


@dataclass(frozen=True)
class ProcessGroup:
    """This process as number `rank` of `size`. One process alone needs no torch.distributed and no network."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this rank writes and prints for all."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sums the tensor over all ranks, in place, and returns it; the same bits on every rank."""
        if self.size > 1:
            with _as_rank_gone():
                dist.all_reduce(tensor)
        return tensor

    def barrier(self) -> None:
        """Waits until all ranks are here."""
        if self.size > 1:
            with _as_rank_gone():
                dist.barrier()


@contextmanager
def _as_rank_gone() -> Iterator[None]:
    """Raises Gloo's plain RuntimeError as RankGone: so it says that another rank does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise RankGone(f"another rank does not answer: {error}") from error


@contextmanager
def join_process_group(threads: int, alone: bool = False, device_asked: str = devices.AUTO) -> Iterator[ProcessGroup]:
    """Joins the group that torchrun or TorchDistributor names in the environment; `alone`: this process by itself.

    `device_asked`: auto, cpu or cuda (inference.model.devices). NCCL where each rank has a GPU, else Gloo.
    Sets torch's threads to `threads`, because launchers leave a rank one; restored at the end.
    """
    size = 1 if alone else int(os.environ.get("WORLD_SIZE", "1"))
    rank = 0 if alone else int(os.environ.get("RANK", "0"))
    threads_before, mode_before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(threads)
    device = _choose_device(device_asked)
    if device.type == "cpu":
        torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, less an import of 3 seconds
        # Filling only helps debugging, and costs time. (torch makes the attribute when it is imported; mypy cannot see it.)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if size > 1:
        with _as_rank_gone():
            dist.init_process_group(choose_backend(device))
    try:
        yield ProcessGroup(rank, size, device)
    finally:
        if size > 1:
            dist.destroy_process_group()
        torch.set_num_threads(threads_before)
        torch.set_deterministic_debug_mode(mode_before)


def _choose_device(asked: str) -> torch.device:
    device = devices.choose(asked, int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def choose_backend(device: torch.device) -> str:
    """Returns nccl where every rank of this machine has a GPU of its own; gloo on CPUs and for ranks that share a GPU, which
    NCCL refuses."""
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return "nccl" if device.type == "cuda" and ranks_here <= torch.cuda.device_count() else "gloo"
