"""The command line: `trueup <verb> …` (also `python -m pipeline.cli`).

Every verb is a click command in a module of its own, which is imported only when the verb runs, so that `trueup --help`
loads no engine. Exit codes: 0 done, 1 error, 2 wrong usage, 3 a gate says no, 4 cannot tell.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import NoReturn

from command.first_steps import FIRST_STEPS
from command.process import end_with
from command.verb import Verb
from contract.errors import DONE, USAGE

GROUPS: dict[str, dict[str, Verb]] = {
    "Start here": {
        "demo": Verb("pipeline.demo.run", "the whole loop on real data, in about two minutes"),
        "doctor": Verb("pipeline.doctor", "check Java, Spark, the root, the clock, the disk"),
    },
    "The loop": {
        "serve": Verb("inference.serve", "answer predictions over HTTP and log them"),
        "evaluate": Verb("jobs.evaluate", "count where predictions and labels agree"),
        "gate": Verb("pipeline.gate", "decide from an evaluation whether the model still holds"),
        "dataset": Verb("jobs.dataset", "build a training set from labelled predictions"),
        "train": Verb("training.train", "fine-tune a version on a dataset"),
        "tune": Verb("training.tune", "search for better settings of training, judged on validation rows"),
        "assess": Verb("training.assess", "compare a candidate with the live version on the same rows"),
        "publish": Verb("training.publish", "bring a network trained elsewhere and make it live"),
        "cycle": Verb("pipeline.cycle", "evaluate, gate, dataset, train, assess, publish"),
        "score": Verb("jobs.score_images", "classify the new images under a prefix, in batches on Spark"),
        "replay": Verb("jobs.replaying.command", "let a version answer logged pictures again, and compare both answers"),
        "report": Verb("jobs.report", "show an evaluation as a page"),
        "verify": Verb("pipeline.verifying.command", "compute a decision or a version again from the files that it names"),
    },
    "Models": {
        "model": Verb("pipeline.model", "list, show, history, promote, approve, alias, shadow, canary, thresholds, …", "group"),
        "lineage": Verb("jobs.lineage", "from a prediction to version, dataset, labels and people, and back"),
        "rollback": Verb("pipeline.model", "make the previous version live again", "rollback_command"),
    },
    "Data and people": {
        "import images": Verb("jobs.import_images", "a folder of class folders becomes a dataset"),
        "import labels": Verb("jobs.import_table", "labels from CSV, JSON lines or Parquet", "labels_command"),
        "import predictions": Verb("jobs.import_table", "predictions from CSV, JSON lines or Parquet", "predictions_command"),
        "review sample": Verb("inference.review", "draw the sample that people are asked about", "sample_command"),
        "review plan": Verb("inference.planning.command", "draw the audit that decides a gate with few labels"),
        "review pick": Verb("jobs.picking.command", "send to review what training would learn most from"),
        "review accepted": Verb("jobs.accepting.command", "labels of people, and the answers of a model that its report accepts"),
        "review gold": Verb("jobs.gold", "known answers that measure labelers: add, list, remove, report", "group"),
        "labelers": Verb("jobs.labelers.command", "how well each labeler labels, by all votes: fit, list, show", "group"),
        "labels suspects": Verb("jobs.suspects.command", "labels of a dataset that are likely wrong, likeliest mistakes first"),
        "items": Verb("jobs.labelled.items", "the labelled predictions of each day, with all votes, as a table"),
        "pictures measure": Verb("jobs.pictures.command", "brightness, sharpness, size and colour of each day's pictures"),
        "restore": Verb("pipeline.restore", "bring back what was deleted or overwritten in a versioned bucket"),
        "forget": Verb("jobs.forget", "erase a picture everywhere; say which versions learnt from it"),
        "keys": Verb("inference.keys", "add, list and revoke API keys", "group"),
    },
    "This installation": {
        "emr": Verb("emr.cli", "the loop on Amazon EMR: plan, template, deploy, run, status, destroy", "group"),
        "compact": Verb("jobs.compact", "put the many small files of old days into few"),
        "expire": Verb("jobs.expire", "remove pictures and rows that are older than the retention settings"),
        "config": Verb("pipeline.config", "print every setting and where it came from"),
        "notify": Verb("pipeline.notifying.command", "tell people and programs what happened to models"),
        "status": Verb("pipeline.status", "what is live, the newest figures, who is at work"),
        "bench": Verb("pipeline.bench", "machines side by side: rates, and dollars by each one's own price"),
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if os.environ.get("_TRUEUP_COMPLETE"):  # a shell asks what may follow
        return _run(arguments)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(write_help())
        return DONE if arguments else USAGE
    return _run(arguments)


@cache
def find_verbs() -> dict[str, Verb]:
    """Finds the verbs whose module there is, in the order of the help."""
    return {name: verb for group in GROUPS.values() for name, verb in group.items() if _exists(verb.module)}


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is missing
        return False


def write_help() -> str:
    """Lists the verbs by group, with one line each."""
    verbs = find_verbs()
    lines = ["Usage: trueup VERB [OPTIONS]      trueup VERB --help explains one",
             "", "Watches a deployed image classifier, and retrains it when the figures say so."]
    for title, group in GROUPS.items():
        listed = [f"  {name:<20}{verb.line}" for name, verb in group.items() if name in verbs]
        lines += ["", f"{title}:", *listed] if listed else []
    lines += ["", "Examples:", *(f"  {line}" for line in FIRST_STEPS)]
    lines += ["", "Every verb takes --root (or TRUEUP_ROOT), --config, --set KEY=VALUE and --json.",
              "Exit codes: 0 done, 1 error, 2 wrong usage, 3 a gate says no, 4 cannot tell."]
    return "\n".join(lines)


def _run(arguments: list[str]) -> int:
    import click

    from command.command import run
    from command.lazy_group import LazyGroup

    group = LazyGroup("trueup", find_verbs)
    return run(click.version_option(package_name="trueup", message="%(version)s")(group), arguments, prog_name="trueup")


def script() -> NoReturn:
    """Runs `trueup`, the script that setup.py installs."""
    end_with(main)


if __name__ == "__main__":
    script()
