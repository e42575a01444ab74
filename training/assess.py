"""Compares a candidate with the live version on the same held-out rows, and says what the promotion gate makes of it.

    trueup assess --root R --model M --candidate V [--live V] [--dataset ID] [--json]
    python -m training.assess …

Nothing is promoted here. Asked by a run (`--run`) it gives no verdict: the cycle decides by the policy that the run began with.

The candidate is also started in a service process of its own and asked a few of the rows over HTTP (training/trial.py).
Of what trains and compares versions, this alone opens the holdout's files. Every row's hash is checked against the
training rows of the candidate and of all versions that it descends from. The held-out rows of the first dataset of that line
are asked, too: `first` of the document says what a version forgot (training/forgetting.py).
"""

import time
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.tracking.tracking import tell, write_told
from command.tracking.versions import log_assessment
from contract.assessed.first_holdout import find_newest
from contract.documents import manifest
from contract.documents.card import Card
from contract.documents.manifest import Manifest, read_index
from contract.errors import EmptyData, LeakageFound, NotFound, TrueupError, UsageError, pass_over
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.store import Storage
from metrics.judging.promotion import compare_by_interval, judge_assessment
from training import compare, forgetting
from training.assess_text import choose_next, write_text
from training.compare import Answers
from training.feed import reader
from training.fit.launch import wait_passively
from training.trial import Trial

BATCH = 64
TIMES, TRIED = 20, 5  # pictures that are asked one at a time for the latency; that a service process is asked


@stage_command("assess", help="Compare a candidate with the live version on the same held-out rows.")
@click.option("--model", help="Name of the model.")
@click.option("--candidate", required=True, help="The candidate's version.")
@click.option("--live", help="The version it is compared with. [default: the live version]")
@click.option("--dataset", help="Its holdout is used. [default: the candidate's dataset]")
@click.option("--run", "run_key", help="Key of the run that asks; named in the document.")
def command(settings: Settings, model: str | None, candidate: str, live: str | None, dataset: str | None,
            run_key: str | None) -> Outcome:
    """Assesses; exit code 0 whatever the figures and the verdict."""
    wait_passively()
    settings = with_options(settings, model=model)
    storage = open_root(settings.need_root())
    registry = Registry(storage, settings.need_model())
    compared = live or registry.live()
    if candidate == compared:
        raise UsageError(f"--candidate {candidate}: expected another version than the one it is compared with. Name that one "
                         f"with --live" + ("." if live else f"; version {candidate} is live."))
    found = assess(storage, registry, candidate, compared, dataset)
    told = tell(settings.track, lambda store: log_assessment(store, registry, candidate, found))
    judged = {"judged": judge(settings, found, registry)} if run_key is None else {}
    document = found | {"run": run_key} | judged | ({"tracking": told} if told else {})
    return Outcome(document=document, text=write_text(document) + write_told(told))


def judge(settings: Settings, found: dict[str, Any], registry: Registry) -> dict[str, Any]:
    """Judges an assessment: which version is better by the difference over all rows, the promotion gate's decision by the policy,
    and the command that comes next, which depends on what is live now."""
    newest, _ = registry.newest_known()
    decision = judge_assessment(settings.gates, found, settings.promotion.min_accuracy, max_ece=settings.promotion.max_ece)
    return {"compared": compare_by_interval(found["overall"]["difference"]), "decision": decision,
            "next": choose_next(settings, found, decision["verdict"], newest.state.live if newest else None)}


def assess(storage: Storage, registry: Registry, candidate: str, live: str, dataset: str | None = None) -> dict[str, Any]:
    """The assessment document. EmptyData: no holdout; LeakageFound: a row of it was trained on; Mismatch: other rows;
    TrialFailed: a service process with the candidate does not answer, or answers otherwise."""
    cards = {"live": registry.card(live), "candidate": registry.card(candidate)}
    of = dataset or cards["candidate"].dataset
    if of is None:
        raise EmptyData(f"version {candidate} names no dataset: name one with --dataset, whose holdout both are asked.")
    made = manifest.load(storage, of)
    if not made.rows["holdout"]:
        raise EmptyData(f"dataset {of}: expected held-out rows, it has none. Widen the window, or raise "
                        f"dataset.holdout_share.")
    leakage = check_leakage(storage, registry, made, cards.values())
    loaded = {side: registry.load(card.version) for side, card in cards.items()}
    cards = {side: card for side, (card, _) in loaded.items()}
    weights = {side: data for side, (_, data) in loaded.items()}
    converted = {side: registry.load_converted(card) for side, card in cards.items()}
    # It starts while the rows are asked.
    with Trial(cards["candidate"], weights["candidate"], converted["candidate"]) as trial:
        sides = {side: Side(card, weights[side], made.classes, converted[side]) for side, card in cards.items()}
        rows = _ask(storage, made, sides.values())
        tried = trial.check(rows.samples[:TRIED], sides["candidate"].first[:TRIED])
    for side in sides.values():
        side.time(rows.samples)
    first = _ask_first(storage, registry, sides)
    return _make_document(made, sides, rows, leakage) | {"trial": tried, "first": first}


