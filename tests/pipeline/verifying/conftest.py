"""What tests of `trueup verify` share; each module has a fixture `judged`: (path of a root, id of its evaluation)."""

import json
import shutil

import pytest

from pipeline.verifying import command as verify
from tests.pipeline.roots import MODEL


@pytest.fixture
def copied(judged, tmp_path):
    """A copy of that root, which a test may change."""
    root = str(tmp_path / "copy")
    shutil.copytree(judged[0], root)
    return root, judged[1]


@pytest.fixture
def say(capsys):
    """Verifies in this process; (exit code, document)."""

    def run(root, *words, engine=None):
        capsys.readouterr()
        options = ["--engine", engine] if engine else []
        where = ["--root", root] if root else []
        code = verify.main([*words, *where, "--model", MODEL, "--json", "--in-process", *options])
        return code, json.loads(capsys.readouterr().out)

    return run
