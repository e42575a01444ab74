"""Parts of an epoch: whatever the ranks before and after, and wherever they died, every row is read once."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.feed.batches import Batch
from training.feed.part import EpochPart, list_places, read_steps

SIZES = {"rows": st.integers(0, 200), "batch": st.integers(1, 20), "group": st.integers(1, 8)}
DEATHS = st.lists(st.tuples(st.integers(1, 7), st.floats(0, 1)), min_size=1, max_size=4)


def read(part, first, end):
    """Places of the rows that all ranks read in steps [first, end)."""
    worlds = [part.make_world(rank) for rank in range(part.ranks)]
    return [place for world in worlds for step in range(first, end) for place in list_places(part.locate(*world.step(step)))]


@given(deaths=DEATHS, last=st.integers(1, 7), **SIZES)
def test_every_row_is_read_once_whoever_goes_on(deaths, last, rows, batch, group):
    group = min(group, batch)
    part, step, seen = EpochPart.whole(rows, deaths[0][0], batch, group), 0, []
    for n, (_, share) in enumerate(deaths):
        steps = part.make_world().steps
        died = step + int((steps - step) * share)
        seen += read(part, step, died)
        counted = part.steps + died
        part, step = EpochPart.parse(part.to_dict()).go_on(died, deaths[n + 1][0] if n + 1 < len(deaths) else last)
        assert part.steps + step == counted  # so the names of checkpoints grow
        assert part.rows == rows - len(seen) or step
    seen += read(part, step, part.make_world().steps)
    assert sorted(seen) == list(range(rows))


@given(deaths=DEATHS, **SIZES)
def test_groups_stay_together_in_a_step_of_one_rank(deaths, rows, batch, group):
    group = min(group, batch)
    part = EpochPart.whole(rows, deaths[0][0], batch, group)
    for ranks, share in deaths:
        part, _ = part.go_on(int(part.make_world().steps * share), ranks)
        for rank in range(part.ranks):
            world = part.make_world(rank)
            for step in range(world.steps):
                places = list_places(part.locate(*world.step(step)))
                assert len(places) <= batch
                numbers = {place // group for place in places}
                assert sorted(places) == [p for n in sorted(numbers) for p in range(n * group, min((n + 1) * group, rows))]


def test_with_the_same_ranks_nothing_is_divided_anew():
    part = EpochPart.whole(100, 3, 8)
    assert part.go_on(2, 3) == (part, 2)


class Numbers:
    """A feed whose rows are named by their number; it notes its reads."""

    def __init__(self):
        self.reads = []

    def batches(self, files, low, sizes, windows=None):
        self.reads.append((low, list(sizes)))
        for size in sizes:
            numbers = torch.arange(low, low + size)
            images = numbers.reshape(-1, 1, 1, 1).to(torch.uint8).expand(-1, 3, 2, 2)
            yield Batch(images, numbers, [str(n) for n in numbers.tolist()])
            low += size


@given(st.lists(st.integers(0, 250), max_size=12, unique=True), st.integers(1, 4), st.randoms(use_true_random=False))
def test_batches_of_steps_have_the_rows_of_their_ranges_in_order(ends, most, random):
    ends = sorted(ends)[:len(ends) // 2 * 2]
    ranges = list(zip(ends[::2], ends[1::2], strict=True))
    steps = []
    while ranges:
        n = random.randint(0, most)
        steps.append(ranges[:n])
        ranges = ranges[n:]
    feed = Numbers()
    for step, batch in zip(steps, read_steps(feed, [], steps), strict=True):
        assert batch.labels.tolist() == list_places(step) and batch.hashes == [str(n) for n in list_places(step)]
        assert batch.images[:, 0, 0, 0].tolist() == batch.labels.tolist()
    assert all(low + sum(sizes) < after for (low, sizes), (after, _) in zip(feed.reads, feed.reads[1:], strict=False))
