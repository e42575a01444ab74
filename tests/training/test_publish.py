"""Own networks: checked before anything goes live, then served as they are."""

import json

import pytest
import torch

from contract.errors import DONE, ERROR, GATE_SAYS_NO, USAGE, NoSuchModel, NotFound
from contract.registry import Registry
from contract.storage import open_storage
from inference.model import network
from inference.model.predictor import Predictor
from inference.model.preprocess import to_tensor
from tests.training.loop_root import digits, png
from training import publish

TINY = "tests.training.tiny:build"


@pytest.fixture
def brought(tmp_path):
    """A network trained elsewhere, its classes, and pictures that it is right and wrong on."""
    torch.manual_seed(1)
    net = network.build(TINY, 10)
    torch.save({"model": {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "w.pt")
    (tmp_path / "classes.txt").write_text("\n".join(str(n) for n in range(10)) + "\n")
    return net.eval(), tmp_path


def run(tmp_path, *more):
    return publish.main(["--root", str(tmp_path / "root"), "--model", "mine", "--network", TINY, "--weights",
                         str(tmp_path / "w.pt"), "--classes", str(tmp_path / "classes.txt"), "--size", "32", "--json", *more])


def test_a_network_brought_from_outside_is_live_and_answers_as_it_did(brought, capsys):
    net, folder = brought
    assert run(folder, "--mean", "0.5,0.5,0.5", "--std", "1,1,1") == DONE
    document = json.loads(capsys.readouterr().out)
    registry = Registry(open_storage(str(folder / "root")), "mine")
    assert (document["version"], registry.live()) == ("1", "1")
    predictor = Predictor(registry.card("1"), registry.weights("1"))
    x = predictor.prepare(png(digits()[0][0]))
    assert predictor.probabilities(x[None]).argmax() == net(x[None]).argmax()


def check_folder(folder, net):
    """Ten pictures sorted by what the network says: it is right on all of them."""
    for n, pixels in enumerate(digits()[0][:10]):
        data = png(pixels)
        said = net(to_tensor(data, publish.preprocess_of(TINY, size=32))[None]).argmax().item()
        target = folder / "check" / str(said)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{n}.png").write_bytes(data)
    return folder / "check"


def test_check_prints_the_accuracy_and_refuses_below_before_anything_goes_live(brought, capsys):
    net, folder = brought
    check = check_folder(folder, net)
    assert run(folder, "--check", str(check), "--expect", "0.95") == DONE
    assert json.loads(capsys.readouterr().out)["check"]["accuracy"] == 1.0
    picture = next(check.glob("*/*"))
    other = check / str((int(picture.parent.name) + 1) % 10)
    other.mkdir(exist_ok=True)
    picture.rename(other / picture.name)
    assert run(folder, "--check", str(check), "--expect", "0.95") == GATE_SAYS_NO
    assert Registry(open_storage(str(folder / "root")), "mine").versions() == ["1"]


def test_a_refused_network_leaves_no_version(brought, capsys):
    _, folder = brought
    (folder / "check" / "3").mkdir(parents=True)
    (folder / "check" / "3" / "a.png").write_bytes(b"no picture")
    assert run(folder, "--check", str(folder / "check"), "--expect", "0.5") == GATE_SAYS_NO
    assert "0 of 1 pictures right" in json.loads(capsys.readouterr().out)["refused"]
    with pytest.raises(NoSuchModel, match="never published"):
        Registry(open_storage(str(folder / "root")), "mine").live()


def test_weights_that_do_not_fit_the_class_list_name_the_tensor(brought, capsys):
    _, folder = brought
    (folder / "classes.txt").write_text('["only", "two"]')
    assert run(folder) == ERROR
    assert "'9.weight' of shape [2, 64], got [10, 64]" in capsys.readouterr().err
    with pytest.raises(NotFound):
        open_storage(str(folder / "root")).read("models/mine/versions/1/card.json")


@pytest.mark.parametrize(("text", "said"), [("a\nb\na\n", "'a' twice"), ("", "at least one class"), ("[1,", "classes.txt")])
def test_class_lists_that_cannot_be_used(brought, capsys, text, said):
    _, folder = brought
    (folder / "classes.txt").write_text(text)
    assert run(folder) == USAGE
    assert said in capsys.readouterr().err


def test_torchvisions_own_transform_is_the_default_and_options_lie_over_it():
    own = publish.preprocess_of("efficientnet_b0")
    assert (own.resize, own.crop, own.interpolation) == (256, 224, "bicubic")
    mine = publish.preprocess_of("resnet18", size=32, mean="0,0,0", grey=True)
    assert (mine.resize, mine.crop, mine.mean, mine.grey) == (32, 32, [0.0, 0.0, 0.0], True)
