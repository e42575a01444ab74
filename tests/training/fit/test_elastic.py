"""Training goes on with another number of ranks: every row once an epoch, and a learning rate that has no jump."""

from collections import Counter

import pytest

from contract.settings import TrainSettings
from tests.training.rank_threads import TINY, Trainings, one_thread
from training.fit.state import lr_at

__all__ = ["one_thread"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("mixup", [0.0, 0.2])
@pytest.mark.parametrize(("ranks", "deaths"), [
    ([2, 3], [1]), ([2, 3], [3]), ([3, 1], [2]), ([1, 4], [5]), ([2, 3, 2], [1, 2]), ([4, 2], [4]), ([1, 2, 3], [2, 1])])
def test_every_row_is_trained_on_once_in_each_epoch(tmp_path, ranks, deaths, mixup):
    trainings, noted = Trainings(tmp_path, rows=75), []
    settings = {"mixup": mixup} if mixup else {}
    for size, dies_after in zip(ranks, [*deaths, None], strict=True):
        noted += trainings.train("elastic", size, dies_after, **settings)[0].noted
    _, facts = trainings.result("elastic", ranks[-1], **settings)
    assert facts["all_ranks"] == ranks and facts["ranks"] == ranks[-1]
    assert [entry["rows"] for entry in facts["history"]] == [75, 75]
    # A checkpoint lies after every step, so no update was lost.
    for epoch in (0, 1):
        counted = Counter(h for at, hashes in noted for h in hashes if at == epoch)
        assert len(counted) == 75 and set(counted.values()) == {1}


def test_the_loss_is_close_to_an_undisturbed_one(tmp_path):
    trainings = Trainings(tmp_path, rows=200)
    settings = {"epochs": 6, "checkpoint_steps": 5}
    losses = {}
    for name, sizes in {"two": [2], "three": [3], "two, then three": [2, 3], "three, then one": [3, 1]}.items():
        for size, dies_after in zip(sizes, [3, None][-len(sizes):], strict=True):
            trainings.train(name, size, dies_after, **settings)
        losses[name] = trainings.result(name, **settings)[1]["history"][-1]["validation"]["loss"]
    undisturbed = losses["two"], losses["three"]
    start = 1.0986  # of answers that know nothing
    assert all(loss < start / 2 for loss in losses.values()), losses
    assert losses["two, then three"] == pytest.approx(sum(undisturbed) / 2, rel=0.3), losses


@pytest.mark.parametrize("saves", [1, 4, 6])
def test_with_the_same_ranks_the_weights_are_those_of_an_undisturbed_run(tmp_path, saves):
    trainings = Trainings(tmp_path)
    trainings.train("whole", 2)
    trainings.train("killed", 2, dies_after=saves)
    trainings.train("killed", 2)
    assert trainings.result("killed")[1]["sha256"] == trainings.result("whole")[1]["sha256"]


def test_a_part_that_began_with_other_ranks_resumes_to_the_same_weights(tmp_path):
    """2 ranks die, 3 go on and die in the same epoch, 3 go on: as if they had not died."""
    trainings = Trainings(tmp_path)
    for name, deaths in (("once", [2]), ("twice", [2, 1])):
        for size, dies_after in zip([2, 3, 3], deaths, strict=False):
            trainings.train(name, size, dies_after, epochs=3)
        trainings.train(name, 3, epochs=3)
    once, twice = (trainings.result(name, epochs=3)[1] for name in ("once", "twice"))
    assert once["sha256"] == twice["sha256"] and once["history"] == twice["history"]


def test_batchnorm_and_averaged_weights_go_on_too(tmp_path):
    trainings, settings = Trainings(tmp_path, network=TINY), {"ema": 0.9, "accumulate": 2}
    trainings.train("elastic", 1, dies_after=2, **settings)
    trainings.train("elastic", 3, **settings)
    assert [entry["rows"] for entry in trainings.result("elastic", **settings)[1]["history"]] == [60, 60]


def test_the_learning_rate_follows_rows_and_has_no_jump():
    settings = TrainSettings(lr=1.0, warmup_share=0.1)
    shares = [0.0]
    while shares[-1] < 1:  # updates of 1%, then of 3%, then of 0.5% of all rows
        shares.append(min(1.0, shares[-1] + (0.01 if shares[-1] < 0.3 else 0.03 if shares[-1] < 0.7 else 0.005)))
    rates = [lr_at(before, after, settings) for before, after in zip(shares, shares[1:], strict=False)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[-1] < 1e-3
    warm = [rate for rate, before in zip(rates, shares, strict=False) if before < 0.1]
    assert warm == sorted(warm) and rates[len(warm):] == sorted(rates[len(warm):], reverse=True)
    steps = [(abs(b - a), y - x) for a, b, x, y in zip(rates[len(warm):], rates[len(warm) + 1:], shares[len(warm):],
                                                      shares[len(warm) + 1:], strict=False)]
    assert all(change <= 1.8 * share + 1e-9 for change, share in steps)  # the cosine's steepest slope is pi / 2 / 0.9
    assert lr_at(0.0, 0.5, TrainSettings(lr=1.0, warmup_share=0.0)) == 1.0