def _ask_first(storage: Storage, registry: Registry, sides: dict[str, "Side"]) -> dict[str, Any] | None:
    """What both sides answer to the held-out rows of the first dataset of the candidate's line; None where none is known."""
    first = forgetting.find_first(storage, registry, sides["candidate"].card.version)
    if first is None:
        return None
    try:
        leakage = check_leakage(storage, registry, first.made, [side.card for side in sides.values()])
        asked = {name: side.turn_to(first.made.classes) for name, side in sides.items()}
        earlier = (find_newest(registry, sides["live"].card.version, first.made.dataset) or {"versions": []})["versions"]
        if first.version not in {side.card.version for side in sides.values()} and (
                start := _open_start(registry, first)) is not None:
            asked["start"] = start
        rows = _ask(storage, first.made, asked.values())
    except (LeakageFound, NotFound) as error:
        pass_over(error)
        return forgetting.describe_unknown(first, str(error))
    return forgetting.describe(first, rows.truth, rows.origin, {name: side.answers() for name, side in asked.items()},
                               {name: side.card.version for name, side in asked.items()}, earlier, leakage)


def _open_start(registry: Registry, first: forgetting.First) -> "Side | None":
    """The version that was trained on the first dataset; None when it cannot be asked any more, because it was deleted, say."""
    try:
        card, weights = registry.load(first.version)
        return Side(card, weights, first.made.classes, registry.load_converted(card))
    except TrueupError as error:
        pass_over(error)
        return None


def check_leakage(storage: Storage, registry: Registry, made: Manifest, cards: Iterable[Card]) -> dict[str, Any]:
    """No held-out row may stand in a training set of either version or of what they descend from.

    Versions brought from outside have an unknown training set, and are named.
    """
    held = list_hashes(storage, made, "holdout")
    checked, unknown = [], []
    for card in registry.ancestors(*(card.version for card in cards)):
        if card.dataset is None:
            unknown.append(card.version)
            continue
        checked.append({"version": card.version, "dataset": card.dataset})
        seen = held & list_hashes(storage, manifest.load(storage, card.dataset), "train")
        if seen:
            raise LeakageFound(f"dataset {made.dataset}: {len(seen)} held-out rows (for example image {min(seen)}) are training "
                               f"rows of version {card.version} (dataset {card.dataset}). Nothing can be told from them; "
                               f"assess on the dataset that the candidate was trained with.")
    return {"rows_in_training": 0, "checked": checked, "unknown_training_set": unknown}


def list_hashes(storage: Storage, made: Manifest, split: str) -> set[str]:
    """Image hashes of a split, from the index; the split's own files stay closed."""
    table = read_index(storage, made, ("image_sha256", "split"))
    return {h for h, s in zip(*(c.to_pylist() for c in table.columns), strict=True) if s == split}


class Side:
    """One version being asked, through the class that serves; its answers are collected."""

    def __init__(self, card: Card, weights: bytes, classes: Sequence[str], converted: bytes | None = None) -> None:
        from inference.model.predictor import Predictor

        self.card, self.predictor = card, Predictor(card, weights, converted=converted)
        self.bytes = len(weights)
        self.milliseconds: list[float] = []
        self._begin(classes)

    def _begin(self, classes: Sequence[str]) -> None:
        place = {label: n for n, label in enumerate(classes)}
        self.place = np.array([place.get(label, -1) for label in self.card.classes])
        # Of each batch: places in the version's own classes, and their probabilities; as calibrated, and without that.
        self.named: list[np.ndarray] = []
        self.confidence: list[np.ndarray] = []
        self.raw_named: list[np.ndarray] = []
        self.raw_confidence: list[np.ndarray] = []
        self.first: list[tuple[str, float]] = []  # label and probability of the first batch's answers

    def turn_to(self, classes: Sequence[str]) -> "Side":
        """The same version, to be asked the rows of another dataset, whose classes these are."""
        other = copy(self)
        other._begin(classes)
        return other

    def ask(self, images: Sequence[bytes]) -> None:
        """Answers some encoded images."""
        logits = self.predictor.ask([self.predictor.prepare(data) for data in images])
        rows = self.predictor.to_probabilities(logits)
        best, confidence = _pick_best(rows)
        if not self.first:
            self.first = [(self.card.classes[n], float(row[n])) for n, row in zip(best, rows, strict=True)]
        self.named.append(best)
        self.confidence.append(confidence)
        if self.card.calibration is not None:
            best, confidence = _pick_best(self.predictor.to_probabilities(logits, calibrated=False))
            self.raw_named.append(best)
            self.raw_confidence.append(confidence)

    def time(self, images: Sequence[bytes]) -> None:
        """Milliseconds from bytes to answer, one picture at a time; the first answer warms up and is not counted."""
        for n, data in enumerate(images):
            began = time.perf_counter()
            self.predictor.probabilities(self.predictor.stack([self.predictor.prepare(data)]))
            if n:
                self.milliseconds.append(1000 * (time.perf_counter() - began))

    def answers(self) -> Answers:
        """All answers so far."""
        return self._collect(self.named, self.confidence)

    def raw_answers(self) -> Answers | None:
        """The same without the card's calibration; None without one."""
        return self._collect(self.raw_named, self.raw_confidence) if self.raw_named else None

    def _collect(self, parts: Sequence[np.ndarray], confidence: Sequence[np.ndarray]) -> Answers:
        named = np.concatenate(parts)
        return Answers(self.place[named], np.concatenate(confidence), named, self.card.classes)


