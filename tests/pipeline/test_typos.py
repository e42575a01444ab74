"""A typing mistake is an error that names what was probably meant, and leaves nothing behind."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command.load_settings import load
from contract.errors import NoSuchModel, RootError
from contract.records import PREDICTION
from contract.registry import Registry
from contract.rows import models as known
from contract.storage import open_root, open_storage
from inference import keys, review, serve
from jobs import dataset, evaluate, forget, lineage, report, score_images
from pipeline import cycle, gate, model, status
from tests.pipeline import small_dataset
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows, write_version
from training import assess, train

COMMANDS = {
    "evaluate": (evaluate, []), "evaluate a window": (evaluate, ["--from", DAY, "--to", DAY, "--full"]),
    "gate": (gate, []), "gate by name": (gate, ["--evaluation", "x"]), "dataset": (dataset, []), "report": (report, []),
    "report by name": (report, ["x"]), "compare": (report, ["x", "y"]), "status": (status, []),
    "sample": (review, ["sample", "--day", DAY, "--p", "0.1"]),
    "sample of items": (review, ["sample", "--day", DAY, "--items", "5", "--kind", "review", "--strategy", "uncertain-first"]),
    "sample of wishes": (review, ["sample", "--wishes", "x"]), "cycle": (cycle, ["--in-process"]),
    "score": (score_images, ["--images", "."]), "score by version": (score_images, ["--images", ".", "--version", "1"]),
    "rollback": (model, ["rollback"]), "rollback to": (model, ["rollback", "--to", "1"]),
    "assess": (assess, ["--candidate", "2"]), "assess by name": (assess, ["--candidate", "2", "--live", "1"]),
    "train": (train, ["--dataset", "x"]), "train first": (train, ["--dataset", "x", "--parent", "none"]),
    "show": (model, ["show"]), "show 1": (model, ["show", "1"]), "history": (model, ["history"]),
    "promote": (model, ["promote", "1", "--reason", "r"]), "approve": (model, ["approve", "1"]),
    "delete": (model, ["delete", "1", "--reason", "r"]),
    "override": (model, ["override", "--gate", "accuracy", "--reason", "r", "--until", "2099-01-01"]),
    "lineage": (lineage, ["--version", "1"]),
}
WITHOUT_A_MODEL = {"list": (model, ["list"]), "keys": (keys, ["list"]), "revoke": (keys, ["revoke", "x-000000"]),
                   "forget": (forget, ["x"]), "lineage of a prediction": (lineage, ["x", "--day", DAY]),
                   "lineage of a dataset": (lineage, ["--dataset", "x"])}
SAYS_SO = ("evaluate", "gate", "dataset", "report", "status", "sample", "lineage")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three versions, of which the first is live, and a day of rows."""
    root = make_root(str(tmp_path_factory.mktemp("typos") / "root"), right=30, n=40)
    registry = Registry(open_storage(root), MODEL)
    for _ in range(2):
        write_version(registry, registry.claim(by="test"), Path(root))
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made, tmp_path / "copy", symlinks=True).as_posix()


