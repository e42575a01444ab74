"""Each torchvision network's weights as they are handed out give the network's own answers, and its own accuracy."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from contract.errors import DONE, USAGE
from tests.training.torchvision_files import FAMILIES, handed_out, make
from training import publish

CLASSES = ["a", "b", "c"]
FIRST_TIER = {"googlenet": 64, "densenet121": 64, "inception_v3": 80}  # with the side of small pictures, which cost little


def picture(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((310, 280), Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def bring(folder, name, *more):
    """Publishes the network of the file with torchvision's own preprocessing; returns how it ended."""
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return publish.main(["--root", str(folder / "root"), "--model", "m", "--network", name, "--weights", str(folder / "w.pth"),
                         "--classes", str(folder / "classes.txt"), "--json", *more])


def equal_answers(name, folder, capsys, asked_predictors, size=None):
    net = make(name, len(CLASSES))
    torch.save(handed_out(name, net), folder / "w.pth")
    look = {"resize_size": size, "crop_size": size} if size else {}
    transform = models.get_model_weights(name).DEFAULT.transforms(**look)
    pictures = [picture(seed) for seed in range(2)]
    with torch.inference_mode():
        expected = net(torch.stack([transform(image) for image in pictures]))
    for image, label in zip(pictures, expected.argmax(1).tolist(), strict=True):
        (folder / "check" / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        (folder / "check" / CLASSES[label] / f"{id(image)}.png").write_bytes(png(image))
    asked = (*(("--transform-input",) if "transform_input" in FAMILIES[name] else ()), *(("--size", str(size)) if size else ()))
    assert bring(folder, name, *asked, "--check", str(folder / "check"), "--expect", "1") == DONE, capsys.readouterr().err
    assert json.loads(capsys.readouterr().out)["check"]["accuracy"] == 1.0
    (predictor,) = asked_predictors
    with torch.inference_mode():
        ours = predictor.network(torch.stack([predictor.prepare(png(image)) for image in pictures]))
    bound = 1e-5 * max(1.0, float(expected.abs().max()))
    assert float((ours - expected).abs().max()) <= bound


@pytest.mark.parametrize("name", FIRST_TIER)
def test_weights_as_handed_out_give_the_networks_own_answers(name, tmp_path, capsys, trial_in_process):
    equal_answers(name, tmp_path, capsys, trial_in_process, FIRST_TIER[name])


@pytest.mark.slow("networks")
@pytest.mark.parametrize("name", FAMILIES)
def test_weights_as_handed_out_give_the_networks_own_answers_in_every_family(name, tmp_path, capsys, trial_in_process):
    equal_answers(name, tmp_path, capsys, trial_in_process)


def test_every_family_is_there():
    """A network that is neither a member of these families nor a larger one of its kind is a family that nobody tried."""
    kinds = ("alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inception", "maxvit", "mnasnet", "mobilenet",
             "regnet", "resnet", "resnext", "wide_resnet", "shufflenet", "squeezenet", "swin", "vgg", "vit_")
    named = models.list_models(module=models)
    assert [name for name in named if not name.startswith(kinds)] == []
    assert [kind for kind in kinds if not any(name.startswith(kind) for name in FAMILIES)] == []


def test_without_the_option_googlenet_is_refused(tmp_path, capsys):
    torch.save(handed_out("googlenet", make("googlenet", len(CLASSES))), tmp_path / "w.pth")
    assert bring(tmp_path, "googlenet") == USAGE
    assert "expected --transform-input or --no-transform-input" in capsys.readouterr().err
    assert not (tmp_path / "root").exists()
