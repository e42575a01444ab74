"""Workers of a search: what comes next, who has it, what becomes of it when somebody is killed. Trainings are a formula."""

import threading
from statistics import median
from types import SimpleNamespace

import pytest

from contract import clock, jsonio, layout
from contract.errors import Mismatch, NotFinite, RunHeld
from contract.registry import Registry
from contract.run_owner import me
from contract.runs import Timing
from contract.settings import Settings
from contract.storage import open_root
from contract.tuning.documents import TrialClaim
from tests.faults import AFTER, BEFORE, Died, Process, patched
from tests.training.tuning.conftest import found, loss_of, make_search, run, told
from training.tuning import claims as claims_module
from training.tuning import search as module
from training.tuning.claims import Attempt, Claims
from training.tuning.space import list_grid


def test_a_grid_is_trained_exactly_once_each(storage, made):
    search = make_search(sampler="grid")
    tuning = run(storage, search, trials=999)
    assert [one.config for one in tuning.trials] == made.trained == list_grid(search)
    assert len(made.trained) == 18 and {one.state for one in tuning.trials} == {"completed"}
    least = min(tuning.trials, key=lambda one: loss_of(one.config))
    assert tuning.best == least.trial and tuning.find(tuning.best).value == loss_of(least.config)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_seed_decides_what_is_drawn(tmp_path, made, sampler):
    def configs(name, seed):
        return [one.config for one in run(open_root(str(tmp_path / name), create=True), make_search(sampler=sampler, seed=seed),
                                          trials=12).trials]

    first = configs("a", 1)
    assert first == configs("b", 1) != configs("c", 2)
    assert len({str(config) for config in first}) == 12
    assert all(1e-4 <= one["lr"] <= 1e-1 for one in first) and {one["augment"] for one in first} == {"none", "light", "photo"}


def test_tpe_draws_nearer_to_the_best_than_chance(tmp_path, made):
    def losses(sampler, seed):
        root = open_root(str(tmp_path / f"{sampler}{seed}"), create=True)
        tuning = run(root, make_search(sampler=sampler, seed=seed, startup=6), trials=24)
        return [one.value for one in tuning.trials[12:]]

    chance, learnt = ([x for seed in range(2) for x in losses(sampler, seed)] for sampler in ("random", "tpe"))
    assert median(learnt) < 0.75 * median(chance)


def test_the_median_prunes_whoever_is_worse_than_half_of_the_others(storage, made):
    search = make_search(pruner="median", startup=4)
    tuning = run(storage, search, trials=24)
    completed = []
    for one in tuning.trials:
        values = [loss_of(one.config, epoch) for epoch in range(1, 5)]
        assert [e.loss for e in one.epochs] == values[:len(one.epochs)]
        end = next((n for n in range(1, 5) if len(completed) >= 4 and min(values[:n]) > median(c[n - 1] for c in completed)), 4)
        assert (len(one.epochs), one.value) == (end, values[end - 1])
        # After the last epoch nobody is pruned.
        assert one.state == ("pruned" if end < 4 else "completed")
        if one.state == "completed":
            completed.append(values)
    assert 3 < len(completed) < 20 and tuning.find(tuning.best).state == "completed"


def test_hyperband_prunes_some_and_accuracy_may_decide(storage, made):
    search = make_search(pruner="hyperband", objective="accuracy", epochs=9)
    tuning = run(storage, search, trials=20)
    states = [one.state for one in tuning.trials]
    assert states.count("pruned") >= 3 and states.count("completed") >= 3
    completed = [one for one in tuning.trials if one.state == "completed"]
    assert tuning.find(tuning.best).value == max(one.value for one in completed)
    assert [one.value for one in tuning.trials] == [one.epochs[-1].accuracy for one in tuning.trials]


