"""How batches and decoders share the processor's cores.

torch splits each layer over all cores, and each layer ends when the slowest core does: a core that decodes a picture
meanwhile makes the other wait. So under load batches run side by side, each on its part of the cores, and wait for nobody.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class Cores:
    """The cores that networks may use when this is made (OMP_NUM_THREADS, else all)."""

    def __init__(self, lanes: int) -> None:
        """`lanes`: batches side by side at the most; one on a GPU, which runs them one after another anyway."""
        from inference.model import predictor

        self._use = predictor.use_cores
        self.cores = predictor.cores()
        self.lanes = 1 if predictor.gpu() else min(lanes, self.cores)

    def share(self, alone: bool) -> None:
        """What the calling thread computes from now on uses all cores if it is `alone`, else its part of them."""
        self._use(self.cores if alone else self.cores // self.lanes)

    def decoders(self) -> ThreadPoolExecutor:
        """A thread per core that prepares pictures, each on one core."""
        return ThreadPoolExecutor(self.cores, "decode", self._use, (1,))