def contents(folder):
    return {path: path.stat().st_mtime_ns if path.is_file() else None for path in Path(folder).rglob("*")}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_model_that_nobody_knows_is_an_error_and_nothing_is_written(made, capsys, name):
    command, options = COMMANDS[name]
    before = contents(Path(made).parent)
    code = command.main([*options, "--root", made, "--model", "digts", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert code == 1 and error["code"] in ("NoSuchModel", "NoSuchVersion", "NotFound"), error
    if name.startswith(SAYS_SO):
        assert error["code"] == "NoSuchModel"
        assert "there is no model 'digts'" in error["message"] and "Did you mean 'digits'? Known are: digits." in error["message"]
    assert contents(Path(made).parent) == before


@pytest.mark.parametrize("name", [*COMMANDS, *WITHOUT_A_MODEL])
def test_a_root_that_is_not_there_is_not_made(tmp_path, capsys, name):
    command, options = (COMMANDS | WITHOUT_A_MODEL)[name]
    named = ["--model", "m"] if name in COMMANDS else []
    assert command.main([*options, "--root", str(tmp_path / "rot"), *named, "--json"]) in (1, 2)
    assert json.loads(capsys.readouterr().out)["error"]["code"] in ("RootError", "UsageError")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("typo", ["root", "model"])
def test_the_service_makes_nothing_for_a_typing_mistake(made, tmp_path, typo):
    root, name, error = (str(tmp_path / "rot"), MODEL, RootError) if typo == "root" else (made, "digts", NoSuchModel)
    before = contents(Path(made).parent)
    with pytest.raises(error):
        serve.serve(load(root=root, model=name, env={}, overrides=["serve.port=0"]), [name])
    assert contents(Path(made).parent) == before and list(tmp_path.iterdir()) == []


def test_a_model_of_other_services_is_known_by_its_rows_alone(root, capsys):
    """Also where the rows lie on another day than the window's, and where one file says it among others."""
    foreign = [row | {"model": "other/Ü" if n % 2 else MODEL} for n, row in enumerate(rows(6, 0, 0, "2026-01-05")[0])]
    put_rows(open_storage(root), PREDICTION, "predictions", foreign, "2026-01-05", "x")
    assert evaluate.main(["--root", root, "--model", "other/Ü", "--from", DAY, "--to", DAY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "no data"
    assert evaluate.main(["--root", root, "--model", "other/Ü", "--from", "2026-01-05", "--to", "2026-01-05", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["predictions"] == 3
    assert status.main(["--root", root, "--model", "other/Ü", "--json"]) == 0
    for near, meant in (("other/U", "other/Ü"), ("Digits", "digits"), ("OTHER", None)):
        capsys.readouterr()
        assert evaluate.main(["--root", root, "--model", near, "--json"]) == 1
        said = json.loads(capsys.readouterr().out)["error"]["message"]
        assert (f"Did you mean {meant!r}?" in said) == bool(meant) and "Known are: digits, other/Ü." in said


def test_a_model_is_read_off_the_statistics_where_they_tell(root, monkeypatch):
    """On a large root a typing mistake costs a look at each footer, and no column."""
    def refuse(*_, **__):
        raise AssertionError("a column was read")

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", refuse)
    with pytest.raises(NoSuchModel):
        known.require_model(open_storage(root), "digts")


def test_a_root_without_any_model_tells_nothing(tmp_root, capsys):
    open_root(tmp_root, create=True)
    assert evaluate.main(["--root", tmp_root, "--model", "m", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "no data"
    assert status.main(["--root", tmp_root, "--model", "m"]) == 0


def test_a_file_that_cannot_be_read_may_name_the_model(root):
    open_storage(root).put("predictions/dt=2026-01-05/broken.parquet", b"PAR1")
    assert evaluate.main(["--root", root, "--model", "else", "--from", DAY, "--json"]) == 0


def test_wrong_options_of_a_training_take_no_number(root):
    small_dataset.put(open_storage(root), "d1", MODEL)
    before = contents(root)
    for options in (["--network", "resnet18"], ["--run", "x/²"], ["--weights-name", "DEFAULT"]):
        assert train.main(["--root", root, "--model", MODEL, "--dataset", "d1", *options, "--json"]) == 2
    assert contents(root) == before


def history(root):
    return sorted(path.name for path in Path(root, "models/digits/history").iterdir())


def test_what_is_so_already_is_said_and_writes_no_record(root, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.answering.find_silence", lambda *_: None)

    def run(*arguments, code=0):
        capsys.readouterr()
        assert model.main([*arguments, "--root", root, "--model", MODEL]) == code
        return capsys.readouterr().out

    assert run("promote", "1", "--reason", "again") == "version 1 is live (record 1): nothing was changed\n"
    assert "nothing was changed" in run("promote", "1", "--reason", "again", "--expect", "1")
    assert "nothing was changed" in run("rollback", "--to", "1")
    run("promote", "1", "--reason", "r", "--expect", "2", code=1)
    run("rollback", code=1)
    run("override", "--gate", "accuracy", "--withdraw", "--reason", "r", code=2)
    assert history(root) == ["00000001.json"]
    run("promote", "2", "--reason", "better")
    assert history(root) == ["00000001.json", "00000002.json"]


def test_an_approval_that_is_given_twice_writes_one_record(root, capsys, fake_stages, monkeypatch):
    monkeypatch.setattr("pipeline.answering.find_silence", lambda *_: None)
    make_root(root, right=120, n=200, day=DAY, version="1")
    assert cycle.main(["--root", root, "--model", MODEL, "--in-process", "--set", "cycle.approval=manual"]) == 0
    assert model.main(["approve", "4", "--root", root, "--model", MODEL]) == 0
    before = history(root)
    assert model.main(["rollback", "--root", root, "--model", MODEL]) == 0
    capsys.readouterr()
    assert model.main(["approve", "4", "--root", root, "--model", MODEL]) == 0
    assert "version 4 was approved before (record 2); version 1 is live (record 3)" in capsys.readouterr().out
    assert history(root) == [*before, "00000003.json"]
