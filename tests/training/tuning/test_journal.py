"""Optuna's journal in a store: one order for all workers, and the same studies as Optuna's own journal in a file."""

from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from contract import layout
from contract.storage import open_root
from training.tuning.journal import StoreJournal


def backend(storage):
    return StoreJournal(storage, layout.tuning_journal("digits", "s"), layout.tuning("digits", "s", "journal"))


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.slow("s3"))])
def store(request):
    return open_root(request.getfixturevalue("tmp_root" if request.param == "file" else "s3_root"), create=True)


def test_two_workers_write_one_journal(store):
    one, two = backend(store), backend(store)

    def write(journal, who):
        for n in range(12):
            journal.append_logs([{"who": who, "n": n}, {"who": who, "n": n + 0.5}])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, (one, two), "ab"))
    entries = one.read_logs(0)
    assert entries == two.read_logs(0) == backend(store).read_logs(0) and len(entries) == 48
    for who in "ab":
        assert [e["n"] for e in entries if e["who"] == who] == sorted(n / 2 for n in range(24))
    assert one.read_logs(40) == entries[40:] and one.read_logs(48) == []


def test_a_new_worker_reads_what_is_packed_once(store, monkeypatch):
    one = backend(store)
    one.append_logs([{"n": n} for n in range(20)])
    one.pack()
    one.append_logs([{"n": 20}])
    asked = []
    read = type(store).read
    monkeypatch.setattr(type(store), "read", lambda self, key: asked.append(key) or read(self, key))
    assert backend(store).read_logs(0) == [{"n": n} for n in range(21)]
    assert len(asked) == 3  # the packed copy, entry 21, and that there is none after it


def optimise(storage, seed):
    study = optuna.create_study(storage=storage, study_name="x", sampler=optuna.samplers.TPESampler(seed=seed),
                                pruner=optuna.pruners.MedianPruner(n_startup_trials=3))

    def objective(trial):
        x, kind = trial.suggest_float("x", 1e-3, 1, log=True), trial.suggest_categorical("kind", ["a", None, 3])
        for step in range(3):
            trial.report(x / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError("failed")
        return x + (kind == "a")

    study.optimize(objective, n_trials=20, catch=ValueError)
    return [(t.number, t.state, t.params, t.value, t.intermediate_values) for t in study.trials]


def test_a_study_is_that_of_optunas_own_journal(store, tmp_path):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    theirs = optimise(optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "log"))), 3)
    assert optimise(optuna.storages.JournalStorage(backend(store)), 3) == theirs
    assert len({state for _, state, *_ in theirs}) == 3
