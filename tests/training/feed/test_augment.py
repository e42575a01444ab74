"""What happens to a picture depends on (seed, epoch, hash), and on nothing else; torchvision makes the same of it."""

import math

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


def test_a_row_of_a_large_picture_is_changed_the_same_way_in_any_company():
    """Sums over many pixels are divided among threads."""
    images = torch.randint(0, 256, (3, 3, 224, 200), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    u, strength = augment.draw_uniforms(1, 0, HASHES[:3]), augment.find_strength("light")
    apart = torch.cat([augment.apply(images[n:n + 1], strength, u[n:n + 1]) for n in range(3)])
    assert torch.equal(augment.apply(images, strength, u), apart)


def change_by_torchvision(x, strength, r):
    """One picture, float32 [3, H, W] in [0, 1], by torchvision's functions, padded as far as any corner can move."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional as f

    height, width = x.shape[-2:]
    beyond = math.ceil(max(height, width) * ((0.5 + strength.shift + strength.turn / 2) * (1 + strength.zoom) - 0.5))
    x = f.pad(x, [beyond] * 4, padding_mode="edge")
    x = f.affine(x, angle=math.degrees(strength.turn * r[0]),
                 translate=[width * strength.shift * r[1], height * strength.shift * r[2]],
                 scale=1 / (1 + strength.zoom * r[3]), shear=[0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    x = f.center_crop(x, [height, width])
    if strength.flip and r[6] < 0:
        x = f.horizontal_flip(x)
    return f.adjust_brightness(f.adjust_contrast(x, 1 + strength.contrast * r[4]), 1 + strength.light * r[5])


@pytest.mark.parametrize("name", ["light", "photo"])
@pytest.mark.parametrize("shape", [(32, 32), (17, 40)])
def test_torchvision_makes_the_same_of_each_picture(name, shape):
    hashes, strength = [f"{n:064x}" for n in range(40)], augment.find_strength(name)
    images = torch.randint(0, 256, (40, 3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    u = augment.draw_uniforms(3, 2, hashes)
    expected = torch.stack([change_by_torchvision(picture / 255, strength, r)
                            for picture, r in zip(images, (2 * u - 1).tolist(), strict=True)]) * 255
    assert torch.allclose(augment.apply(images, strength, u), expected, atol=0.05)


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
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    u = augment.draw_uniforms(1, 0, HASHES[:1])
    u[:] = 0.5
    mirrored = u.copy()
    mirrored[:, 6] = 0.25
    straight = augment.apply(images, augment.find_strength("photo"), u)
    assert torch.allclose(straight, images.float(), atol=1)
    # A row that is summed from its other end ends in another last bit of the picture's mean.
    assert torch.allclose(augment.apply(images, augment.find_strength("photo"), mirrored), straight.flip(-1), atol=1e-3)


def test_none_changes_nothing():
    images = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    u = augment.draw_uniforms(1, 0, HASHES[:1])
    assert torch.equal(augment.apply(images, augment.find_strength("none"), u), images.float())


def test_an_unknown_strength_names_those_that_there_are():
    with pytest.raises(UsageError, match="none, crop, light, photo, rand, trivial"):
        augment.find_strength("heavy")
