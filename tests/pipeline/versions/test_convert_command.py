"""`trueup model convert` in real processes: made, compared with its parent, tried in a service, let in by the history."""

import hashlib
import json

import pytest

from contract import layout
from contract.documents.verification import DIFFERS, EQUAL
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO
from pipeline import doctor, model
from pipeline.checks import machine
from pipeline.verifying.history import verify_history
from pipeline.verifying.version import verify_version
from tests.training.digits_by_hand import MODEL, make_root

pytestmark = pytest.mark.slow("convert")  # each starts three processes that load torch


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    return make_root(str(tmp_path_factory.mktemp("convert") / "root"), held_out=500)


def run(registry, capfd, *arguments, code=DONE):
    """The JSON of a command on the root."""
    capfd.readouterr()
    assert model.main([*arguments, "--root", registry.storage.root, "--model", MODEL, "--by", "ana", "--json"]) == code
    return json.loads(capfd.readouterr().out)


def test_a_version_is_converted_compared_let_in_and_promoted(registry, capfd, monkeypatch):
    said = run(registry, capfd, "convert", "1", "--number-format", "float32", "--margin", "0.02")
    version, assessed = said["version"], said["assessed"]
    assert (assessed["verdict"], assessed["overall"]["value"], assessed["overall"]["n"]) == ("pass", 0.0, 500)
    assert assessed["overall"]["bound"] == -0.02
    record = registry.newest()
    assert record.change["kind"] == "format" and record.change["of"] == "1" and record.state.formats == {version: "1"}
    assert set(record.state.cards) == {"1", version} and record.state.live == "1"
    [(key, digest)] = record.change["rests_on"].items()
    kept = registry.storage.read(key)
    assert hashlib.sha256(kept).hexdigest() == digest and json.loads(kept)["trial"]["images"] == 5
    verified = verify_version(registry.storage, MODEL, version, verify_history(registry.storage, MODEL))
    equal = {f["of"] for f in verified if f["state"] == EQUAL}
    assert {key, layout.network(MODEL, version, "openvino"), layout.card(MODEL, version)} <= equal
    registry.storage.put(key, kept + b" ")
    assert [f["of"] for f in verify_version(registry.storage, MODEL, version, verify_history(registry.storage, MODEL))
            if f["state"] == DIFFERS and f["of"].startswith("models/")] == [key]  # the dataset's manifest is made by hand
    run(registry, capfd, "promote", version, "--reason", "faster")
    assert registry.live() == version
    monkeypatch.setattr(machine, "CHECKS", {})
    assert doctor.main(["--root", registry.storage.root, "--json"]) == DONE
    row = next(row for row in json.loads(capfd.readouterr().out)["checks"] if row["check"] == "formats")
    assert row["state"] in ("ok", "slow")
    assert f"{MODEL} version {version} (float32, openvino)" in row["found"] and "in float32" in row["found"]


def test_what_cannot_be_told_apart_from_a_loss_is_not_let_in(registry, capfd):
    before = registry.newest().seq
    said = run(registry, capfd, "convert", "1", "--number-format", "bfloat16", "--margin", "0.001", code=CANNOT_TELL)
    assert said["assessed"]["verdict"] == "cannot tell" and registry.newest().seq == before
    assert registry.storage.exists(layout.card(MODEL, said["version"]))  # it is a version as any other, live nowhere


def test_what_loses_too_much_is_refused_with_exit_code_3(registry, capfd):
    """int8 of a network whose ranges were measured on one black-ish picture loses more than the margin."""
    said = run(registry, capfd, "convert", "1", "--number-format", "int8", "--margin", "0", "--set", "convert.pictures=1",
               code=GATE_SAYS_NO)
    assert said["assessed"]["verdict"] == "fail" and said["version"] not in registry.newest().state.formats


def test_a_version_without_a_dataset_is_converted_only_unassessed(registry, capfd, tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(registry.weights("1"))
    number = registry.claim(by="test")
    registry.write_version(registry.card("1").model_copy(update={"version": number, "dataset": None}), file)
    said = run(registry, capfd, "convert", number, "--number-format", "float32", code=2)
    assert "names no dataset whose held-out pictures both could be asked" in said["error"]["message"]
    made = run(registry, capfd, "convert", number, "--number-format", "float32", "--unassessed")
    assert made["assessed"] is None and made["version"] not in registry.newest().state.formats
