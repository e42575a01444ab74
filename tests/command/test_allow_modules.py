"""Whose code may run is this machine's own: files that are handed on do not carry it, the environment does."""

import json
import os
from pathlib import Path

import click
import pytest

from command import child, command
from command.load_settings import load, with_options
from contract.errors import UsageError
from contract.runs import Runs
from contract.sections.modules import LOCAL, VARIABLE, list_allowed
from contract.storage import open_storage
from jobs.import_images import main as import_images
from jobs.import_table import main as import_table
from pipeline.cycle import main as cycle
from tests.pipeline.roots import MODEL, make_root


@pytest.fixture(autouse=True)
def _nothing_listed(monkeypatch):
    monkeypatch.setenv(VARIABLE, "[]")


def test_a_command_lists_its_settings_for_those_that_it_starts(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    (tmp_path / "trueup.yaml").write_text("allow_modules: [mine.networks, blurring]\n")
    seen = []

    @command.stage_command("look")
    def look(settings):
        seen.append((settings.allow_modules, with_options(settings, model="m").allow_modules, list_allowed()))
        return command.Outcome()

    assert isinstance(look, click.Command) and command.run(look, ["--config", str(tmp_path / "trueup.yaml")]) == 0
    assert seen == [(["mine.networks", "blurring"],) * 3]
    assert json.loads(child.make_environment()[VARIABLE]) == ["mine.networks", "blurring"]
    assert load(env=dict(os.environ)).allow_modules == ["mine.networks", "blurring"]


def test_settings_of_a_run_list_nothing():
    with child.write_settings({"allow_modules": ["planted"], "train": {"epochs": 2}}) as path:
        assert json.loads(Path(path).read_text()) == {"train": {"epochs": 2}}


def test_no_run_keeps_what_this_machine_lists(tmp_root):
    make_root(tmp_root, right=197, n=200)
    assert cycle(["--root", tmp_root, "--model", MODEL, "--in-process", "--set", "allow_modules=[mine]"]) == 0
    kept = Runs(open_storage(tmp_root), MODEL).newest().plan.settings
    assert "train" in kept and not kept.keys() & set(LOCAL)


@pytest.mark.parametrize("bad", ["[a/b]", "['a:b']", "['']", "[../x]", "[1a]"])
def test_what_is_no_module_is_refused(bad):
    with pytest.raises(UsageError, match="expected"):
        load(overrides=[f"allow_modules={bad}"], env={})


@pytest.mark.parametrize(("main", "arguments"), [
    (import_images, ["{folder}"]), (import_table, ["predictions", "{folder}/p.csv", "--images", "{folder}"])])
def test_imports_refuse_where_pictures_are_redacted(main, arguments, tmp_path, tmp_root, capsys):
    (tmp_path / "p.csv").write_text("prediction_id\n")
    said = [word.format(folder=tmp_path) for word in arguments]
    assert main([*said, "--root", tmp_root, "--model", "m", "--set", "serve.redact=mine:hide"]) == 2
    assert "import them with --set serve.redact=null" in capsys.readouterr().err and not Path(tmp_root).exists()
