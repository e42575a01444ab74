"""Weights from outside: wrappers are opened, payloads never run, what does not fit is named."""

import os
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file

from contract.errors import BadWeights
from inference.model import network
from training.fit import weights_file

TINY = "tests.training.tiny:build"


@pytest.mark.parametrize("wrap", [
    lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()}])
def test_wrappers_and_prefixes_are_understood(tmp_path, wrap):
    state = network.build(TINY, 3).state_dict()
    torch.save(wrap(state), tmp_path / "w.pt")
    found = weights_file.read(tmp_path / "w.pt")
    assert found.keys() == state.keys() and all(torch.equal(found[k], state[k]) for k in state)


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_safetensors_are_read_whatever_their_name(tmp_path, name):
    state = network.build(TINY, 3).state_dict()
    save_file(state, str(tmp_path / name))
    assert weights_file.read(tmp_path / name).keys() == state.keys()


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_file_is_refused_and_its_payload_leaves_no_trace(tmp_path, legacy):
    trace = tmp_path / "trace"
    torch.save({"model": Payload(str(trace))}, tmp_path / "w.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(BadWeights, match="without running code in it"):
        weights_file.read(tmp_path / "w.pt")
    assert not trace.exists()
    torch.load(tmp_path / "w.pt", weights_only=False)
    assert trace.exists()  # so the payload was a real one


def saved_by(way, folder):
    """A file of the kind that torch refuses, and what it holds."""
    if way == "a whole network":
        torch.save(network.build(TINY, 3), folder / "w.pt")
    elif way == "a program":
        torch.jit.script(network.build(TINY, 3)).save(str(folder / "w.pt"))
    elif way == "arguments beside the weights":
        torch.save({"model": {}, "args": Namespace(epochs=3)}, folder / "w.pt")
    else:
        (folder / "w.pt").write_bytes(b"PK\3\4 no archive")


@pytest.mark.parametrize(("way", "said"), [
    ("a whole network", "it holds torch.nn.modules"), ("a program", "it is a TorchScript program"),
    ("arguments beside the weights", "it holds argparse.Namespace, which is no tensor"), ("nonsense", "cannot be read")])
def test_errors_have_no_escape_codes_and_do_not_advise_to_run_the_file(tmp_path, way, said):
    saved_by(way, tmp_path)
    with pytest.raises(BadWeights, match=said) as refused:
        weights_file.read(tmp_path / "w.pt")
    message = str(refused.value)
    assert message.isprintable() and not any(word in message for word in ("weights_only", "safe_globals", "trust", "allowlist"))


def test_tensors_that_are_no_plain_numbers_are_named(tmp_path):
    quantised = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    for odd, said in ((torch.ones(2, 2).to_sparse(), "sparse"), (quantised, "quantised"), (torch.ones(2) * 1j, "complex")):
        with pytest.raises(BadWeights, match=f"'a.weight' is {said}"):
            weights_file.strip_prefixes({"a.weight": odd}, tmp_path)


@pytest.mark.parametrize(("content", "said"), [
    (b"", "cannot be read"), (b"\x00" * 64, "cannot be read"), (b"\x10\0\0\0\0\0\0\0{not json}", "expected safetensors")])
def test_files_that_are_no_weights_are_bad_weights(tmp_path, content, said):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(BadWeights, match=said):
        weights_file.read(tmp_path / "w.pt")


def test_a_checkpoint_with_other_things_in_it_names_them(tmp_path):
    torch.save({"weight": torch.ones(2), "epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(BadWeights, match="'epoch' is int"):
        weights_file.read(tmp_path / "w.pt")


def test_the_first_tensor_that_does_not_fit_is_named():
    expected = network.build(TINY, 3).state_dict()
    state = dict(network.build(TINY, 4).state_dict())
    with pytest.raises(BadWeights, match=r"'9.weight' of shape \[3, 64\], got \[4, 64\]"):
        weights_file.check_fits(state, expected, "w.pt")
    del state["0.weight"]
    with pytest.raises(BadWeights, match="expected a tensor '0.weight'"):
        weights_file.check_fits(state, expected, "w.pt")
    with pytest.raises(BadWeights, match="'9.bias' holds NaN"):
        weights_file.check_finite({"9.bias": torch.tensor([float("nan")])}, "w.pt")
