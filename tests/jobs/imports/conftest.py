import pytest

from tests.jobs.imports.files import Runs


@pytest.fixture
def runs(tmp_path, capsys):
    return Runs(tmp_path, capsys)
