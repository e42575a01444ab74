"""Requests share batches of one version and one shape, on lanes side by side; one that fails harms no other."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from contract.errors import VersionFailed
from inference.batching import Batcher
from inference.cores import Cores
from inference.telemetry import Metrics


class Doubler:
    """A network that doubles, and remembers its batches."""

    def __init__(self, broken: bool = False) -> None:
        self.batches, self.broken, self.go = [], broken, threading.Event()
        self.go.set()

    def stack(self, rows):
        return np.stack(rows)

    def probabilities(self, batch):
        self.go.wait(10)
        self.batches.append(len(batch))
        if self.broken:
            raise RuntimeError("broken")
        return batch * 2


def run(work, max_batch: int = 4, max_delay: float = 0.02, **lanes):
    async def main():
        batcher = Batcher(max_batch, max_delay, Metrics(), **lanes)
        batcher.start()
        try:
            return await asyncio.wait_for(work(batcher), 10)
        finally:
            await batcher.close()

    return asyncio.run(main())


def test_requests_share_batches_and_each_gets_its_own_row():
    network = Doubler()
    rows = run(lambda b: asyncio.gather(*(b.submit(network, np.array([n])) for n in range(10))))
    assert [int(row[0]) for row in rows] == [2 * n for n in range(10)]
    assert network.batches == [4, 4, 2]


def test_a_batch_waits_for_those_that_are_being_prepared_and_for_nobody_else():
    """The longest delay is an hour here: whoever waits for nothing would be seen."""
    network = Doubler()

    async def work(batcher):
        await batcher.submit(network, np.ones(1))  # nobody is coming
        with batcher.announce():
            first = asyncio.ensure_future(batcher.submit(network, np.ones(1)))
            await asyncio.sleep(0.1)
            assert network.batches == [1]
        await asyncio.gather(first, batcher.submit(network, np.ones(1)))
        with pytest.raises(ValueError), batcher.announce():
            alone = asyncio.ensure_future(batcher.submit(network, np.ones(1)))
            await asyncio.sleep(0.1)
            raise ValueError("this one was no picture")
        await alone

    run(work, max_delay=3600)
    assert network.batches == [1, 2, 1]


def test_a_batch_is_of_one_version_and_one_shape():
    old, new = Doubler(), Doubler()

    def work(batcher):
        items = [(old, 1), (new, 1), (old, 2), (old, 1), (new, 1)]
        return asyncio.gather(*(batcher.submit(network, np.ones(size)) for network, size in items))

    rows = run(work, max_batch=8)
    assert [len(row) for row in rows] == [1, 1, 2, 1, 1] and (old.batches, new.batches) == ([2, 1], [2])


def test_batches_run_side_by_side_and_a_lone_one_is_told_that_it_is_alone():
    network, shares = Doubler(), []
    network.go.clear()

    async def work(batcher):
        asked = [asyncio.ensure_future(batcher.submit(network, np.array([n]))) for n in range(10)]
        while len(shares) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert shares == [False, False]  # and the last two pictures wait for a lane
        network.go.set()
        rows = await asyncio.gather(*asked)
        return [int(row[0]) for row in rows] + [int((await batcher.submit(network, np.array([10])))[0])]

    assert run(work, lanes=2, set_share=shares.append) == [2 * n for n in range(11)]
    assert sorted(network.batches) == [1, 2, 4, 4] and len(shares) == 4 and shares[-1]


def test_a_lane_computes_on_its_part_of_the_cores():
    cores, found = Cores(lanes=2), []

    def lane(alone: bool) -> None:
        cores.set_share(alone)
        found.append(torch.get_num_threads())

    for alone in (True, False):
        thread = threading.Thread(target=lane, args=(alone,))
        thread.start()
        thread.join()
    assert found == [cores.cores, cores.cores // cores.lanes] and torch.get_num_threads() == cores.cores
    assert cores.start_decoders().submit(torch.get_num_threads).result() == 1 and Cores(lanes=99).lanes == cores.cores


def test_a_batch_that_fails_fails_its_requests_alone():
    async def work(batcher):
        with pytest.raises(RuntimeError, match="broken"):
            await batcher.submit(Doubler(broken=True), np.ones(1))
        return await batcher.submit(Doubler(), np.ones(1))

    assert run(work)[0] == 2


def test_a_request_that_gave_up_is_not_computed_and_close_answers_the_rest():
    network = Doubler()
    network.go.clear()

    async def work(batcher):
        first = asyncio.ensure_future(batcher.submit(network, np.ones(1)))
        await asyncio.sleep(0.1)
        given_up = asyncio.ensure_future(batcher.submit(network, np.ones(1)))
        waits = asyncio.ensure_future(batcher.submit(network, np.ones(1)))
        await asyncio.sleep(0.01)
        given_up.cancel()
        network.go.set()
        await batcher.close()
        return await asyncio.gather(first, waits)

    assert len(run(work)) == 2 and network.batches == [1, 1]


def test_nobody_waits_longer_than_the_delay():
    """Somebody else is being prepared all the while, for whom the batch would wait."""
    async def work(batcher):
        began = asyncio.get_running_loop().time()
        with batcher.announce():
            await batcher.submit(Doubler(), np.ones(1))
        return asyncio.get_running_loop().time() - began

    assert 0.05 <= run(work, max_batch=64, max_delay=0.05) < 2


def test_a_network_that_answers_too_few_images_fails_them_all():
    class Short(Doubler):
        def probabilities(self, batch):
            return super().probabilities(batch)[:1]

    network = Short()
    found = run(lambda b: asyncio.gather(*(b.submit(network, np.array([n])) for n in range(3)), return_exceptions=True))
    assert network.batches == [3] and [type(error) for error in found] == [VersionFailed] * 3
