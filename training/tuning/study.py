"""A search's trials in Optuna: which configuration comes next, what an epoch gave, who is pruned, how a trial ended.

The configuration of a trial is drawn before the trial is written, and stands in the entry that begins it: no trial is ever
there with half of its settings. Random and grid draw by (seed, trial) alone; tpe also by the trials that ended before.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.stores.store import Storage
from contract.tuning.documents import Search
from training.tuning.claims import Attempt, Claims
from training.tuning.journal import StoreJournal
from training.tuning.space import Config, list_distributions, list_grid

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

# Attributes of Optuna's trials: which trial of ours in which attempt, its figures by epoch, and how it ended.
TRIAL, ATTEMPT, EPOCHS, SECONDS, ERROR, STOPPED, LOST = "trial", "attempt", "epochs", "seconds", "error", "stopped", "lost"


class TrialTaken(Exception):
    """Another worker took this trial over while this one stood still. Internal: the worker goes on with the next trial."""


class Study:
    """One search over its journal. Every worker has one of its own; what one writes the others read."""

    def __init__(self, storage: Storage, search: Search) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.search = search
        self.journal = StoreJournal(storage, layout.tuning_journal(search.model, search.id),
                                    layout.tuning(search.model, search.id, "journal"))
        self.distributions = list_distributions(search)
        self.records = optuna.storages.JournalStorage(self.journal)  # type: ignore[arg-type]  # it asks for the two methods
        self.study = optuna.create_study(storage=self.records, study_name=search.id, load_if_exists=True,
                                         pruner=make_pruner(search),
                                         direction="minimize" if search.objective == "loss" else "maximize")
        self.id = self.records.get_study_id_from_name(search.id)

    def list_records(self) -> "list[FrozenTrial]":
        """Returns Optuna's trials: one for each attempt that was begun, in the order of the journal."""
        return self.records.get_all_trials(self.id, deepcopy=False)

    def list_finished(self) -> set[int]:
        """Returns the trials that ended by themselves, and are not repeated."""
        return {find_attempt(one).trial for one in self.list_records() if one.state.is_finished() and LOST not in one.user_attrs}

    def list_given_up(self) -> set[Attempt]:
        """Returns the attempts that ended without their trial: lost to another worker, or interrupted."""
        return {find_attempt(one) for one in self.list_records() if LOST in one.user_attrs}

    def begin(self, attempt: Attempt, lost: dict[Attempt, float]) -> "FrozenTrial":
        """Begins an attempt and returns its record. Earlier attempts of the trial count as failed from here on; the
        configuration is theirs.

        `lost`: their seconds, as far as they are known.
        """
        from optuna.trial import TrialState, create_trial

        earlier = [one for one in self.list_records() if find_attempt(one).trial == attempt.trial]
        for one in earlier:
            if not one.state.is_finished():
                self.give_up(one, lost.get(find_attempt(one), 0.0))
        config = earlier[0].params if earlier else self._draw(attempt.trial)
        record = create_trial(state=TrialState.RUNNING, params=config, distributions=self.distributions,
                              user_attrs={TRIAL: attempt.trial, ATTEMPT: attempt.number})
        return self.records.get_trial(self.records.create_new_trial(self.id, record))

    def report(self, record: "FrozenTrial", epochs: list[dict[str, Any]]) -> None:
        """Writes the figures of all epochs so far: {"epoch", "loss", "accuracy"} of the validation rows. TrialTaken."""
        self._change(record, EPOCHS, epochs)
        self._try(lambda: self.records.set_trial_intermediate_value(record._trial_id, epochs[-1]["epoch"],
                                                                   epochs[-1][self.search.objective]))

    def should_prune(self, record: "FrozenTrial") -> bool:
        """Whether the pruner ends the trial after what it reported last."""
        return self.study.pruner.prune(self.study, self.records.get_trial(record._trial_id))

    def complete(self, record: "FrozenTrial", value: float, seconds: float) -> None:
        """Ends a trial that ran all its epochs. TrialTaken."""
        self._end(record, {SECONDS: seconds}, "COMPLETE", value)

    def prune(self, record: "FrozenTrial", value: float, seconds: float, stopped: bool = False) -> None:
        """Ends a trial after an epoch that gave `value`; `stopped`: not for its figures, but because the budget was spent.
        TrialTaken."""
        self._end(record, {SECONDS: seconds} | ({STOPPED: True} if stopped else {}), "PRUNED", value)

    def fail(self, record: "FrozenTrial", seconds: float, error: str) -> None:
        """Ends a trial whose configuration cannot be trained; it is not repeated. TrialTaken."""
        self._end(record, {SECONDS: seconds, ERROR: error}, "FAIL")

    def give_up(self, record: "FrozenTrial", seconds: float) -> None:
        """Ends an attempt without its trial, which the next attempt repeats."""
        try:
            self._end(record, {SECONDS: seconds, LOST: True}, "FAIL")
        except TrialTaken:
            return

    def _draw(self, trial: int) -> Config:
        if self.search.sampler == "grid":
            return list_grid(self.search)[trial - 1]
        import optuna

        # In a copy in memory: a sampler writes what it draws, and in the journal a trial begins with all its settings.
        copy = optuna.create_study(directions=self.study.directions, sampler=make_sampler(self.search, trial))
        known = [one for one in self.list_records() if LOST not in one.user_attrs]
        copy.add_trials(sorted(known, key=lambda one: int(one.user_attrs[TRIAL])))
        return copy.ask(self.distributions).params

    def _end(self, record: "FrozenTrial", facts: dict[str, Any], state: str, value: float | None = None) -> None:
        from optuna.trial import TrialState

        for name, fact in facts.items():
            self._change(record, name, fact)
        self._try(lambda: self.records.set_trial_state_values(record._trial_id, TrialState[state],
                                                             None if value is None else [value]))
        self.journal.pack()

    def _change(self, record: "FrozenTrial", name: str, value: Any) -> None:
        self._try(lambda: self.records.set_trial_user_attr(record._trial_id, name, value))

    def _try(self, write: Any) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            write()
        except UpdateFinishedTrialError as error:
            raise TrialTaken(str(error)) from error


def find_attempt(record: "FrozenTrial") -> Attempt:
    """Returns which attempt of which trial a record of Optuna is."""
    return Attempt(record.user_attrs[TRIAL], record.user_attrs[ATTEMPT])


def count_seconds(record: "FrozenTrial", claims: Claims) -> float:
    """Counts how long an attempt took: as it said when it ended, else by its last beat."""
    known = record.user_attrs.get(SECONDS)
    return claims.read_beat(find_attempt(record)) if known is None else float(known)


def make_sampler(search: Search, trial: int) -> "BaseSampler":
    """Returns the sampler of one trial: what it draws is seeded by the search's seed and the trial's number."""
    from optuna import samplers

    seed = int.from_bytes(hashlib.sha256(f"{search.seed}/{trial}".encode()).digest()[:4], "big")
    if search.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    # constant_liar: a trial that runs elsewhere counts as a bad one, so that nobody draws beside it.
    return samplers.TPESampler(seed=seed, n_startup_trials=search.startup, constant_liar=True)


def make_pruner(search: Search) -> "BasePruner":
    """Returns the pruner. Hyperband's brackets divide the trials, each with its own first rung; `median` waits for
    search.startup trials that ran to their end."""
    from optuna import pruners

    if search.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=search.startup)
    if search.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=search.epochs)
    return pruners.NopPruner()
