"""The order of things: what the cycle starts, as data.

A stage is a module that runs as `python -m module … --json`. Its arguments are templates over what the run fixed and
what earlier stages answered: {model} {from} {to} {as_of} {live} {run} {evaluation} {dataset} {candidate}.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.errors import CANNOT_TELL, DONE, ERROR, GATE_SAYS_NO


@dataclass(frozen=True)
class Stage:
    """One stage: its name in the run's folder, its module, its arguments, the exit codes that are answers.

    `gives` maps a placeholder of later stages to the field of this stage's answer that fills it. `keep` names the
    fields that are recorded with the run (None: all): evaluations and decisions are large, and lie in their own place.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    answers: tuple[int, ...] = (DONE,)
    gives: tuple[tuple[str, str], ...] = ()
    keep: tuple[str, ...] | None = None

    def pick_record(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Picks what the run records of the answer."""
        return dict(answer) if self.keep is None else {name: answer.get(name) for name in self.keep}

    def fill_arguments(self, values: Mapping[str, str]) -> list[str]:
        """Fills in every placeholder of the arguments."""
        return [argument.format_map(values) for argument in self.arguments]

    def pick_values(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """Picks what later stages may use of this one's answer."""
        return {placeholder: str(answer[field]) for placeholder, field in self.gives}


WINDOW = ("--from", "{from}", "--to", "{to}", "--as-of", "{as_of}")

# The gate writes the report, with the verdict in it; without it, it would be written twice.
EVALUATE = Stage("evaluate", "jobs.evaluate", ("--model", "{model}", *WINDOW, "--no-report"), gives=(("evaluation", "id"),),
                 keep=("id",))
GATE = Stage("gate", "pipeline.gate", ("--model", "{model}", "--evaluation", "{evaluation}"),
             answers=(DONE, GATE_SAYS_NO, CANNOT_TELL),
             keep=("evaluation", "version", "window", "verdict", "reasons", "sentence", "retrain", "exit_code"))
DATASET = Stage("dataset", "jobs.dataset", ("--model", "{model}", *WINDOW), gives=(("dataset", "dataset"),),
                keep=("dataset", "holdout_sources"))
TRAIN = Stage("train", "training.train",
              ("--model", "{model}", "--dataset", "{dataset}", "--parent", "{live}", "--run", "{run}"),
              gives=(("candidate", "version"),), keep=("version",))
ASSESS = Stage("assess", "training.assess",
               ("--model", "{model}", "--candidate", "{candidate}", "--live", "{live}", "--dataset", "{dataset}",
                "--run", "{run}"))

TRIAL = Stage("trial", "training.trial", ("--model", "{model}", "--version", "{version}"))  # by people's hand, not in the cycle

# `trueup model convert`, and what `trueup doctor` asks of versions that are not plain float32.
CONVERT = Stage("convert", "training.convert", ("--model", "{model}", "--version", "{version}", "--number-format",
                                                "{number_format}", "--by", "{by}"))
SPEED = Stage("speed", "training.speed", ("--model", "{model}"))

COUNT_THEN = Stage("count-then", "jobs.count_then", ("--model", "{model}", "--wanted", "{wanted}"))  # for `gate --what-if`

# The half of `trueup verify` that counts; not in the cycle.
VERIFY = Stage("verify", "jobs.verifying.command", ("--model", "{model}", "--evaluation", "{evaluation}", "--into", "{into}"),
               answers=(DONE, GATE_SAYS_NO, CANNOT_TELL))

# At the end of a turn, where `retention:` is set (pipeline/retention.py); it is of the root, so of no one model.
EXPIRE = Stage("expire", "jobs.expire", ("--root", "{root}"), answers=(DONE, ERROR))

JUDGING = (EVALUATE, GATE)
RETRAINING = (DATASET, TRAIN, ASSESS)
