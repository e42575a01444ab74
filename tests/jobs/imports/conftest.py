"""The two commands that read files of others, run in this process."""

import pytest

from jobs import evaluate_files
from jobs.evaluate_files import make
from tests.jobs.imports.files import Runs, count_plainly


@pytest.fixture
def runs(tmp_path, capsys, monkeypatch):
    """The commands, with a count of a few lines instead of an engine: a fifth of the time."""
    monkeypatch.setattr(evaluate_files, "make", count_plainly)
    monkeypatch.setattr(evaluate_files, "make_outcome", lambda document, where: evaluate_files.Outcome(document=document))
    return Runs(tmp_path, capsys)


@pytest.fixture
def whole_runs(runs, monkeypatch):
    """The commands as they are."""
    monkeypatch.undo()
    assert evaluate_files.make is make
    return runs
