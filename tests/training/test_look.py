"""What a network gets to see: values that cannot belong to pixels of 0 to 1 are refused, transform_input is folded in."""

import pytest
import torch

from contract.documents.card import Preprocess
from contract.errors import UsageError
from inference.model.preprocess import normalise
from training.look import choose_preprocess, decide_transform_input, fold_transform_input


@pytest.mark.parametrize(("options", "said"), [
    ({"std": "0,0,0"}, "above 0 .*got 0,0,0. Pixels are divided by it"), ({"std": "0.5,-0.5,0.5"}, "above 0"),
    ({"mean": "123.68,116.78,103.94"}, "These belong to pixels of 0 to 255: give 0.48502,0.457961,0.407608"),
    ({"std": "58.395,57.12,57.375"}, "give 0.229,0.224,0.225"), ({"mean": "-1,0,0"}, "0 to 1 each"),
    ({"mean": "nan,0,0"}, "expected three numbers"), ({"std": "inf,1,1"}, "expected three numbers"),
    ({"mean": "0.5,0.5"}, "expected three numbers"), ({"std": "a,b,c"}, "expected three numbers")])
def test_values_that_are_none_of_pixels_of_0_to_1(options, said):
    with pytest.raises(UsageError, match=said):
        choose_preprocess("tests.training.tiny:build", **options)


def test_pixels_that_a_network_wants_as_0_to_255_can_be_said():
    assert choose_preprocess("resnet18", mean="0,0,0", std="0.00392157,0.00392157,0.00392157").std[0] > 0


@pytest.mark.parametrize("p", [Preprocess(), Preprocess(mean=[0.2, 0.9, 0.4], std=[1.0, 0.1, 0.3])])
def test_transform_input_is_folded_into_mean_and_standard_deviation(p):
    from torchvision import models

    net = models.GoogLeNet(num_classes=2, aux_logits=False, transform_input=True, init_weights=False)
    pixels = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    expected = net._transform_input(normalise(pixels, p))
    assert torch.allclose(normalise(pixels, fold_transform_input(p)), expected, atol=1e-5)


def test_on_torchvisions_own_values_it_is_a_half_and_a_half():
    found = choose_preprocess("googlenet", transform_input=True)
    assert found.std == found.mean == [0.5, 0.5, 0.5]


def test_only_a_person_can_know_whether_a_file_was_made_with_it():
    with pytest.raises(UsageError, match="expected --transform-input or --no-transform-input, got neither"):
        decide_transform_input("googlenet", None, None)
    with pytest.raises(UsageError, match="got resnet18, which has no such thing"):
        decide_transform_input("resnet18", True, None)
    assert decide_transform_input("inception_v3", None, "IMAGENET1K_V1") and not decide_transform_input("resnet18", None, None)
    assert not decide_transform_input("inception_v3", False, "IMAGENET1K_V1")


def test_the_preprocessing_of_weights_by_name_is_theirs_without_a_download():
    first, second = (choose_preprocess("resnet50", weights_name=name) for name in ("IMAGENET1K_V1", "IMAGENET1K_V2"))
    assert (first.resize, second.resize) == (256, 232)
    inception = choose_preprocess("inception_v3")
    assert (inception.resize, inception.crop) == (342, 299)
    assert choose_preprocess("vit_b_16", weights_name="IMAGENET1K_SWAG_E2E_V1").crop == 384
    mine = choose_preprocess("inception_v3", resize=300, crop=280, interpolation="bicubic")
    assert (mine.resize, mine.crop, mine.interpolation) == (300, 280, "bicubic")
    with pytest.raises(UsageError, match="torchvision has for resnet50: IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"):
        choose_preprocess("resnet50", weights_name="V7")
