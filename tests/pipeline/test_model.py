"""Changing what is live, by people."""

import json
from pathlib import Path

import pytest

from contract import clock, layout
from contract.documents.card import Preprocess
from contract.registry import Registry
from contract.storage import open_storage
from jobs import evaluate
from pipeline import answering, cycle, gate, model
from tests.pipeline.roots import MODEL, make_root, write_version


@pytest.fixture
def root(tmp_root):
    """Three versions, of which the first is live."""
    make_root(tmp_root, right=120, n=200)
    registry = Registry(open_storage(tmp_root), MODEL)
    for _ in range(2):
        write_version(registry, registry.claim(by="test"), Path(tmp_root))
    return tmp_root


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """Version -> why it does not answer; all others do. tests/pipeline/test_answering.py asks a real service."""
    made = {}
    monkeypatch.setattr(answering, "find_silence", lambda settings, registry, version: made.get(version))
    return made


@pytest.fixture
def trueup(root, capsys):
    """Runs `trueup model …` (or rollback) and returns its document."""

    def run(*arguments, code=0):
        name = ("--model", MODEL) if arguments[0] != "list" else ()
        capsys.readouterr()
        assert model.main([*arguments, "--root", root, *name, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def live(root):
    return Registry(open_storage(root), MODEL).live()


def test_versions_are_promoted_and_rolled_back_step_by_step(trueup, root):
    for version in ("2", "3"):
        trueup("promote", version, "--by", "ana", "--reason", "better")
    back = trueup("rollback", "--by", "ben")
    assert (back["state"]["live"], back["change"]["kind"], back["change"]["by"]) == ("2", "rollback", "ben")
    assert trueup("rollback", "--by", "ben")["state"]["live"] == "1"
    assert "no other version was live before version 1" in trueup("rollback", code=1)["error"]["message"]
    assert trueup("rollback", "--to", "3", "--by", "ben")["state"]["live"] == live(root) == "3"


def test_a_rollback_goes_to_the_newest_version_that_answers(trueup, silent):
    for version in ("2", "3"):
        trueup("promote", version, "--reason", "better")
    silent["2"] = "503: weights are damaged."
    back = trueup("rollback", "--by", "ben")
    assert (back["state"]["live"], back["passed_over"]) == ("1", {"2": "503: weights are damaged."})


def test_where_no_version_answers_the_rollback_says_so_and_changes_nothing(trueup, silent):
    for version in ("2", "3"):
        trueup("promote", version, "--reason", "better")
    before = trueup("history")
    silent |= {"1": "It is broken.", "2": "It is, too."}
    error = trueup("rollback", code=1)["error"]
    assert error["code"] == "TrialFailed" and "no version to go back to answers, so version 3 stays live" in error["message"]
    assert "Version 2: It is, too. Version 1: It is broken." in error["message"]
    assert "Version 2: It is, too." in trueup("rollback", "--to", "2", code=1)["error"]["message"]
    assert trueup("history") == before
    assert trueup("rollback", "--to", "2", "--untried")["state"]["live"] == "2"


def test_a_deleted_version_is_passed_over(trueup, root):
    for version in ("2", "3"):
        trueup("promote", version, "--reason", "better")
    trueup("delete", "2", "--reason", "space")
    assert trueup("rollback")["passed_over"] == {"2": "Its weights were deleted."}
    assert live(root) == "1"


def test_what_does_not_answer_is_not_promoted(trueup, root, silent):
    silent["2"] = "It is broken."
    error = trueup("promote", "2", "--reason", "r", code=1)["error"]
    assert (error["code"], live(root)) == ("TrialFailed", "1") and "version 2 is not made live" in error["message"]
    assert trueup("promote", "2", "--reason", "r", "--untried")["state"]["live"] == "2"
    assert trueup("promote", "7", "--reason", "r", code=1)["error"]["code"] == "NoSuchVersion"


def test_after_a_rollback_and_a_new_promotion_back_is_where_it_came_from(trueup):
    for version in ("2", "3"):
        trueup("promote", version, "--reason", "r")
    trueup("rollback", "--to", "1")
    trueup("promote", "2", "--reason", "r")
    assert trueup("rollback")["state"]["live"] == "1"


def test_a_deleted_version_keeps_its_card_and_is_never_live_again(trueup, root):
    registry, weights = Registry(open_storage(root), MODEL), "models/digits/versions/2/weights.safetensors"
    assert "version 1 is live" in trueup("delete", "1", "--reason", "space", code=2)["error"]["message"]
    record = trueup("delete", "2", "--by", "ana", "--reason", "space")
    assert (record["change"]["kind"], record["state"]["deleted"], live(root)) == ("delete", ["2"], "1")
    assert not registry.storage.exists(weights) and registry.card("2").version == "2"
    assert trueup("delete", "2", "--reason", "again")["seq"] == record["seq"]
    assert "its weights were deleted" in trueup("promote", "2", "--reason", "r", code=1)["error"]["message"]


def test_a_promotion_can_name_what_it_expects(trueup, root):
    assert trueup("promote", "3", "--reason", "r", "--expect", "2", code=1)["error"]["code"] == "PointerMoved"
    assert live(root) == "1"


def test_what_there_is_can_be_looked_at(trueup):
    trueup("promote", "2", "--by", "ana", "--reason", "better")
    assert trueup("list")["models"][0] | {"since": 0} == {"model": MODEL, "live": "2", "versions": 3, "since": 0,
                                                          "aliases": {}}
    assert trueup("show")["card"]["version"] == "2" and trueup("show", "3")["card"]["version"] == "3"
    assert [r["change"]["by"] for r in trueup("history")["history"]] == ["test", "ana"]


def test_a_card_is_text_that_fits_a_terminal(capsys, root):
    registry = Registry(open_storage(root), MODEL)
    epochs = [{"epoch": 1, "loss": 0.75, "accuracy": 0.8, "validation": {"accuracy": 0.9}}]
    card = registry.card("2").model_copy(update={
        "version": "9", "settings": {f"setting_{n}": n for n in range(60)}, "parent": "2", "made_from": "x " * 300,
        "metrics": {"epochs": epochs, "top": {"accuracy": 0.5}},
        "preprocess": Preprocess(levels=[0, 4095], decoders=["my_formats:read@0123456789ab"])})
    registry.storage.put(layout.card(MODEL, "9"), card.to_bytes())
    for version in ("2", "9"):
        assert model.main(["show", version, "--root", root, "--model", MODEL]) == 0
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 80 and f"digits version {version}" in text
    assert "decoders      my_formats:read@0123456789ab\n" in text
    assert "levels        0 (black) to 4095 (white) of grey of 16 bits" in text
    assert "parent        version 2" in text and "    1  0.7500     80.0%       90.0%" in text
    assert "top accuracy\n              0.5000" in text


def test_for_people_it_is_an_aligned_table(capsys, root):
    assert model.main(["history", "--root", root, "--model", MODEL]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.index("reason") == row.index("first")


def test_a_model_that_was_never_published_is_an_error_everywhere(capsys, root):
    for arguments in (["show"], ["history"], ["override", "--gate", "accuracy", "--reason", "r", "--until", "2099-01-01"]):
        assert model.main([*arguments, "--root", root, "--model", "cats", "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "NoSuchModel"


def test_an_override_lets_the_gate_pass_until_its_end(trueup, root, capsys, fake_stages):
    refused = trueup("override", "--gate", "accuracy", "--reason", "r", "--until", "2020-01-01", code=2)
    assert "expected a moment after now" in refused["error"]["message"]
    until = ("--until", "2099-01-01")
    made = trueup("override", "--gate", "accuracy", "--by", "ana", "--reason", "camera is being replaced", *until)
    assert (made["change"]["by"], made["state"]["live"]) == ("ana", "1")
    trueup("override", "--gate", "class_recall", "--by", "ana", "--reason", "r", *until)
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process"]) == 0
    assert gate.main(["--root", root, "--model", MODEL]) == 0
    assert "overridden" in capsys.readouterr().out


def test_an_override_can_be_withdrawn(trueup, root):
    until = ("--until", "2099-01-01")
    for name in ("accuracy", "class_recall"):
        trueup("override", "--gate", name, "--by", "ana", "--reason", "camera is being replaced", *until)
    made = trueup("override", "--gate", "accuracy", "--withdraw", "--by", "ben", "--reason", "it was replaced")
    assert (made["change"]["kind"], made["change"]["by"]) == ("override withdrawn", "ben")
    assert [o["gate"] for o in made["state"]["overrides"]] == ["class_recall"]
    again = trueup("override", "--gate", "accuracy", "--withdraw", "--reason", "r", code=2)
    assert "no override of gate accuracy holds now" in again["error"]["message"]
    for options in ((), ("--withdraw", *until)):
        refused = trueup("override", "--gate", "accuracy", "--reason", "r", *options, code=2)
        assert "expected --until T, or --withdraw" in refused["error"]["message"]
    assert evaluate.main(["--root", root, "--model", MODEL]) == 0
    assert gate.main(["--root", root, "--model", MODEL]) == 3


def test_a_gate_that_is_none_cannot_be_overridden(root):
    options = ["--gate", "luck", "--reason", "r", "--until", "2099-01-01"]
    assert model.main(["override", "--root", root, "--model", MODEL, *options]) == 2


def test_a_candidate_is_approved_by_a_person(trueup, root, fake_stages):
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process", "--set", "cycle.approval=manual"]) == 0
    made = trueup("approve", "4", "--by", "ana")
    assert (made["state"]["live"], made["change"]["by"], made["change"]["run"]) == ("4", "ana", "digits/1")
    assert made["change"]["reason"].startswith("Approved. On 167 held-out rows")


def test_a_candidate_that_no_longer_answers_is_not_approved(trueup, root, fake_stages, silent):
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process", "--set", "cycle.approval=manual"]) == 0
    silent["4"] = "It is broken."
    assert trueup("approve", "4", code=1)["error"]["code"] == "TrialFailed" and live(root) == "1"


def test_only_what_awaits_approval_is_approved(trueup, root, fake_stages):
    assert "awaits no approval (no finished run made it)" in trueup("approve", "2", code=2)["error"]["message"]
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process"]) == 0
    assert "its run ended as 'published'" in trueup("approve", "4", code=2)["error"]["message"]


def test_an_approval_comes_too_late_when_the_pointer_moved(trueup, root, fake_stages):
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process", "--set", "cycle.approval=manual"]) == 0
    trueup("promote", "2", "--reason", "by hand")
    assert trueup("approve", "4", code=1)["error"]["code"] == "PointerMoved"


def test_the_time_of_an_override_is_that_of_the_clock(trueup, monkeypatch, tmp_path):
    (tmp_path / "offset").write_text(str(30 * 86400))
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "offset"))
    soon = clock.day_of(clock.now())
    assert trueup("override", "--gate", "accuracy", "--reason", "r", "--until", soon)["change"]["until"].startswith(soon)


def test_a_version_has_a_name_until_it_is_taken_away(trueup):
    made = trueup("alias", "shadow", "3", "--by", "ana", "--reason", "to compare")
    assert made["state"]["aliases"] == {"shadow": "3"} and made["state"]["live"] == "1"
    assert made["change"] == {"kind": "alias", "alias": "shadow", "version": "3", "by": "ana", "reason": "to compare"}
    assert trueup("alias", "shadow", "3")["changed"] is False
    assert trueup("alias", "before-the-move", "1")["state"]["aliases"] == {"shadow": "3", "before-the-move": "1"}
    assert trueup("alias", "shadow", "--remove", "--by", "ben")["state"]["aliases"] == {"before-the-move": "1"}


@pytest.mark.parametrize(("arguments", "code", "said"), [
    (["live", "2"], 2, "live is no alias"), (["2", "3"], 2, "begins with a letter"), (["shadow"], 2, "--remove"),
    (["shadow", "9"], 1, "has no version '9'"), (["shadow", "2", "--remove"], 2, "not both"),
])
def test_a_name_that_means_nothing_is_refused(trueup, arguments, code, said):
    assert said in trueup("alias", *arguments, code=code)["error"]["message"]


def test_deleted_weights_get_no_name(trueup):
    trueup("delete", "2", "--by", "ana", "--reason", "old")
    assert "weights were deleted" in trueup("alias", "shadow", "2", code=1)["error"]["message"]


def test_a_retired_model_has_no_live_version_until_one_is_promoted(trueup, root):
    made = trueup("retire", "--by", "ana", "--reason", "replaced by another")
    assert made["state"]["live"] is None and (made["change"]["kind"], made["change"]["replaces"]) == ("retire", "1")
    assert "nothing to retire" in trueup("retire", "--reason", "again", code=2)["error"]["message"]
    assert "was retired" in trueup("rollback", code=1)["error"]["message"]
    assert trueup("promote", "2", "--reason", "back", "--by", "ana")["state"]["live"] == live(root) == "2"


def test_a_version_that_is_named_is_not_deleted(trueup):
    trueup("alias", "shadow", "2", "--by", "ana")
    assert "is named shadow" in trueup("delete", "2", "--by", "ana", "--reason", "old", code=2)["error"]["message"]
    assert trueup("list")["models"][0]["aliases"] == {"shadow": "2"} and trueup("show", "2")["aliases"] == ["shadow"]
    trueup("alias", "shadow", "--remove")
    assert trueup("delete", "2", "--by", "ana", "--reason", "old")["state"]["deleted"] == ["2"]
