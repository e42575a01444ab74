"""Corrects a version's probabilities on rows that neither trained its weights nor judge it: the validation rows of its dataset.

After the last epoch, on the final weights, through the class that serves, in one process: whatever the number of ranks and
however often training was resumed, the same weights get the same numbers (docs/calibration.md).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contract.documents.card import Calibration, Card
from contract.documents.manifest import Manifest
from contract.stores.store import Storage
from contract.texts.figures import write_count

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

NONE, TEMPERATURE, VECTOR = "none", "temperature", "vector"
BATCH = 64
LEAST_ROWS, LEAST_ROWS_A_CLASS = 30, 10  # for a temperature; for vector scaling, times the classes
# One number needs no more; outputs of so many rows and classes are 160 MB in float64.
MOST_ROWS, MOST_OUTPUTS = 20_000, 20_000_000


class Row(NamedTuple):
    """An encoded picture, and its label's place in the version's classes."""

    image: bytes
    place: int


def calibrate_trained(storage: Storage, made: Manifest, card: Card, weights: bytes, method: str,
                      converted: bytes | None = None) -> Calibration | None:
    """Fits the calibration of a version that was trained on a dataset, by `train.calibrate`; None, and said on standard error,
    where the dataset has too few validation rows. Rows of classes that the version does not know are left out: a dataset that is
    not its own may have more, and in another order. `converted`: the version's network in the form of its runtime."""
    from inference.model.predictor import Predictor
    from training.feed import reader

    rows = min(made.rows["validation"], MOST_ROWS, MOST_OUTPUTS // len(card.classes))
    if method == NONE or not _are_enough(rows, "validation row"):
        return None
    place = {label: n for n, label in enumerate(card.classes)}
    samples = (Row(bytes(row.image), place[label]) for row in reader.read_rows(storage, made.split("validation"), 0, rows)
               if (label := made.classes[row.label_index]) in place)
    return calibrate(Predictor(card, weights, converted=converted), samples, method, f"validation rows of dataset {made.dataset}")


def calibrate(predictor: Predictor, rows: Iterable[Row], method: str, fitted_on: str) -> Calibration | None:
    """Fits `method`, temperature or vector, on rows that the version was not trained on; a calibration that its card has is
    left out of account. None, and said, where there are too few; too few for vector alone: a temperature, and said.

    `fitted_on` ends the sentence that says what it rests on. BadImage, NotFinite.
    """
    from training.fit import scaling

    asked = list(_ask(predictor, iter(rows)))
    if not _are_enough(sum(len(truth) for _, truth in asked), "row"):
        return None
    logits, truth = (np.concatenate(parts) for parts in zip(*asked, strict=True))
    n, least = len(truth), LEAST_ROWS_A_CLASS * len(predictor.card.classes)
    if method == VECTOR and n < least:
        print(f"calibration: vector scaling of {write_count(len(predictor.card.classes), 'class')} needs {least} rows, there are "
              f"{n}: a temperature is fitted instead", file=sys.stderr)
        method = TEMPERATURE
    before = scaling.measure_loss(logits, truth)
    if method == TEMPERATURE:
        temperature = scaling.fit_temperature(logits, truth)
        after = scaling.measure_loss(logits / temperature, truth)
        return Calibration(method="temperature", temperature=temperature, rows=n, fitted_on=fitted_on, loss_before=before,
                           loss_after=after)
    found = scaling.fit_vector(logits, truth)
    return Calibration(method="vector", scale=found.scale.tolist(), bias=found.bias.tolist(), rows=n, fitted_on=fitted_on,
                       loss_before=before, loss_after=scaling.measure_loss(logits * found.scale + found.bias, truth))


def describe(calibration: Calibration | None) -> str:
    """Says what a version's probabilities rest on, as the end of a sentence."""
    if calibration is None:
        return "not calibrated"
    how = f"temperature {calibration.temperature:g}" if calibration.temperature is not None else "vector scaling"
    return f"calibrated on {calibration.rows} {calibration.fitted_on} ({how})"


def _are_enough(rows: int, noun: str) -> bool:
    if rows < LEAST_ROWS:
        print(f"no calibration is fitted: expected {LEAST_ROWS} or more, got {write_count(rows, noun)}", file=sys.stderr)
    return rows >= LEAST_ROWS


def _ask(predictor: Predictor, rows: Iterator[Row]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (float64 logits [n, classes], int [n] places), batch by batch, in order."""
    while some := list(islice(rows, BATCH)):
        logits = predictor.ask([predictor.prepare(row.image) for row in some])
        yield logits.cpu().double().numpy(), np.array([row.place for row in some])
