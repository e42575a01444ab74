"""Own networks: checked before anything goes live, then served as they are."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load

from contract.errors import DONE, ERROR, GATE_SAYS_NO, USAGE, TrialFailed
from contract.registry import Registry
from contract.sections.pictures import choose_decoder
from contract.storage import open_storage
from inference.model import network, own_decoder
from inference.model.predictor import Predictor
from inference.model.preprocess import to_tensor
from tests.training import odd_networks
from tests.training.loop_root import digits, png
from training import ask_first, publish

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


def test_a_network_brought_from_outside_is_asked_in_a_real_service_is_live_and_answers_as_it_did(brought, capsys):
    net, folder = brought
    assert run(folder, "--mean", "0.5,0.5,0.5", "--std", "1,1,1") == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["trial"]["service"] == "python -m inference.serve" and document["trial"]["largest_difference"] < 1e-4
    registry = Registry(open_storage(str(folder / "root")), "mine")
    assert (document["version"], registry.live()) == ("1", "1")
    predictor = Predictor(registry.card("1"), registry.weights("1"))
    x = predictor.prepare(png(digits()[0][0]))
    assert predictor.probabilities(x[None]).argmax() == net(x[None]).argmax()


def test_a_decoder_in_use_here_is_named_and_hashed_in_the_card(brought, capsys):
    _, folder = brought
    name = "tests.inference.own_formats:decode"
    try:
        assert run(folder, "--set", f"pictures.decoder={name}") == DONE
    finally:
        choose_decoder(None)
    said = capsys.readouterr()
    look = Registry(open_storage(str(folder / "root")), "mine").card("1").preprocess
    assert look.decoders == [own_decoder.load(name).name] and own_decoder.load(name).name in said.err
    assert look.hash() != look.model_copy(update={"decoders": []}).hash()


def check_folder(folder, net):
    """Ten pictures sorted by what the network says: it is right on all of them."""
    for n, pixels in enumerate(digits()[0][:10]):
        data = png(pixels)
        said = net(to_tensor(data, publish.choose_preprocess(TINY, size=32))[None]).argmax().item()
        target = folder / "check" / str(said)
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{n}.png").write_bytes(data)
    return folder / "check"


@pytest.mark.usefixtures("trial_in_process")
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
    assert not (folder / "root").exists()


def test_weights_that_do_not_fit_the_class_list_name_the_tensor(brought, capsys):
    _, folder = brought
    (folder / "classes.txt").write_text('["only", "two"]')
    assert run(folder) == ERROR
    assert "'9.weight' of shape [2, 64], got [10, 64]" in capsys.readouterr().err
    assert not (folder / "root").exists()


@pytest.mark.parametrize(("text", "said"), [("a\nb\na\n", "'a' twice"), ("", "at least one class"), ("[1,", "classes.txt"),
                                            ("cat\n", "expected two classes or more")])
def test_class_lists_that_cannot_be_used(brought, capsys, text, said):
    _, folder = brought
    (folder / "classes.txt").write_text(text)
    assert run(folder) == USAGE
    assert said in capsys.readouterr().err


# What was live once, and answered 503 after a restart.
SILENT = {
    "a standard deviation of 0": (("--std", "0,0,0"), "above 0"),
    "pictures too small": (("--network", "densenet121", "--size", "8"),
                           "does not answer a picture of 8 x 8 pixels: RuntimeError"),
    "pictures of another size than a transformer is made for": (
        ("--network", "tests.training.odd_networks:needs_64", "--size", "32"), "32 x 32 pixels: AssertionError: made for 64"),
    "one output": (("--network", "tests.training.odd_networks:one_output"), "expected 10 probabilities for 1 images"),
    "code that ends": (("--network", "tests.training.odd_networks:ends"), "ended with SystemExit"),
    "code that raises": (("--network", "tests.training.odd_networks:raises"), "its code raised: KeyError"),
    "answers that are no numbers": (("--network", "tests.training.odd_networks:not_finite"), "expected finite probabilities"),
    "more classes than outputs": ((), "Check --network, and that --classes has as many lines"),
    "weights that are no numbers": ((), "holds NaN or infinity"),
}


@pytest.mark.parametrize("name", SILENT)
def test_what_does_not_answer_is_refused_and_nothing_is_written(tmp_path, capsys, name, trial_in_process):
    options, said = SILENT[name]
    builder = options[1] if "--network" in options else TINY
    state = odd_networks.weights_of(builder)
    if name == "weights that are no numbers":
        state["9.bias"][3] = float("nan")
    torch.save(state, tmp_path / "w.pt")
    (tmp_path / "classes.txt").write_text("\n".join(map(str, range(11 if name == "more classes than outputs" else 10))))
    assert run(tmp_path, *options) in (ERROR, USAGE)
    captured = capsys.readouterr()
    assert said in captured.err and json.loads(captured.out)["error"]["message"]
    assert not (tmp_path / "root").exists() and trial_in_process == []


def test_what_does_not_answer_in_its_service_is_not_published(brought, monkeypatch):
    _, folder = brought

    def refuse(*_):
        raise TrialFailed("mine version 1, tried in a service process: 503")

    monkeypatch.setattr(ask_first, "ask_service", refuse)
    assert run(folder) == ERROR and not (folder / "root").exists()


@pytest.mark.usefixtures("trial_in_process")
@pytest.mark.parametrize("form", ["float16", "bfloat16", "float64", "of Lightning", "without counters", "of two wrappers"])
def test_forms_of_weights_are_the_same_network(tmp_path, capsys, form):
    torch.manual_seed(1)
    net = network.build(TINY, 10).eval()
    state = dict(net.state_dict())
    if form in ("float16", "bfloat16", "float64"):
        state = {key: value.to(getattr(torch, form)) if value.is_floating_point() else value for key, value in state.items()}
    saved = {"of Lightning": {"state_dict": {f"model.{k}": v for k, v in state.items()}, "epoch": 3},
             "without counters": {k: v for k, v in state.items() if "num_batches" not in k},
             "of two wrappers": {"model": {f"_orig_mod.module.{k}": v for k, v in state.items()}}}.get(form, state)
    torch.save(saved, tmp_path / "w.pt")
    (tmp_path / "classes.txt").write_text("\n".join(map(str, range(10))))
    assert run(tmp_path) == DONE, capsys.readouterr().err
    registry = Registry(open_storage(str(tmp_path / "root")), "mine")
    served = load(registry.weights("1"))
    expected = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    assert served.keys() == expected.keys() and all(torch.equal(served[k], expected[k]) for k in expected)


def fake_weights(monkeypatch, folder, name="squeezenet1_1", wrong_hash=False):
    """torchvision's weights of the network as if they were handed out in a file of this folder."""
    from torchvision import models

    state = network.build(name, 1000).state_dict()
    torch.save(state, folder / "made.pth")
    digest = "0" * 8 if wrong_hash else hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    file = folder / f"{name}-{digest}.pth"
    (folder / "made.pth").rename(file)
    weights = models.get_model_weights(name).DEFAULT
    monkeypatch.setenv("TORCH_HOME", str(folder / "cache"))
    monkeypatch.setattr(type(weights), "url", property(lambda self: file.as_uri()))
    return file, weights, state


