"""What `trueup doctor` says of code of the user's own: listed or not, found or not, and never run."""

import json
import re

import pytest

from contract.documents.card import Preprocess
from contract.sections.pictures import choose_decoder
from contract.storage import open_root
from pipeline import doctor
from pipeline.checks import machine
from pipeline.checks.own_code import find_lacking
from tests.inference.published import publish_tiny

RUNS = "raise SystemExit('doctor ran it')\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder on the path with a module, packages and folders without __init__.py; whoever runs one of them ends."""
    for name in ("mine.py", "kit/__init__.py", "kit/hooks.py", "kit/deep/__init__.py", "kit/bare/hooks.py", "apart/hooks.py"):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(RUNS)
    (tmp_path / "own" / "wide").mkdir()
    extends = "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n"
    (tmp_path / "own" / "wide" / "__init__.py").write_text(extends + RUNS)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[mine, kit, apart, wide, no_such]")
    monkeypatch.setattr(machine, "CHECKS", {})
    yield
    choose_decoder(None)


def look(capsys, *sets, root=None, code=0):
    argv = [*(["--root", root] if root else []), *(part for text in sets for part in ("--set", text))]
    assert doctor.main([*argv, "--json"]) == code
    return {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}


@pytest.mark.parametrize("setting", ["serve.redact", "pictures.decoder"])
@pytest.mark.parametrize(("name", "lacking"), [
    ("mine:f", None), ("kit.hooks:f", None), ("kit.deep:f", None), ("apart.hooks:f", None), ("kit.bare.hooks:f", None),
    ("wide.elsewhere:f", None),  # running it would tell
    ("no_such:f", "but there is no module no_such."), ("no_such.hooks:f", "but there is no module no_such."),
    ("kit.no_such:f", r"but there is no module no_such in .*kit\."), ("kit.deep.no_such:f", "but there is no module no_such in "),
    ("apart.no_such:f", "but there is no module no_such in "), ("mine.hooks:f", "but mine is no package."),
    ("other:f", "expected the module other in the setting `allow_modules`"), ("mine", "expected package.module:function")])
def test_what_settings_name_is_looked_for_and_not_run(own, capsys, setting, name, lacking):
    found = look(capsys, f"{setting}={name}", code=1 if lacking else 0)
    row = found["own code"]
    assert row["state"] == ("bad" if lacking else "ok"), row
    assert (row["do"] is not None) == (lacking is not None) and setting in row["found"]
    if lacking:
        assert re.search(lacking, row["found"])
    if setting == "serve.redact":
        assert found["redaction"]["state"] == "absent"
        assert ("own code says why" in found["redaction"]["found"]) == (lacking is not None)


def test_where_nothing_is_named_nothing_is_looked_for(own, capsys, tmp_root):
    publish_tiny(tmp_root)
    row = look(capsys, root=tmp_root)["own code"]
    assert (row["state"], row["found"]) == ("ok", "neither settings nor versions in use name any")


@pytest.mark.parametrize(("network", "state", "said"), [
    ("mine:build", "ok", "mine:build (network): its module is found; nothing of it was run"),
    ("kit.no_such:build", "bad", "network 'kit.no_such:build': expected it to be importable"),
    ("other:build", "absent", "'other:build' (network): allow_modules does not list it")])
def test_networks_of_versions_in_use_are_looked_for_where_this_machine_lists_them(own, capsys, tmp_root, network, state, said):
    publish_tiny(tmp_root, network=network, preprocess=Preprocess(resize=36, crop=32))
    row = look(capsys, root=tmp_root, code=1 if state == "bad" else 0)["own code"]
    assert row["state"] == state and said in row["found"]
    publish_tiny(tmp_root, seed=2)
    assert look(capsys, root=tmp_root)["own code"]["found"] == "neither settings nor versions in use name any"  # no longer live


def test_a_root_that_cannot_be_read_hides_no_fault_of_the_settings(own, capsys, tmp_path):
    row = look(capsys, "serve.redact=no_such:f", root=str(tmp_path / "none"), code=1)["own code"]
    assert row["state"] == "bad"


@pytest.mark.parametrize(("sets", "state"), [([], "absent"), (["pictures.decoder=mine:f"], "ok")])
def test_where_the_root_cannot_be_read_nothing_is_said_of_networks(own, capsys, tmp_path, sets, state):
    row = look(capsys, *sets, root=str(tmp_path / "none"))["own code"]  # the check of the root, left out here, fails
    assert row["state"] == state and "networks of versions in use are not known: " in row["found"]


@pytest.mark.parametrize("module", ["json", "json.decoder", "numpy.linalg", "os.path", "builtins", "__main__"])
def test_modules_that_are_there_lack_nothing(module):
    assert find_lacking(module) is None


@pytest.mark.parametrize(("learnt", "here", "state", "said"), [
    ((), None, "ok", "none, and no version in use names one"), ((), "mine:f", "ok", "mine:f; no version in use names another"),
    (("mine:f@0123456789ab",), "mine:f", "ok", "mine:f; no version in use names another"),
    (("mine:f@0123456789ab",), "kit.hooks:f", "other", "here pictures.decoder is kit.hooks:f"),
    (("mine:f@0123456789ab",), None, "other", "version 1 of 'm' is made for pictures of mine:f@0123456789ab")])
def test_another_decoder_than_a_version_learnt_from_is_told_by_its_name(own, capsys, tmp_root, learnt, here, state, said):
    publish_tiny(tmp_root, preprocess=Preprocess(resize=36, crop=32, decoders=list(learnt)))
    row = look(capsys, *([f"pictures.decoder={here}"] if here else []), root=tmp_root)["decoder"]
    assert row["state"] == state and said in row["found"] and (row["do"] is None) == (state == "ok")


def test_a_decoder_that_is_not_found_is_not_said_to_be_right(own, capsys, tmp_root):
    publish_tiny(tmp_root, preprocess=Preprocess(resize=36, crop=32))
    row = look(capsys, "pictures.decoder=no_such:f", root=tmp_root, code=1)["decoder"]
    assert (row["state"], row["found"]) == ("absent", "not looked at: own code says why")
    publish_tiny(tmp_root, preprocess=Preprocess(resize=36, crop=32, decoders=["mine:f@0123456789ab"]), seed=2)
    assert look(capsys, "pictures.decoder=no_such:f", root=tmp_root, code=1)["decoder"]["state"] == "other"


def test_a_root_is_asked_once_for_the_cards_whether_it_answers_or_not(own, capsys, tmp_root, monkeypatch):
    asked = []
    monkeypatch.setattr("pipeline.checks.in_use.open_root", lambda root: asked.append(root) or open_root(root))
    monkeypatch.setattr("pipeline.checks.formats.find_root", lambda settings: None)
    publish_tiny(tmp_root)
    for root, state in ((tmp_root, "ok"), (f"{tmp_root}/none", "absent")):
        found = look(capsys, "serve.redact=mine:f", root=root)
        assert found["redaction"]["state"] == state and len(asked) == 1
        asked.clear()
