"""What a search has found: the document, the table for people, and the best configuration as options and settings."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from command.terminal import align
from contract import clock
from contract.texts.figures import NOTHING, write_count, write_number, write_percent, write_setting
from contract.tuning.documents import Search, TrialState, TunedTrial, Tuning
from training.tuning.claims import Claims
from training.tuning.space import split_config
from training.tuning.study import ATTEMPT, EPOCHS, ERROR, LOST, STOPPED, TRIAL, Study, count_seconds
from training.tuning.trial import find_first_version

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FEWEST_FOR_IMPORTANCE, BEST_PART = 8, 0.25


def summarise(study: Study, claims: Claims) -> Tuning:
    """Works out the document from the journal; which candidate was trained is not in it."""
    records = study.list_records()
    newest = {record.user_attrs[TRIAL]: record for record in sorted(records, key=lambda one: int(one.user_attrs[ATTEMPT]))}
    trials = [_summarise_trial(records, record, claims) for _, record in sorted(newest.items())]
    return Tuning(study=study.search.id, search=study.search, at=clock.iso(clock.now()), trials=trials,
                  best=find_best(study.search, trials), importance=_weigh_settings(study),
                  seconds=sum(one.seconds for one in trials))


def find_best(search: Search, trials: list[TunedTrial]) -> int | None:
    """Returns the number of the completed trial with the best value, the first of equal ones; None: none was completed."""
    sign = 1 if search.objective == "loss" else -1
    ranked = [(sign * one.value, one.trial) for one in trials if one.state == "completed" and one.value is not None]
    return min(ranked)[1] if ranked else None


def _summarise_trial(records: "list[FrozenTrial]", record: "FrozenTrial", claims: Claims) -> TunedTrial:
    facts = record.user_attrs
    attempts = [one for one in records if one.user_attrs[TRIAL] == facts[TRIAL]]
    return TunedTrial(trial=facts[TRIAL], state=_name_state(record), config=record.params, epochs=facts.get(EPOCHS, []),
                      value=record.value, attempts=facts[ATTEMPT], error=facts.get(ERROR),
                      seconds=sum(count_seconds(one, claims) for one in attempts))


def _name_state(record: "FrozenTrial") -> TrialState:
    if LOST in record.user_attrs:
        return "lost"
    if STOPPED in record.user_attrs and record.state.is_finished():
        return "stopped"
    named: dict[str, TrialState] = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}
    return named.get(record.state.name, "running")


def _weigh_settings(study: Study) -> dict[str, float] | None:
    """Returns each setting's share of the importance, in [0, 1]; None where few trials or equal values tell nothing."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState as State

    completed = [one for one in study.list_records() if one.state == State.COMPLETE]
    if len(completed) < FEWEST_FOR_IMPORTANCE or len({one.value for one in completed}) < 2:
        return None
    found = get_param_importances(study.study, evaluator=PedAnovaImportanceEvaluator(target_quantile=BEST_PART))
    return {name: float(share) for name, share in found.items()}


def write_table(tuning: Tuning) -> str:
    """Writes the trials as a table, the best first; trials that did not end follow in their order."""
    names = sorted(tuning.search.space)
    sign = 1 if tuning.search.objective == "loss" else -1
    trials = sorted(tuning.trials, key=lambda one: (one.state != "completed", sign * (one.value or 0.0), one.trial))
    rows = [[str(one.trial), one.state, *(write_setting(one.config[name]) for name in names), str(len(one.epochs)),
             write_number(one.epochs[-1].loss, 4) if one.epochs else NOTHING,
             write_percent(one.epochs[-1].accuracy, 1) if one.epochs else NOTHING, write_number(one.seconds, 1)]
            for one in trials]
    return align(["trial", "state", *names, "epochs", "validation loss", "accuracy", "seconds"], rows)


def write_summary(tuning: Tuning) -> str:
    """Writes the table, the best trial, and how to train with its settings."""
    states = [one.state for one in tuning.trials]
    counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    lines = [f"search {tuning.study} of {tuning.search.model} on dataset {tuning.search.dataset}: "
             f"{write_count(len(states), 'trial')} ({counted}), {write_number(tuning.seconds / 60, 1)} minutes",
             "", write_table(tuning)]
    if tuning.importance:
        shares = sorted(tuning.importance.items(), key=lambda pair: -pair[1])
        lines += ["", "importance: " + ", ".join(f"{name} {write_percent(share)}" for name, share in shares)]
    if tuning.best is None:
        return "\n".join([*lines, "", "no trial was completed, so nothing can be told; give a larger budget, or see the errors"])
    best = tuning.find(tuning.best)
    lines += ["", f"best: trial {best.trial}, validation {tuning.search.objective} {write_objective(tuning.search, best)}. Of "
              f"{write_count(len(states), 'trial')} the best is better by chance, too; the holdout judges (trueup assess).",
              "", f"  {write_command(tuning, best)}", "", write_yaml(best)]
    return "\n".join(lines)


def write_command(tuning: Tuning, trial: TunedTrial) -> str:
    """Writes the command that trains with a trial's configuration; what is not in it are the settings of whoever runs it."""
    return (f"trueup train --model {tuning.search.model} --dataset {tuning.search.dataset}{_write_parent(tuning, trial)} "
            f"{write_options(trial)}")


def write_objective(search: Search, trial: TunedTrial) -> str:
    """Writes a trial's value of the objective."""
    return write_number(trial.value, 4) if search.objective == "loss" else write_percent(trial.value, 1)


def write_options(trial: TunedTrial) -> str:
    """Writes a configuration as options of `trueup train`, every digit of its numbers."""
    settings, network = split_config(trial.config)
    given = [f"--set train.{name}={json.dumps(value)}" if not isinstance(value, str) else f"--set train.{name}={value}"
             for name, value in sorted(settings.items())]
    return " ".join([*([f"--network {network}"] if network else []), *given])


def write_yaml(trial: TunedTrial) -> str:
    """Writes the settings of a configuration as a block of trueup.yaml."""
    settings, _ = split_config(trial.config)
    return "\n".join(["train:", *(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}"
                                  for name, value in sorted(settings.items()))])


def _write_parent(tuning: Tuning, best: TunedTrial) -> str:
    search = tuning.search
    if search.parent is not None:
        return f" --parent {search.parent}"
    first = find_first_version(search, None)
    said = replace(first, network=None) if "network" in best.config else first  # which stands among the settings then
    return f" --parent none{said.write_options()}"