@pytest.mark.usefixtures("trial_in_process")
def test_a_stock_network_is_published_by_name_in_one_step(tmp_path, capsys, monkeypatch):
    file, weights, state = fake_weights(monkeypatch, tmp_path)
    arguments = ["--root", str(tmp_path / "root"), "--model", "mine", "--network", "squeezenet1_1", "--size", "64", "--json"]
    assert publish.main([*arguments, "--weights-name", "DEFAULT"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert (document["weights_name"], document["classes"][:2]) == ("IMAGENET1K_V1", ["tench", "goldfish"])
    registry = Registry(open_storage(str(tmp_path / "root")), "mine")
    assert "torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1" in registry.card("1").made_from
    assert torch.equal(load(registry.weights("1"))["classifier.1.weight"], state["classifier.1.weight"])
    # The same from a file, for a machine without a network; its name alone tells which weights it holds.
    for more in (("--weights-name", "IMAGENET1K_V1"), ()):
        assert publish.main([*arguments, "--weights", str(file), *more]) == DONE
        again = json.loads(capsys.readouterr().out)
        assert (again["classes"], again["weights_name"]) == (document["classes"], "IMAGENET1K_V1")


def test_a_file_with_another_hash_and_one_that_cannot_be_fetched_are_errors(tmp_path, capsys, monkeypatch):
    file, _, _ = fake_weights(monkeypatch, tmp_path, wrong_hash=True)
    arguments = ["--root", str(tmp_path / "root"), "--model", "mine", "--network", "squeezenet1_1", "--weights-name", "DEFAULT"]
    assert publish.main(arguments) == ERROR
    assert "invalid hash value" in capsys.readouterr().err
    file.unlink()
    assert publish.main(arguments) == USAGE
    assert "cannot be fetched" in capsys.readouterr().err and not (tmp_path / "root").exists()


def test_without_weights_or_classes_the_error_says_what_to_give(tmp_path, capsys):
    arguments = ["--root", str(tmp_path / "root"), "--model", "mine", "--network", "resnet18"]
    assert publish.main(arguments) == USAGE
    assert "expected --weights FILE, or --weights-name" in capsys.readouterr().err
    torch.save({}, tmp_path / "w.pt")
    assert publish.main([*arguments, "--weights", str(tmp_path / "w.pt")]) == USAGE
    assert "expected --classes FILE" in capsys.readouterr().err


def test_torchvisions_own_transform_is_the_default_and_options_lie_over_it():
    own = publish.choose_preprocess("efficientnet_b0")
    assert (own.resize, own.crop, own.interpolation) == (256, 224, "bicubic")
    mine = publish.choose_preprocess("resnet18", size=32, mean="0,0,0", grey=True)
    assert (mine.resize, mine.crop, mine.mean, mine.grey) == (32, 32, [0.0, 0.0, 0.0], True)
