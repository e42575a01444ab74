"""A worker of a search: takes one trial after the other until there is none left, or the budget is spent."""

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from contract import clock
from contract.errors import NotFinite
from contract.stores.store import Storage
from contract.texts.figures import write_number, write_percent, write_setting
from contract.tuning.documents import Search
from training.tuning.claims import Attempt, Claims, Limits
from training.tuning.space import count_trials
from training.tuning.study import Study, TrialTaken, count_seconds, find_attempt
from training.tuning.trial import KeptFeed, TrialEnded, make_job, run_trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class Worker:
    """One worker; its trials run in this process, one after the other."""

    def __init__(self, storage: Storage, search: Search, limits: Limits) -> None:
        self.storage, self.search, self.limits = storage, search, limits
        self.study = Study(storage, search)
        self.claims = Claims(storage, search.model, search.id, os.urandom(4).hex(), limits.timing)
        self.total = count_trials(search, limits.trials)
        self.feed: KeptFeed | None = None

    def run(self) -> None:
        """Trains what is left. Trials of other living workers are waited for, so that those of a dead one are repeated.

        Raises what no configuration is to blame for (Mismatch, BadImage, UsageError, …); the trial is repeated then, too.
        """
        said = False
        try:
            with self.claims:
                while not self.is_spent():
                    finished = self.study.list_finished()
                    attempt = self.claims.take(range(1, self.total + 1), finished, self.study.list_given_up())
                    if attempt is not None:
                        self._run(attempt)
                    elif len(finished & set(range(1, self.total + 1))) == self.total:
                        return
                    else:
                        said = said or _say("waiting for trials of other workers")
                        time.sleep(self.limits.timing.poll)
        finally:
            if self.feed is not None:
                from inference.model import devices

                self.feed.free()
                devices.free_memory()  # this process lives on, and the candidate is trained by others on the same GPU

    def is_spent(self, running: "_RunningTrial | None" = None) -> bool:
        """Whether all workers together have spent the budget; `running`: this worker's trial, whose seconds it knows itself."""
        if self.limits.seconds is None:
            return False
        records = [one for one in self.study.list_records() if running is None or one.number != running.record.number]
        spent = sum(count_seconds(record, self.claims) for record in records)
        return spent + (running.seconds if running else 0.0) >= self.limits.seconds

    def _run(self, attempt: Attempt) -> None:
        lost = {find_attempt(one): count_seconds(one, self.claims) for one in self.study.list_records()}
        record = self.study.begin(attempt, lost)
        trial = _RunningTrial(self, record, f"trial {attempt.trial}/{self.total}")
        _say(f"{trial.name}: {write_config(record.params)}" + (f" (attempt {attempt.number})" if attempt.number > 1 else ""))
        try:
            with self.claims.keep_beating(attempt):
                job = make_job(self.storage, self.search, record.params, self.limits.here)
                if self.feed is None:
                    from training.fit.loop import open_feed

                    self.feed = KeptFeed(open_feed(job, self.storage))
                run_trial(job, self.feed, trial.end_epoch)
        except NotFinite as error:
            trial.fail(str(error))
        except TrialTaken:
            _say(f"{trial.name}: another worker took it over")
        except BaseException:
            with suppress(Exception):
                self.study.give_up(record, trial.seconds)
            raise


class _RunningTrial:
    """A trial that is being trained: what its worker does at the end of each epoch."""

    def __init__(self, worker: Worker, record: "FrozenTrial", name: str) -> None:
        self.worker, self.record, self.name = worker, record, name
        self.epochs: list[dict[str, Any]] = []
        self.began = clock.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return clock.monotonic() - self.began

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """Reports the epoch; TrialEnded after the last one, or when the trial is pruned or the budget is spent."""
        study, judged = self.worker.study, entry["validation"]
        self.epochs.append({"epoch": entry["epoch"], "loss": judged["loss"], "accuracy": judged["accuracy"]})
        study.report(self.record, self.epochs)
        if entry["epoch"] >= study.search.epochs:
            study.complete(self.record, judged[study.search.objective], self.seconds)
            self._end("")
        if study.should_prune(self.record):
            study.prune(self.record, judged[study.search.objective], self.seconds)
            self._end(f", pruned after epoch {entry['epoch']}")
        if self.worker.is_spent(self):
            study.prune(self.record, judged[study.search.objective], self.seconds, stopped=True)
            self._end(f", stopped after epoch {entry['epoch']}: the budget is spent")

    def fail(self, error: str) -> None:
        """Ends a trial whose configuration does not train."""
        try:
            self.worker.study.fail(self.record, self.seconds, error)
        except TrialTaken:
            return
        _say(f"{self.name}: failed: {error}")

    def _end(self, how: str) -> None:
        last = self.epochs[-1]
        _say(f"{self.name}: validation loss {write_number(last['loss'], 4)}, accuracy {write_percent(last['accuracy'], 1)}{how} "
             f"({write_number(self.seconds, 1)} s)")
        raise TrialEnded


def write_config(config: dict[str, Any]) -> str:
    """Writes a configuration in one line: `augment light, lr 0.0012`."""
    return ", ".join(f"{name} {write_setting(value)}" for name, value in sorted(config.items()))


def _say(text: str) -> bool:
    print(text, file=sys.stderr, flush=True)
    return True
