"""Who is mixed with whom follows from seed, epoch and place; what comes out is what the papers say, pixel by pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from training.feed.mixing import GROUP, Mix, Mixer, find_group, find_rectangle, mix_pictures


@given(rows=st.integers(1, 60), group=st.integers(2, 8), cuts=st.lists(st.integers(0, 60), max_size=5), epoch=st.integers(0, 3))
def test_a_row_is_mixed_the_same_way_however_the_rows_are_divided(rows, group, cuts, epoch):
    mixer = Mixer(0.2, 1.0, 3, rows, group)
    whole = mixer.draw(epoch, range(rows))
    ends = sorted({0, rows, *(min(cut * group, rows) for cut in cuts)})
    for low, high in zip(ends, ends[1:], strict=False):
        part = mixer.draw(epoch, range(low, high))
        assert (part.partner + low).tolist() == whole.partner[low:high].tolist()
        for name in ("kept", "cut", "center"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[low:high])


@given(rows=st.integers(1, 60), group=st.integers(2, 8), epoch=st.integers(0, 5))
def test_a_partner_is_another_row_of_the_group_and_everyone_is_one_once(rows, group, epoch):
    mix = Mixer(0.4, 0.0, 1, rows, group).draw(epoch, range(rows))
    assert sorted(mix.partner) == list(range(rows))
    assert all(n // group == p // group for n, p in enumerate(mix.partner))
    alone = {rows - 1} if rows % group == 1 else set()
    assert {n for n, p in enumerate(mix.partner) if n == p} == alone and all(mix.kept[n] == 1 for n in alone)


def test_epochs_and_seeds_mix_differently_and_every_neighbour_is_a_partner():
    pairs = {(n, int(p)) for epoch in range(60) for n, p in enumerate(Mixer(1.0, 0.0, 1, 8, 8).draw(epoch, range(8)).partner)}
    assert pairs == {(n, p) for n in range(8) for p in range(8) if n != p}
    one, other = (Mixer(1.0, 0.0, seed, 8, 8).draw(0, range(8)).kept for seed in (1, 2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_what_a_row_keeps_is_beta_distributed(alpha):
    kept = Mixer(alpha, 0.0, 1, 4000, 8).draw(0, range(4000)).kept
    assert stats.kstest(kept, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_with_both_about_half_of_the_groups_are_cut_and_alone_all_or_none():
    both = Mixer(0.2, 1.0, 1, 8 * 400, 8).draw(0, range(8 * 400)).cut.reshape(-1, 8)
    assert (both == both[:, :1]).all() and 150 < both[:, 0].sum() < 250
    assert Mixer(0.0, 1.0, 1, 16, 8).draw(0, range(16)).cut.all()
    assert not Mixer(0.2, 0.0, 1, 16, 8).draw(0, range(16)).cut.any()


def test_nothing_is_mixed_by_default_and_rows_need_not_stay_together():
    assert Mixer(0.0, 0.0, 1, 16, 1).draw(0, range(16)) is None and Mixer(0.2, 0.0, 1, 16, 8).draw(0, []) is None
    assert (find_group(0, 0, 32), find_group(0.2, 0, 32), find_group(0, 1, 4)) == (1, GROUP, 4)


def test_half_a_group_is_refused():
    with pytest.raises(ValueError, match="whole groups of 8"):
        Mixer(0.2, 0.0, 1, 16, 8).draw(0, range(4))


def test_pictures_are_added_and_cut_pixel_by_pixel():
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(6, 3, 9, 12)).astype(np.float32))
    mix = Mix(np.array([1, 2, 0, 4, 5, 3]), rng.random(6), np.array([False, True] * 3), rng.random((6, 2)))
    mixed, own = mix_pictures(x, mix)
    for n in range(6):
        top, bottom, left, right = find_rectangle(mix.kept[n], mix.center[n], 9, 12)
        for i in range(9):
            for j in range(12):
                inside = top <= i < bottom and left <= j < right
                part = (not inside) if mix.cut[n] else mix.kept[n]
                expected = part * x[n, :, i, j] + (1 - part) * x[mix.partner[n], :, i, j]
                assert torch.allclose(mixed[n, :, i, j], expected.float(), atol=1e-6)
        area = (bottom - top) * (right - left)
        assert own[n] == pytest.approx(1 - area / 108 if mix.cut[n] else mix.kept[n])


def test_rectangles_are_torchvisions(monkeypatch):
    """CutMix of torchvision v2, its draws replaced by ours."""
    from torchvision.transforms import v2

    rng = np.random.default_rng(2)
    for kept, (down, across) in zip(rng.random(50), rng.random((50, 2)), strict=True):
        cutmix = v2.CutMix(num_classes=3)
        monkeypatch.setattr(cutmix, "_dist", type("Dist", (), {"sample": staticmethod(lambda *_, k=kept: torch.tensor(k))}))
        draws = iter([int(across * 40), int(down * 24)])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_, d=draws, **__: torch.tensor([next(d)]))
            found = cutmix.make_params([torch.zeros(2, 3, 24, 40)])
        left, top, right, bottom = (int(n) for n in found["box"])
        assert find_rectangle(kept, np.array([down, across]), 24, 40) == (top, bottom, left, right)
        own = 1 - (bottom - top) * (right - left) / (24 * 40)
        assert found["lam_adjusted"] == pytest.approx(own)
