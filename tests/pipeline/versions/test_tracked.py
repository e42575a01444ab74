"""The commands that change what is live tell MLflow, and end as they would without it where it cannot be told."""

import json
import socket
from pathlib import Path

import pytest

from contract.registry import Registry
from contract.storage import open_storage
from pipeline import answering, cycle, model
from tests.command.tracking.mlflows import EXPERIMENT
from tests.pipeline.roots import MODEL, make_root, write_version

WHY = ("--by", "ana", "--reason", "r")


@pytest.fixture
def root(tmp_root, monkeypatch):
    """Version 1 of three is live; all answer."""
    make_root(tmp_root, right=195, n=200)
    registry = Registry(open_storage(tmp_root), MODEL)
    for _ in range(2):
        write_version(registry, registry.claim(by="test"), Path(tmp_root))
    monkeypatch.setattr(answering, "find_silence", lambda settings, registry, version: None)
    return tmp_root


def run(main, root, capsys, address, *arguments):
    """A command with --json; its exit code and document."""
    code = main([*arguments, "--root", root, "--model", MODEL, "--json", "--set", f"track.mlflow={address}", "--set",
                 f"track.experiment={EXPERIMENT}", "--set", "track.seconds=300"])
    return code, json.loads(capsys.readouterr().out)


def test_each_change_of_a_name_is_mirrored(root, mlflow, capsys):
    for arguments, aliases in ((("promote", "2", *WHY), {"live": "2"}),
                               (("alias", "shadow", "3", *WHY), {"live": "2", "shadow": "3"}),
                               (("canary", "start", "1", *WHY), {"live": "2", "shadow": "3", "canary": "1"}),
                               (("canary", "withdraw", *WHY), {"live": "2", "shadow": "3"}),
                               (("rollback", "--to", "1", *WHY), {"live": "1", "shadow": "3"}),
                               (("retire", *WHY), {"shadow": "3"})):
        code, made = run(model.main, root, capsys, mlflow.address, *arguments)
        assert (code, mlflow.aliases(MODEL)) == (0, aliases), made
        assert made["tracking"]["mlflow"] == mlflow.address and "error" not in made["tracking"]


def test_a_cycle_tells_what_is_live(root, mlflow, capsys):
    code, made = run(cycle.main, root, capsys, mlflow.address, "--in-process")
    assert (code, made["status"]) == (0, "healthy") and "error" not in made["tracking"]
    assert mlflow.aliases(MODEL) == {"live": "1"}


@pytest.mark.usefixtures("fake_stages")
def test_a_cycle_tells_of_a_candidate_that_was_made_out_of_mlflows_reach(tmp_root, mlflow, capsys):
    """Its training and its assessment told nothing, as on nodes that do not reach the server."""
    make_root(tmp_root, right=120, n=200)
    code, made = run(cycle.main, tmp_root, capsys, mlflow.address, "--in-process", "--set", "cycle.approval=manual")
    assert (code, made["status"], made["candidate"]) == (0, "awaiting approval", "2")
    (told,) = (one for one in mlflow.runs() if one.data.tags["trueup.version"] == "2")
    assert told.data.metrics == {"assess/differ": made["stages"]["assess"]["disagreement"]["differ"]}
    assert (told.info.status, mlflow.aliases(MODEL)) == ("FINISHED", {"live": "1"})


def test_a_command_ends_as_without_it_where_nobody_answers(root, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, made = run(model.main, root, capsys, address, "promote", "2", *WHY)
    assert code == 0 and "error" in made["tracking"]
    assert Registry(open_storage(root), MODEL).live() == "2"
