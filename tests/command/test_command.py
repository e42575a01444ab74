"""What a command lets onto stdout and stderr."""

import sys

import click
import pytest

from command.command import run


@click.command()
@click.option("--json", is_flag=True)
def talkative(json):
    """Says something on the side."""
    print("a rank was lost", file=sys.stderr)


@pytest.mark.parametrize(("submitted", "own", "said"), [(True, True, False), (True, False, True), (False, True, True)])
def test_what_is_said_is_kept_unless_it_would_get_into_the_document(submitted, own, said, monkeypatch, capsys):
    """spark-submit sends a program's stderr to its stdout; a step on a cluster (`own` False) takes the document by itself."""
    if submitted:
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    if own:
        monkeypatch.setattr(sys, "__stdout__", sys.stdout)
    assert run(talkative, ["--json"]) == 0
    assert ("a rank was lost" in capsys.readouterr().err) == said


def test_a_choice_that_is_mistyped_has_the_one_that_was_meant(capsys):
    @click.command()
    @click.option("--engine", type=click.Choice(["embedded", "spark", "mapreduce"]))
    def command(engine):
        """Does nothing."""

    assert run(command, ["--engine", "sprk"]) == 2
    assert "Did you mean 'spark'?" in capsys.readouterr().err