def test_a_configuration_that_does_not_train_has_failed_and_is_not_repeated(storage, made):
    def diverge(config, epoch):
        if config["lr"] > 1e-2 and epoch == 2:
            raise NotFinite("loss nan")

    made.before = diverge
    tuning = run(storage, make_search(), trials=10)
    failed = [one for one in tuning.trials if one.config["lr"] > 1e-2]
    assert failed and all((one.state, one.error, one.value, len(one.epochs)) == ("failed", "loss nan", None, 1) for one in failed)
    assert {one.state for one in tuning.trials if one not in failed} == {"completed"}
    assert len(made.trained) == 10 and told(run(storage, make_search(), trials=10)) == told(tuning) and len(made.trained) == 10


def test_after_its_trials_a_worker_leaves_the_memory_of_gpus_to_others(storage, made, monkeypatch):
    """Spark keeps its process, which then waits beside the rank that trains the candidate."""
    freed = []
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: freed.append(len(made.trained)))
    run(storage, make_search(), trials=2)
    assert freed == [2]


def test_what_no_configuration_is_to_blame_for_ends_the_search_and_the_trial_is_repeated(storage, made):
    def broken(config, epoch):
        if len(made.trained) == 3:
            raise Mismatch("rows")

    undisturbed = run(open_root(f"{storage.root}-other", create=True), make_search(), trials=5)
    made.trained.clear()
    made.before = broken
    with pytest.raises(Mismatch, match="rows"):
        run(storage, make_search(), trials=5)
    assert [one.state for one in found(storage, make_search()).trials] == ["completed", "completed", "lost"]
    made.before = lambda config, epoch: None
    tuning = run(storage, make_search(), trials=5)
    assert told(tuning) == told(undisturbed) and [one.attempts for one in tuning.trials] == [1, 1, 2, 1, 1]


def test_killed_around_each_write_it_ends_as_if_undisturbed(tmp_path, made, monkeypatch):
    search = make_search(sampler="tpe", pruner="median", startup=2, epochs=2)
    patched(monkeypatch, watched := Process())
    expected = run(open_root(str(tmp_path / "whole"), create=True), search, trials=4)
    assert len(watched.writes) > 30
    for number, fatal in enumerate(watched.writes[1:]):  # the first one makes the root
        when = (BEFORE, AFTER)[number % 2]
        patched(monkeypatch, Process())
        root = open_root(str(tmp_path / f"{number}"), create=True).root
        made.trained.clear()
        patched(monkeypatch, Process(lambda name, fatal=fatal, when=when: when if name == fatal else None))
        with pytest.raises(Died):
            run(open_root(root), search, trials=4)
        patched(monkeypatch, Process())
        tuning = run(open_root(root), search, trials=4)
        assert told(tuning) == told(expected), (when, fatal)
        assert len(made.trained) <= 5 and [one.attempts for one in tuning.trials].count(1) >= 3


def test_two_workers_share_the_trials_and_do_none_twice(storage, made):
    search, both = make_search(sampler="grid"), threading.Barrier(2, timeout=60)
    made.before = lambda config, epoch: both.wait() if len(made.trained) <= 2 and epoch == 1 else None  # both have begun

    def work():
        run(open_root(storage.root), search, trials=18)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tuning = found(storage, search)
    assert sorted(map(str, made.trained)) == sorted(map(str, list_grid(search)))
    assert [(one.trial, one.state, one.attempts) for one in tuning.trials] == [(n, "completed", 1) for n in range(1, 19)]


def claim(storage, search, attempt, **changes):
    document = TrialClaim(**(me().to_dict() | {"worker": "other"} | changes))
    storage.create(layout.tuning_trials(search.model, search.id, "claims", attempt.name), document.to_bytes())


