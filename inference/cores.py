"""How batches and decoders share the processor's cores.

torch splits each layer over all cores, and each layer ends when the slowest core does: a core that decodes a picture
meanwhile makes the other wait. So under load batches run side by side, each on its part of the cores, and wait for nobody.
"""

from __future__ import annotations

from inference.decoders import Decoders


class Cores:
    """Divides the cores that networks may use when this is made: OMP_NUM_THREADS, else all."""

    def __init__(self, lanes: int, device: str = "auto") -> None:
        """`lanes`: how many batches run side by side at most; on a GPU one, for it runs them one after another anyway.

        `device`: auto, cpu or cuda.
        """
        from inference.model import devices, predictor

        self._set_threads = predictor.set_threads
        self.cores = predictor.count_threads()
        self.lanes = 1 if devices.choose(device).type == devices.CUDA else min(lanes, self.cores)

    def set_share(self, alone: bool) -> None:
        """Lets the calling thread compute on all cores if it is `alone`, else on its part of them."""
        self._set_threads(self.cores if alone else self.cores // self.lanes)

    def start_decoders(self) -> Decoders:
        """Starts a thread per core that prepares pictures, each on one core."""
        return Decoders(self.cores, lambda: self._set_threads(1))
