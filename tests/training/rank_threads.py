"""Ranks as threads of this process, on pictures in memory: any number of them in a second, and what each of them read."""

import hashlib
import threading
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from benchmarks.gpu import jobs
from benchmarks.gpu.made import MemoryFeed, Rows, split_rows
from contract.storage import open_root
from tests.faults import Died
from training.fit.checkpoint import Checkpoints
from training.fit.loop import Loop
from training.fit.process_group import ProcessGroup

CLASSES = ["a", "b", "c"]
SIDE = 16
PLAIN, TINY = "tests.training.plain:build", "tests.training.tiny:build"


class Meeting:
    """Where the threads wait for each other; sums are taken in the order of ranks."""

    def __init__(self, size):
        self.barrier = threading.Barrier(size)
        self.tensors = [None] * size
        self.hashes = {}

    def sum(self, rank, tensor):
        self.tensors[rank] = tensor.clone()
        self.barrier.wait()
        total = sum(self.tensors[1:], self.tensors[0].clone())
        self.barrier.wait()
        tensor.copy_(total)


@dataclass(frozen=True)
class ThreadGroup(ProcessGroup):
    """One thread's view of the meeting."""

    meeting: Meeting

    def all_reduce(self, tensor):
        self.meeting.sum(self.rank, tensor)
        return tensor

    def barrier(self):
        self.meeting.barrier.wait()


class NotedLoop(Loop):
    """Rank 0 notes (epoch, image hashes of all ranks) of every update that was made."""

    noted: list

    def _update(self, epoch, first, batches):
        meeting, steps = self.process_group.meeting, self.steps
        meeting.hashes[self.process_group.rank, steps] = [h for batch in batches for h in batch.hashes]
        super()._update(epoch, first, batches)
        if self.process_group.is_first:
            self.noted.append((epoch, [h for rank in range(self.process_group.size) for h in meeting.hashes[rank, steps]]))


def make_rows(count, seed):
    """Pictures whose brightness and tint follow from their class, with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    base = rng.normal(120, 30, (count, 3, SIDE, SIDE))
    base[np.arange(count), labels] += 60
    images = torch.from_numpy(np.clip(base, 0, 255).astype(np.uint8)).contiguous(memory_format=torch.channels_last)
    return Rows(images, torch.from_numpy(labels), [hashlib.sha256(f"{seed}/{n}".encode()).hexdigest() for n in range(count)])


class Trainings:
    """Trainings of one made dataset under one root; 5 files of unequal sizes."""

    def __init__(self, root, rows=60, network=PLAIN):
        self.root, self.network, self.count = str(root), network, rows
        storage = open_root(self.root, create=True)
        self.rows = split_rows("train", make_rows(rows, 1), 5) | split_rows("validation", make_rows(30, 2), 1)
        jobs.write_manifest(storage, {key: len(part.hashes) for key, part in self.rows.items()}, CLASSES)

    def job(self, name, ranks, **settings):
        options = {"epochs": 2, "batch": 8, "checkpoint_steps": 1, "lr": 0.01, "warmup_share": 0.1} | settings
        return jobs.make_job(self.root, name, self.network, CLASSES, SIDE, 1, ranks, **options)

    def train(self, name, ranks, dies_after=None, **settings):
        """Trains on `ranks` threads; with `dies_after`, all end after that many checkpoints. Returns the loops."""
        job, meeting = self.job(name, ranks, **settings), Meeting(ranks)
        loops = [NotedLoop(job, ThreadGroup(rank, ranks, torch.device("cpu"), meeting), MemoryFeed(self.rows))
                 for rank in range(ranks)]
        loops[0].noted = []
        if dies_after is not None:
            loops[0].checkpoints = DyingCheckpoints(loops[0].checkpoints, dies_after)
        errors = []

        def run(loop):
            try:
                loop.run()
            except BaseException as error:
                errors.append(error)
                meeting.barrier.abort()

        threads = [threading.Thread(target=run, args=(loop,)) for loop in loops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        real = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
        if dies_after is None and real:
            raise real[0]
        if dies_after is not None:
            assert [type(e) for e in real] == [Died], real
        return loops

    def result(self, name, ranks=1, **settings):
        """(weights by name, facts) of a finished training."""
        from safetensors.torch import load

        job = self.job(name, ranks, **settings)
        data, facts = Checkpoints(open_root(self.root), job.folder, job.digest()).read_final()
        return load(data), facts


class DyingCheckpoints:
    """Ends its process just after checkpoint number `saves`."""

    def __init__(self, checkpoints, saves):
        self.checkpoints, self.left = checkpoints, saves

    def __getattr__(self, name):
        return getattr(self.checkpoints, name)

    def save(self, *arguments):
        digest = self.checkpoints.save(*arguments)
        self.left -= 1
        if not self.left:
            raise Died
        return digest


@pytest.fixture
def one_thread():
    """Torch with one thread for as long as the test takes: several wait for each other longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
