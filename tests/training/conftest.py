"""One small dataset of digits for all training tests, made once by the real job."""

import shutil

import pytest

from command.load_settings import load
from contract import clock
from contract.documents import manifest
from contract.registry import Registry
from contract.storage import open_root
from tests.training.loop_root import LoopRoot, digits, png
from training.first_version import FirstVersion

NETWORK = "tests.training.tiny:build"


@pytest.fixture(scope="session")
def digits_root(tmp_path_factory):
    """A root with 300 labelled digits and a dataset of them; copied by `root`, never changed."""
    from jobs.dataset import make

    root = str(tmp_path_factory.mktemp("digits") / "root")
    pixels, labels = digits()
    LoopRoot(root).day("2026-11-20", [png(p) for p in pixels[:300]], labels[:300])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jvm.session.is_running", lambda: False)
        made = make(open_root(root), load(root=root, model="digits", overrides=["dataset.rows_per_group=16"]), None, None,
                    clock.parse_moment("2026-11-20T23:00:00Z"))
    return root, made


class World:
    """A copy of the digits root that a test may change."""

    def __init__(self, root, made):
        self.root = str(root)
        self.storage = open_root(self.root)
        self.made = manifest.load(self.storage, made.dataset)
        self.registry = Registry(self.storage, "digits")

    def settings(self, **train):
        options = {"launcher": "process", "threads": 1, "epochs": 2, "batch": 16, "checkpoint_steps": 4} | train
        return load(root=self.root, model="digits", overrides=[f"train.{k}={v}" for k, v in options.items()])

    def train(self, parent=None, **train):
        from training.train import train as run

        first = FirstVersion() if parent else FirstVersion(NETWORK, 32)
        key = train.pop("run_key", None)
        return run(self.storage, self.registry, self.settings(**train), self.made.dataset, parent, key, first)


@pytest.fixture
def world(digits_root, tmp_path):
    shutil.copytree(digits_root[0], tmp_path / "root")
    return World(tmp_path / "root", digits_root[1])


@pytest.fixture
def trial_in_process(monkeypatch):
    """Publishing asks the version here instead of in a service process, which takes seconds; returns the predictors asked."""
    from training import ask_first

    asked = []

    def ask(predictor, weights):
        asked.append(predictor)
        return {"service": "here", "images": 1}

    monkeypatch.setattr(ask_first, "ask_service", ask)
    return asked
