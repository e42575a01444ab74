"""Random small logs with everything that rules 3 and 4 know: weights, origins, `≠`, withdrawals, ties, votes that name nobody."""

from datetime import UTC, datetime, timedelta

import numpy as np

CLASSES, DAYS = ("cat", "dog", "owl"), ("2026-11-18", "2026-11-19")
PEOPLE = ("anna", "ben", "KEY/carl", "KEY/dora", "K2", None)
ORIGINS = {"audit": 0.4, "import": 0.3, "review": 0.1, "feedback": 0.1, None: 0.05, "odd": 0.05}


def make_rows(seed, n, accuracy=0.85, votes=2.2, people=None, poisoner=None, uneven=True):
    """Predictions and labels. `people`: the share of votes of each of PEOPLE; `poisoner` calls every answer wrong."""
    rng, predictions, labels = np.random.default_rng(seed), [], []
    shares = rng.dirichlet(np.full(len(PEOPLE), 0.8)) if people is None else people
    skill = {who: rng.uniform(0.6, 1) for who in PEOPLE}
    for i in range(n):
        day, truth = DAYS[rng.integers(2)], CLASSES[rng.choice(3, p=(0.5, 0.3, 0.2))]
        said, name = truth if rng.random() < accuracy else CLASSES[rng.integers(3)], f"p{i:05d}"
        predictions.append({"prediction_id": name, "day": day, "predicted_label": said,
                            "confidence": round(rng.uniform(0.2, 1), 3), "model_version": "1" if rng.random() < 0.9 else "2",
                            "client": (None, "KEY", "K2", "K3")[rng.choice(4, p=(0.2, 0.2, 0.2, 0.4))]})
        for vote in range(rng.poisson(votes)):
            who, origin = PEOPLE[rng.choice(len(PEOPLE), p=shares)], tuple(ORIGINS)[rng.choice(6, p=tuple(ORIGINS.values()))]
            label = truth if rng.random() < skill[who] else CLASSES[rng.integers(3)]
            label = CLASSES[(CLASSES.index(said) + 1) % 3] if poisoner and who == poisoner else label
            unnamed = rng.random() < 0.06
            labels.append({
                "label_id": f"l{i}-{vote}" if rng.random() < 0.9 else None, "prediction_id": name, "labeler": who,
                "origin": origin,
                "label": "≠" if unnamed else label, "shown_label": (None, said, "dog")[rng.integers(3)] if unnamed else None,
                "labeled_at": datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=13 + int(rng.integers(3))),
                "saw_prediction": bool(rng.random() < 0.05) if origin == "audit" else (None, True, False)[rng.integers(3)],
                "withdraws": True if rng.random() < 0.05 else None,
                "selection_probability": (None, 0.5, 0.1, 1.0, 0.25)[rng.integers(5)] if uneven else None})
    return predictions, labels