def test_a_worker_of_another_machine_is_dead_when_its_beat_stands_still(storage, monkeypatch):
    search, now = make_search(), [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    claim(storage, search, Attempt(1, 1), host="elsewhere", boot="x", pid=1)
    claims, beat = Claims(storage, search.model, search.id, "me", Timing(5, 60)), layout.tuning_trials(
        search.model, search.id, "beats", "0001-1")
    for second in range(100, 400, 20):
        now[0] = second
        storage.put(beat, jsonio.dumps({"seconds": float(second)}))
        assert not claims.is_dead(Attempt(1, 1)) and claims.take([1], (), ()) is None
    now[0] += 59
    assert not claims.is_dead(Attempt(1, 1))
    now[0] += 1
    with claims:
        assert claims.take([1], (), ()) == Attempt(1, 2)
        assert claims.take([1], (), ()) is None, "its own worker lives"
        assert claims.take([1, 2], (), ()) == Attempt(2, 1)
    assert claims.read_beat(Attempt(1, 1)) == 380.0 and claims.read_beat(Attempt(1, 2)) == 0.0


@pytest.mark.parametrize("alive", [False, True])
def test_the_candidate_of_another_machine_is_waited_for_until_its_beat_tells(storage, made, monkeypatch, alive):
    """A cluster that ended while it trained it is never looked up again: the next one is another machine."""
    search, now, slept = make_search(), [100.0], []
    tuning = run(storage, search, trials=1)
    claim(storage, search, Attempt(module.CANDIDATE, 1), host="elsewhere", boot="x", pid=1)

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds
        if alive and len(slept) == 3:
            storage.put(layout.tuning_trials(search.model, search.id, "beats", "0000-1"), jsonio.dumps({"seconds": 5.0}))

    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(claims_module, "time", SimpleNamespace(sleep=sleep))  # other threads of this process sleep as ever
    monkeypatch.setattr(module, "train", lambda *_, **__: Trained())
    monkeypatch.setattr(module, "train_document", lambda card: {})
    monkeypatch.setattr(module, "train_text", lambda card: "trained")
    registry = Registry(storage, search.model)
    if alive:
        with pytest.raises(RunHeld, match="another process trains its candidate"):
            module.train_candidate(storage, registry, Settings(), tuning)
    else:
        assert module.train_candidate(storage, registry, Settings(), tuning).text.startswith("trained; nothing is live")
    assert sum(slept) == (3 if alive else 60)


class Trained:
    version = "1"


def test_who_was_taken_over_changes_nothing_any_more(storage, made, monkeypatch):
    search = make_search()

    def taken_over(config, epoch):
        if len(made.trained) == 1 and epoch == 2:
            run(open_root(storage.root), search, trials=1, takeover=0.0)

    made.before = taken_over
    monkeypatch.setattr(claims_module, "_WORKING", NobodyElse())
    tuning = run(storage, search, trials=1)
    (one,) = tuning.trials
    assert len(made.trained) == 2 and (one.state, one.attempts, len(one.epochs)) == ("completed", 2, 4)


class NobodyElse(set):
    """In it nobody is at work but whoever came last."""

    def add(self, name):
        self.clear()
        super().add(name)


def test_the_budget_counts_what_all_attempts_have_spent(storage, made, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])

    def ten_seconds(config, epoch):
        now[0] += 10
        if len(made.trained) == 2 and epoch == 2:
            raise Mismatch("gone")

    made.before = ten_seconds
    with pytest.raises(Mismatch):
        run(storage, make_search(), seconds=90)  # trial 1: 40 s; trial 2: 20 s, lost
    tuning = run(storage, make_search(), seconds=90)
    assert [(one.state, one.seconds, len(one.epochs)) for one in tuning.trials] == [("completed", 40, 4), ("stopped", 50, 3)]
    assert tuning.seconds == 90 and tuning.best == 1
    assert told(run(storage, make_search(), seconds=90)) == told(tuning), "nothing begins on a spent budget"
    assert [one.state for one in run(storage, make_search(), trials=3, seconds=None).trials] == [
        "completed", "stopped", "completed"]


def test_importance_names_the_setting_that_decides(storage, made):
    tuning = run(storage, make_search(), trials=40)
    assert max(tuning.importance, key=tuning.importance.get) == "lr" and sum(tuning.importance.values()) == pytest.approx(1)
    assert run(open_root(f"{storage.root}-few", create=True), make_search(), trials=7).importance is None
