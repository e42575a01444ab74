"""What happens to a picture depends on (seed, epoch, hash), and on nothing else."""

import pytest
import torch

from contract.errors import UsageError
from training.feed import augment

HASHES = [f"{n:064x}" for n in range(6)]


def changed(rows, seed=1, epoch=0):
    images = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    u = augment.draw_uniforms(seed, epoch, [HASHES[n] for n in rows])
    return augment.apply(images[list(rows)], augment.find_strength("photo"), u)


def test_a_row_is_changed_the_same_way_in_any_company():
    together, apart = changed(range(6)), torch.cat([changed([n]) for n in range(6)])
    assert torch.equal(together, apart)


def test_epochs_and_seeds_change_a_row_differently():
    assert not torch.equal(changed([0]), changed([0], epoch=1))
    assert not torch.equal(changed([0]), changed([0], seed=2))


def test_what_moves_in_from_outside_repeats_the_edge():
    """A picture of one colour stays one: no black corners, at the strongest turn, shift and zoom."""
    images = torch.full((2, 3, 24, 20), 200, dtype=torch.uint8)
    still = augment.draw_uniforms(1, 0, HASHES[:2])
    still[:, 4:6] = 0.5  # neither lighter nor darker
    for corner in (0.0, 1 - 2**-32):
        still[:, :4] = corner
        for name in ("light", "photo"):
            assert torch.allclose(augment.apply(images, augment.find_strength(name), still), images.float(), atol=0.01)


def test_a_mirrored_picture_is_the_picture_mirrored():
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    u = augment.draw_uniforms(1, 0, HASHES[:1])
    u[:] = 0.5
    mirrored = u.copy()
    mirrored[:, 6] = 0.25
    straight = augment.apply(images, augment.find_strength("photo"), u)
    assert torch.allclose(straight, images.float(), atol=1)
    assert torch.equal(augment.apply(images, augment.find_strength("photo"), mirrored), straight.flip(-1))


def test_none_changes_nothing():
    images = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    u = augment.draw_uniforms(1, 0, HASHES[:1])
    assert torch.equal(augment.apply(images, augment.find_strength("none"), u), images.float())


def test_an_unknown_strength_names_those_that_there_are():
    with pytest.raises(UsageError, match="none, crop, light, photo, rand, trivial"):
        augment.find_strength("heavy")
