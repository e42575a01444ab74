"""The people of the demo: labelers who answer a blind audit, not all of them careful, and users who get annoyed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx
import numpy as np

from contract.errors import TrueupError
from pipeline.demo.traffic import Answer, make_authorization

CLASSES = [str(d) for d in range(10)]
# Share of their judgements that are wrong. All three judge each item of the audit: the majority counts, and how often they
# agree is told (labeler agreement).
LABELERS = {"alice": 0.005, "bob": 0.01, "carol": 0.03}
CORRECTS_WRONG, CONFIRMS_RIGHT = 0.30, 0.01  # of the answers: people write when something annoys them


class LabelsRefused(TrueupError):
    """The service did not take labels that the demo's people gave."""


@dataclass
class Labeler:
    """Somebody with a key of role `label`, who names the true class, except in a share `wrong` of the judgements."""

    name: str
    key: str
    wrong: float
    rng: np.random.Generator

    def judge(self, truth: str) -> str:
        """Returns the truth, or with probability `wrong` another class."""
        if self.rng.random() >= self.wrong:
            return truth
        return str(self.rng.choice([c for c in CLASSES if c != truth]))


def answer_audit(url: str, labelers: Iterable[Labeler], model: str, day: str, truths: Mapping[str, str],
                 most: int | None = None) -> int:
    """Lets the labelers answer a day's blind audit in turn, until nothing waits or `most` items were answered.

    `truths` maps prediction ids to what the pictures show. Returns the number of labels.
    """
    waiting = {labeler.name: labeler for labeler in labelers}
    answered = 0
    with httpx.Client(base_url=url, timeout=30) as client:
        while waiting and (most is None or answered < most):
            for labeler in list(waiting.values()):
                given = _answer_batch(client, labeler, model, day, truths)
                if not given:
                    del waiting[labeler.name]
                answered += given
    return answered


def _answer_batch(client: httpx.Client, labeler: Labeler, model: str, day: str, truths: Mapping[str, str]) -> int:
    asked = client.get("/audit", params={"format": "json", "model": model, "day": day, "size": 20},
                       headers=make_authorization(labeler.key))
    batch = _check(asked, 200)
    if not batch["items"]:
        return 0
    answers = [{"prediction_id": i["prediction_id"], "label": labeler.judge(truths[i["prediction_id"]])}
               for i in batch["items"]]
    body = {"model": model, "day": day, "batch": batch["batch"], "answers": answers}
    _check(client.post("/audit", json=body, headers=make_authorization(labeler.key)), 201)
    return len(answers)


def send_feedback(url: str, key: str, answers: Iterable[Answer], rng: np.random.Generator) -> int:
    """Lets users correct some wrong answers and confirm few right ones, a biased sample; returns how many."""
    labels = [{"prediction_id": a.prediction_id, "label": a.truth, "saw_prediction": True}
            for a in answers if rng.random() < (CONFIRMS_RIGHT if a.right else CORRECTS_WRONG)]
    if labels:
        _check(httpx.post(f"{url}/v1/labels", json={"labels": labels}, headers=make_authorization(key), timeout=30), 201)
    return len(labels)


def _check(response: httpx.Response, expected: int) -> dict:
    if response.status_code != expected:
        raise LabelsRefused(f"{response.request.method} {response.request.url.path}: expected {expected}, "
                            f"got {response.status_code}: {response.text[:300]}")
    return response.json()
