"""A root of two versions whose evaluation has every section of evidence, and a verdict that one labeler decides."""

import hashlib
import random
from datetime import timedelta

from contract import clock, ids, layout, samples
from contract.confidence import confidence_bin
from contract.documents.repeat import BlindRepeat
from contract.records import LABEL, PREDICTION
from contract.samples import Design
from contract.sequence import NumberedDocuments
from contract.storage import open_storage
from jobs import evaluate
from jobs.evidence.sections import SECTIONS
from pipeline import gate
from tests.pipeline.roots import MODEL, make_root, put_rows

LAST = clock.day_of(clock.now() - timedelta(days=1))
DAYS = [clock.day_of(clock.parse_moment(LAST) - timedelta(days=n)) for n in range(3, -1, -1)]
CLASSES = ("a", "b", "a class with a rather long name and-one-very-long-word-without-a-space")
POISONER = "a-labeler-with-a-long-name-who-calls-everything-wrong"
WRONG = {"ana": 0.02, "ben": 0.04, "carol": 0.08}
POLICY = ("gates.estimate=combined", "gates.costs={a: {b: 50}}", "gates.review_cost=0.2", "gates.max_cost_per_1000=20000",
          "gates.min_class_recall=null")


def make(root: str) -> str:
    """Fills a root, evaluates with all sections and judges; returns the evaluation's id."""
    storage, rng = open_storage(root), random.Random(4)
    make_root(root, right=9, n=10, day=DAYS[0])
    for day in DAYS:
        sample = samples.draw(MODEL, day, "audit", Design("random-audit", "s", p=0.25, judges=3, second_share=0.5))
        samples.write(storage, sample)
        rows = _predict(day, "1" if day != DAYS[0] else "2", rng)
        put_rows(storage, PREDICTION, "predictions", [row for row, _ in rows], day, "9")
        put_rows(storage, LABEL, "labels", list(_label(rows, sample, rng)), day, "9")
        for row, truth in rng.sample(rows, 15):
            _repeat(storage, row, truth, day, rng.choice(sorted(WRONG)))
    options = [word for setting in POLICY for word in ("--set", setting)]
    asked = [word for name in SECTIONS for word in ("--evidence", name)]
    assert evaluate.main(["--root", root, "--model", MODEL, "--as-of", LAST, *asked, *options]) == 0
    assert gate.main(["--root", root, "--model", MODEL, *options]) == 4
    (made,) = storage.folders(layout.evaluations(MODEL))
    return made


def read_report(root: str, evaluation_id: str) -> str:
    """The report's HTML."""
    return open_storage(root).read(layout.report(MODEL, evaluation_id)).decode()


def _predict(day, version, rng):
    noon, found = clock.parse_moment(f"{day}T06:00:00Z"), []
    for i in range(600):
        truth, confidence = rng.choice(CLASSES), rng.uniform(0.85, 1) if rng.random() < 0.9 else rng.uniform(0.5, 0.9)
        said = truth if rng.random() < confidence else rng.choice([c for c in CLASSES if c != truth])
        at = noon + timedelta(seconds=i)
        name = ids.uuid7(at, entropy=hashlib.sha256(f"{day}{i}".encode()).digest()[:10])
        found.append(({"prediction_id": name, "predicted_at": at, "recorded_at": at, "model": MODEL, "model_version": version,
                       "predicted_label": said, "confidence": confidence, "role": "live", "client": f"kiosk-{i % 2}"}, truth))
    return found


def _label(rows, sample, rng):
    triples = [(row["prediction_id"], row["predicted_label"], confidence_bin(row["confidence"])) for row, _ in rows]
    for i, p in samples.draw_rows(sample, triples):
        row, truth = rows[i]
        judges = samples.opinions(sample, row["prediction_id"])
        who = [POISONER] if judges == 1 and rng.random() < 0.35 else rng.sample(sorted(WRONG), judges)
        for name in who:
            said = _say(name, truth, row["predicted_label"], rng)
            yield _row(row, said, name, origin="audit", saw_prediction=False, selection_probability=p)
    for row, truth in rows:
        right = truth == row["predicted_label"]
        if rng.random() < (0.02 if right else 0.4):
            yield _row(row, truth, f"user-{rng.randrange(30)}", origin="feedback", saw_prediction=True)


def _say(who, truth, predicted, rng):
    avoided = predicted if who == POISONER else truth if rng.random() < WRONG[who] else None
    return truth if avoided is None else rng.choice([c for c in CLASSES if c != avoided])


def _row(prediction, label, who, **more):
    at = prediction["predicted_at"] + timedelta(hours=1)
    name = hashlib.sha256(f"{prediction['prediction_id']}{who}{more['origin']}".encode()).digest()[:10]
    return {"label_id": ids.uuid7(at, entropy=name), "prediction_id": prediction["prediction_id"], "label": label,
            "labeler": who, "labeled_at": at, "recorded_at": at} | more


def _repeat(storage, row, truth, day, who):
    at = clock.iso(row["predicted_at"] + timedelta(hours=2))
    made = BlindRepeat(model=MODEL, role="live", day=day, prediction_id=row["prediction_id"], predicted=row["predicted_label"],
                       image_sha256="0" * 64, labeler=who, share=0.05, at=at, seen=row["predicted_label"], seen_at=at,
                       blind=truth, blind_at=at)
    NumberedDocuments(storage, layout.repeat(MODEL, who, row["prediction_id"])).append(made.to_dict(), after=0)
