"""A search whose trainings are a formula, so that hundreds of trials take seconds; real trainings stand in test_tune.py."""

import math

import pytest

from contract.runs import Timing
from contract.storage import open_root
from contract.tuning.documents import Search
from training.tuning import summary, worker
from training.tuning.claims import Claims, Limits
from training.tuning.study import Study
from training.tuning.worker import Worker

SPACE = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "label_smoothing": [0.0, 0.1], "augment": ["none", "light", "photo"]}
BEST_LR = 3e-3


def make_search(**changes):
    facts = {"model": "digits", "dataset": "d", "parent": None, "networks": ["tiny"], "size": 32, "grey": False, "epochs": 4,
             "objective": "loss", "sampler": "random", "pruner": "none", "seed": 1, "startup": 4, "points": 3, "space": SPACE,
             "settings": {}}
    return Search(**(facts | changes))


def loss_of(config, epoch=4):
    """What the made training loses: least at lr = BEST_LR, with augmentation `light`; it falls with each epoch."""
    beside = {"none": 0.4, "light": 0.0, "photo": 0.2}[config.get("augment", "light")]
    return 0.1 + math.log10(config["lr"] / BEST_LR) ** 2 + beside + config.get("label_smoothing", 0) + 1 / epoch


class Made:
    """Stands for the loop: calls the hook after each epoch; `before`: told the configuration and the epoch first."""

    def __init__(self):
        self.trained = []
        self.before = lambda config, epoch: None

    def run_trial(self, job, feed, end_of_epoch):
        self.trained.append(job)
        for epoch in range(1, 1000):
            self.before(job, epoch)
            value = loss_of(job, epoch)
            try:
                end_of_epoch({"epoch": epoch, "validation": {"loss": value, "accuracy": 1 / (1 + value)}})
            except worker.TrialEnded:
                return


@pytest.fixture
def made(monkeypatch):
    """Trials are the formula: `made.trained` holds the configurations, in order, of all workers of this process."""
    from training.fit import loop

    monkeypatch.setattr("os.fsync", lambda file: None)  # thousands of documents, and no power fails
    formula = Made()
    monkeypatch.setattr(worker, "make_job", lambda storage, search, config, here: dict(config))
    monkeypatch.setattr(worker, "run_trial", formula.run_trial)
    monkeypatch.setattr(loop, "open_feed", lambda job, storage: NoFeed())
    return formula


class NoFeed:
    def close(self):
        pass


def run(storage, search, trials=6, seconds=None, takeover=0.5):
    """One worker of a search; returns what was found."""
    Worker(storage, search, Limits(trials, seconds, timing=Timing(3600.0, takeover))).run()
    return found(storage, search)


def found(storage, search):
    return summary.summarise(Study(storage, search), Claims(storage, search.model, search.id, "", Timing()))


def told(tuning):
    """What was found, less what differs from one run to the next."""
    return [(one.trial, one.state, one.config, [e.to_dict() for e in one.epochs], one.value) for one in tuning.trials]


@pytest.fixture
def storage(tmp_root):
    return open_root(tmp_root, create=True)
