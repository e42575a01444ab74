"""A root whose first two days were audited at random and judged, and whose third waits for a planned audit."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from contract import samples
from contract.records import LABEL, PREDICTION
from contract.samples import Design
from contract.storage import open_root, open_storage
from inference.labelling.items import DrawnItems, count_cells
from jobs import evaluate
from pipeline import gate

MODEL, CLASSES = "m", "abcde"
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")


def at(day, hours=12):
    return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hours)


class Traffic:
    """What the service answered of a day, and the truth: confidence is calibrated, 0.9 on average."""

    def __init__(self, day, n, seed):
        rng = np.random.default_rng(seed)
        self.day, self.ids = day, [f"{day}-{i}" for i in range(n)]
        self.confidence = rng.beta(1.35, 0.15, n)
        predicted, other = rng.integers(0, 5, n), rng.integers(1, 5, n)
        right = rng.random(n) < self.confidence
        self.predicted = [CLASSES[k] for k in predicted]
        self.truth = dict(zip(self.ids, (CLASSES[k] for k in np.where(right, predicted, (predicted + other) % 5)), strict=True))
        self.accuracy = float(right.mean())

    def ship(self, root):
        rows = [{"prediction_id": i, "predicted_at": at(self.day), "model": MODEL, "model_version": "1", "predicted_label": p,
                 "confidence": c, "role": "live", "attributes": [("camera", "12"[n % 2])]}
                for n, (i, p, c) in enumerate(zip(self.ids, self.predicted, self.confidence.tolist(), strict=True))]
        put(root, self.day, "predictions", rows)

    def answer(self, root):
        """Answers all that the day's audit asks about, as the page would keep it."""
        storage = open_root(root)
        sample = samples.read(storage, MODEL, self.day, "audit")
        asked = DrawnItems(storage, sample).read_all()
        put(root, self.day, "labels", [
            {"prediction_id": i, "label": self.truth[i], "labeler": "ann", "labeled_at": at(self.day, 20), "origin": "audit",
             "saw_prediction": False, "selection_probability": item.p, "strategy": sample.strategy, "label_id": f"l-{i}"}
            for i, item in asked.items()])
        return asked


def put(root, day, where, rows):
    path = open_storage(root).path(f"{where}/dt={day}/a.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, (PREDICTION if where == "predictions" else LABEL).arrow()), path)


def make_root(root, n=3000, judged=True):
    """Makes the root; `judged`: the first two days were audited, evaluated and decided on. Returns each day's traffic."""
    storage = open_root(root, create=True)
    traffic = [Traffic(day, n, seed) for seed, day in enumerate(DAYS)]
    for one in traffic:
        one.ship(root)
    for one in traffic[:2] if judged else ():
        samples.write(storage, samples.draw(MODEL, one.day, "audit", Design("random-audit", "s", p=0.05),
                                            count_cells(storage, MODEL, one.day)))
        one.answer(root)
    if judged:
        run_evaluate(root)
        gate.main(["--root", root, "--model", MODEL])
    return traffic


def run_evaluate(root, *options):
    slices = ("--set", "evaluate.slices={camera: attributes.camera}")
    assert evaluate.main(["--root", root, "--model", MODEL, *slices, *options]) == 0
