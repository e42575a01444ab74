"""A command run in this process, for tests of several commands on one root."""

import json

import pytest


@pytest.fixture
def say(tmp_root, capsys):
    """Runs a command on the root; returns its document."""

    def run(command, *options, code=0):
        assert command.main(["--root", tmp_root, "--json", *options]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run
