"""Every row exactly once, the same steps everywhere, for any number of ranks."""

from hypothesis import given
from hypothesis import strategies as st

from training.feed.world import World, shuffle_files, split_range

SOME = {"rows": st.integers(0, 300), "size": st.integers(1, 9), "batch": st.integers(1, 40), "group": st.integers(1, 9)}


@given(**SOME)
def test_every_row_in_exactly_one_step_of_one_rank(rows, size, batch, group):
    worlds = [World(rank, size, rows, batch, min(group, batch)) for rank in range(size)]
    seen = [row for w in worlds for s in range(w.steps) for row in range(*w.step(s))]
    assert sorted(seen) == list(range(rows))


@given(**SOME)
def test_all_ranks_take_the_same_steps_of_at_most_batch_rows(rows, size, batch, group):
    worlds = [World(rank, size, rows, batch, min(group, batch)) for rank in range(size)]
    assert len({w.steps for w in worlds}) == 1
    sizes = [[high - low for low, high in map(w.step, range(w.steps))] for w in worlds]
    assert all(n <= batch for of_rank in sizes for n in of_rank)
    assert [sum(column) for column in zip(*sizes, strict=True)] == [worlds[0].step_rows(s) for s in range(worlds[0].steps)]


@given(sizes=st.lists(st.integers(0, 20), max_size=12), ends=st.tuples(st.integers(0, 240), st.integers(0, 240)))
def test_ranges_are_the_rows_of_files_laid_end_to_end(sizes, ends):
    low, high = sorted(min(end, sum(sizes)) for end in ends)
    rows = [(n, row) for n, size in enumerate(sizes) for row in range(size)]
    found = [(n, row) for n, first, end in split_range(sizes, low, high) for row in range(first, end)]
    assert found == rows[low:high]


@given(files=st.integers(0, 50), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_the_order_of_files_is_a_permutation_by_seed_and_epoch(files, seed, epoch):
    order = shuffle_files(files, seed, epoch)
    assert sorted(order) == list(range(files))
    assert order == shuffle_files(files, seed, epoch)


def test_epochs_differ_in_order():
    assert shuffle_files(20, 1, 0) != shuffle_files(20, 1, 1) != shuffle_files(20, 2, 1)