def _pick_best(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place and the probability of each row's answer."""
    best = rows.argmax(1)
    return best, rows[np.arange(len(rows)), best].astype(float)


@dataclass
class Rows:
    """What is known of the held-out rows, in order."""

    truth: np.ndarray  # places in the dataset's classes
    origin: list[str]
    day: list[str]
    p: np.ndarray  # selection probabilities, NaN where unknown
    samples: list[bytes]  # the first images, encoded
    alone: list[str | None]  # who alone named the label; None: several people, or not known


def _ask(storage: Storage, made: Manifest, sides: Collection[Side]) -> Rows:
    files = made.split("holdout")
    alone_of = find_labelled_alone(storage, made)
    truth, origin, day, p, alone = [], [], [], [], []
    first: list[bytes] = []
    batch: list[bytes] = []
    for sample in reader.read_rows(storage, files, 0, made.rows["holdout"]):
        truth.append(sample.label_index)
        origin.append(sample.origin)
        day.append(sample.day)
        alone.append(alone_of.get(sample.image_sha256))
        p.append(np.nan if sample.selection_probability is None else sample.selection_probability)
        batch.append(bytes(sample.image))
        if len(first) <= TIMES:
            first.append(batch[-1])
        if len(batch) == BATCH:
            _ask_all(sides, batch)
            batch = []
    if batch:
        _ask_all(sides, batch)
    return Rows(np.array(truth), origin, day, np.array(p, float), first, alone)


def find_labelled_alone(storage: Storage, made: Manifest) -> dict[str, str]:
    """Image hash -> who alone named the label, of the held-out rows where one person did."""
    table = read_index(storage, made, ("image_sha256", "split", "labelers"))
    return {row["image_sha256"]: row["labelers"][0] for row in table.to_pylist()
            if row["split"] == "holdout" and row["labelers"] and len(row["labelers"]) == 1}


def _ask_all(sides: Collection[Side], batch: Sequence[bytes]) -> None:
    for side in sides:
        side.ask(batch)


def _make_document(made: Manifest, sides: dict[str, Side], rows: Rows, leakage: dict[str, Any]) -> dict[str, Any]:
    answers = {name: side.answers() for name, side in sides.items()}
    live, candidate = answers["live"], answers["candidate"]
    days, first = np.asarray(rows.day, object), made.window.get("from") or min(rows.day)
    newest, in_window = days == max(rows.day), days >= first  # a replayed row of an earlier day is no new one
    by_origin = compare.compare_groups(rows.truth, live, candidate, rows.origin)
    figures = {name: compare.measure_version(rows.truth, answers[name], made.classes, rows.origin, rows.p, side.card.version)
               for name, side in sides.items()}
    return {
        "schema": "1", "model": sides["live"].card.model, "dataset": made.dataset, "rows": len(rows.truth),
        "versions": {name: _describe_side(side, figures[name])
                     | compare.compare_calibrations(rows.truth, answers[name], side.raw_answers(), made.classes, rows.origin)
                     for name, side in sides.items()},
        "overall": compare.compare_paired(rows.truth, live, candidate),
        "disagreement": compare.count_differing(live, candidate),
        "weighted_difference": compare.compare_weighted(rows.truth, live, candidate, rows.p),
        "per_class": compare.compare_classes(rows.truth, live, candidate, made.classes),
        "by_origin": by_origin,
        "per_class_by_origin": compare.count_by_class_and_origin(rows.truth, live, candidate, made.classes, rows.origin),
        "newest": {"day": max(rows.day), **compare.compare_paired(rows.truth, live, candidate, newest)},
        "window": {"from": first, "to": made.window.get("to"),
                   "by_origin": compare.compare_groups(rows.truth, live, candidate, rows.origin, in_window)},
        "without": compare.leave_out_each(rows.truth, live, candidate, rows.origin, in_window, rows.alone),
        "leakage": leakage,
    }


def _describe_side(side: Side, figures: dict[str, Any]) -> dict[str, Any]:
    card = side.card
    return {"version": card.version, "network": card.network, "weights_sha256": card.weights_sha256, "weights_bytes": side.bytes,
            "dataset": card.dataset, "parent": card.parent, "classes": len(card.classes),
            "calibration_error": figures["calibration"]["ece"],
            "latency_ms": round(float(np.median(side.milliseconds)), 3) if side.milliseconds else None, **figures}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `trueup assess`."""
    return run(command, argv, prog_name="trueup assess")


if __name__ == "__main__":
    end_with(main)
