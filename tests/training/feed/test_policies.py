"""RandAugment and TrivialAugment: torchvision's own operations, by draws of the row's own."""

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from training.feed import augment, policies
from training.feed.policies import LEVELS, apply_operation, list_rand, list_trivial

NAMES = {"identity": "Identity", "shear_x": "ShearX", "shear_y": "ShearY", "move_x": "TranslateX", "move_y": "TranslateY",
         "turn": "Rotate", "brightness": "Brightness", "color": "Color", "contrast": "Contrast", "sharpness": "Sharpness",
         "posterize": "Posterize", "solarize": "Solarize", "autocontrast": "AutoContrast", "equalize": "Equalize"}
SIZE = 20, 28  # height, width
KINDS = {"rand": (v2.RandAugment(), list_rand(*SIZE)), "trivial": (v2.TrivialAugmentWide(), list_trivial())}


def picture(seed=0, size=SIZE):
    return torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_operations_their_order_and_which_are_signed_are_torchvisions(kind):
    theirs, ours = KINDS[kind]
    expected = [(name, signed) for name, (_, signed) in theirs._AUGMENTATION_SPACE.items()]
    assert [(NAMES[o.name], o.signed) for o in ours] == expected


@pytest.mark.parametrize("level", [0, 1, 9, 14, LEVELS])
@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_gives_what_torchvisions_class_gives(kind, level):
    theirs, ours = KINDS[kind]
    for operation in ours:
        magnitudes = theirs._AUGMENTATION_SPACE[NAMES[operation.name]][0](LEVELS + 1, *SIZE)
        magnitude = 0.0 if magnitudes is None else float(magnitudes[level])
        for negative in (False, True):
            signed = -magnitude if operation.signed and negative else magnitude
            expected = theirs._apply_image_or_video_transform(
                picture(), NAMES[operation.name], signed, InterpolationMode.NEAREST, {torch.Tensor: None})
            found = apply_operation(picture(), operation, level, negative)
            assert found.dtype == torch.uint8
            # Magnitudes are doubles here and floats there: a factor may round one grey level otherwise.
            assert (found.int() - expected.int()).abs().max() <= 1, (operation.name, level, negative)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_changed_the_same_way_in_any_company_and_differently_in_other_epochs(kind):
    images, hashes = torch.stack([picture(n) for n in range(12)]), [f"{n:064x}" for n in range(12)]
    strength = augment.find_strength(kind)

    def changed(rows, epoch=0):
        u = augment.draw_uniforms(1, epoch, [hashes[n] for n in rows])
        return augment.apply(images[list(rows)], strength, u)

    together = changed(range(12))
    assert together.dtype == torch.uint8 and together.shape == images.shape
    assert torch.equal(together, torch.cat([changed([n]) for n in range(12)]))
    assert not torch.equal(together, changed(range(12), epoch=1))
    assert not torch.equal(together, images)


@pytest.mark.parametrize(("change", "drawn"), [(policies.change_rand, {9}), (policies.change_trivial, set(range(LEVELS + 1)))])
def test_all_operations_signs_and_levels_are_drawn_equally_often(monkeypatch, change, drawn):
    seen = []
    monkeypatch.setattr(policies, "apply_operation", lambda p, o, level, negative: seen.append((o.name, level, negative)) or p)
    for u in augment.draw_uniforms(1, 0, [str(n) for n in range(4000)]).tolist():
        change(picture(size=(2, 2)), u)
    assert {level for _, level, _ in seen} == drawn
    shares = {name: sum(n == name for n, _, _ in seen) * 14 / len(seen) for name in NAMES}
    assert all(0.8 < share < 1.2 for share in shares.values()), shares
    assert 0.45 < sum(negative for *_, negative in seen) / len(seen) < 0.55
