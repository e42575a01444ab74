"""A root in which a search can be tried without pictures: its trials are the formula of tests/training/tuning/conftest.py."""

from contract import layout
from contract.storage import open_root
from tests.pipeline import small_dataset
from tests.pipeline.roots import MODEL, make_root

DATASET = "d1"
OPTIONS = ["--dataset", DATASET, "--epochs", "1", "--sampler", "grid", "--set", "tune.space={lr: [0.1, 0.01, 0.003]}"]


def make(root):
    """Version 1 is live, and there is a dataset with validation rows, by its manifest."""
    storage = open_root(make_root(root, right=1, n=2))
    made = small_dataset.put(storage, DATASET, MODEL)
    rows = {"train": 8, "validation": 4, "holdout": 4}
    storage.put(layout.manifest(DATASET), made.model_copy(update={"rows": rows, "classes": ["a", "b"]}).to_bytes())
    return root
