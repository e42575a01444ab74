"""Stands for `training.assess`: paired counts as FAKE_ASSESS gives them, "both only_live only_candidate neither"."""

import os
import sys

import click

from command.command import Outcome, run, stage_command
from contract.errors import TrialFailed

NAMES = ("both", "only_live", "only_candidate", "neither")


@stage_command("assess")
@click.option("--model")
@click.option("--candidate")
@click.option("--live")
@click.option("--dataset")
@click.option("--run", "run_key")
def command(settings, **_):
    if os.environ.get("FAKE_ASSESS") == "fails":
        raise TrialFailed("the candidate does not answer.")
    counts = dict(zip(NAMES, map(int, os.environ.get("FAKE_ASSESS", "100 2 60 5").split()), strict=True))
    differ = {"n": sum(counts.values()), "differ": counts["only_live"] + counts["only_candidate"]}
    error = {"ece": 0.2, "margin": 0.01, "n": sum(counts.values())}
    return Outcome(document={"versions": {"candidate": {"calibration_by_origin": {"audit": error}}},
                             "overall": counts, "by_origin": {"audit": counts},
                             "disagreement": differ,
                             "per_class": [{"label": "a", **counts}],
                             "per_class_by_origin": [{"label": "a", "origin": "audit", **counts}]})


def main(argv=None):
    return run(command, argv)


if __name__ == "__main__":
    sys.exit(main())
