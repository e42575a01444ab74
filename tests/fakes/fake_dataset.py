"""Stands for `jobs.dataset` in tests of the order of things: the same seam, a second instead of a minute."""

import json
import os
import sys

import click

from command.command import Outcome, run, stage_command
from contract import jsonio, layout
from contract.errors import EmptyData
from contract.storage import open_root
from contract.stores.store import create_if_absent


@stage_command("dataset")
@click.option("--model")
@click.option("--from", "first")
@click.option("--to", "last")
@click.option("--as-of", "as_of")
def command(settings, model, first, last, as_of):
    if settings.dataset.class_floor == 1_000_000:  # how a test asks for an error
        raise EmptyData("expected 1000000 rows of every class, got fewer.")
    name = jsonio.digest([model, first, last, as_of])[:16]
    document = jsonio.dumps({"dataset": name, "as_of": as_of})
    create_if_absent(open_root(settings.need_root()), layout.manifest(name), document)
    held_out = json.loads(os.environ.get("FAKE_HOLDOUT", '{"audit": 167}'))
    return Outcome(document={"dataset": name, "holdout_sources": held_out, "more": "than the run records"})


def main(argv=None):
    return run(command, argv)


if __name__ == "__main__":
    sys.exit(main())
