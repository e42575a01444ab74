"""What mistakes cost and from where on an answer may pass, by trying every threshold on the rows (docs/costs.md)."""

import json
import math

import numpy as np
import pytest

from tests.by_text.log import evaluate, read_items, write_log
from tests.by_text.random_log import CLASSES, make_rows


def draw_costs(rng):
    costs = {}
    for label in CLASSES:
        for predicted in CLASSES:
            if label != predicted and rng.random() < 0.6:
                costs.setdefault(label, {})[predicted] = float(rng.choice([0, 0.5, 2, 10, 50]))
    if rng.random() < 0.3:
        costs["≠"] = {"dog": 7.0}
    return costs


class Rows:
    """Rows of one version and origin: cost and weight of each."""

    def __init__(self, items, costs, default, weighted):
        self.items = [row for row in items if not weighted or row["selection_probability"] is not None]
        self.costs, self.default, self.weighted = costs, default, weighted

    def cost(self, label, predicted):
        if label == predicted:
            return 0.0
        if label == "≠" and predicted not in self.costs.get("≠", {}):
            others = [c for c in CLASSES if c != predicted]
            return sum(self.cost(c, predicted) for c in others) / len(others)
        return self.costs.get(label, {}).get(predicted, self.default)

    def weigh(self, rows):
        return sum(math.floor(2**16 / row["selection_probability"]) if self.weighted else 1 for row in rows)

    def total(self, rows):
        return sum(self.weigh([row]) * self.cost(row["label"], row["predicted"]) for row in rows)

    def mean(self, rows):
        return 1000 * self.total(rows) / self.weigh(rows) if rows else None

    def choose(self, rows, review):
        """(cost, threshold as a bin, accepted rows) of the cheapest of all 21 thresholds, the highest of several."""
        found = []
        for k in range(21):
            accepted = [row for row in rows if row["confidence"] >= k / 20] if k < 20 else []
            looked_at = self.weigh(rows) - self.weigh(accepted)
            found.append((round(self.total(accepted) + review * looked_at, 6), -k, accepted))
        return min(found, key=lambda each: each[:2])


def compare(capsys, root, seed, n):
    rng = np.random.default_rng(seed)
    write_log(root, *make_rows(seed, n, accuracy=0.75, uneven=seed % 2 == 0))
    costs, default, review = draw_costs(rng), float(rng.choice([0.3, 1, 4])), float(rng.choice([0.1, 0.5, 1, 3]))
    options = ["--set", f"gates.costs={json.dumps(costs, ensure_ascii=False)}", "--set", f"gates.default_cost={default}",
               "--set", f"gates.review_cost={review}"]
    found = evaluate(capsys, root, options=("--as-of", "2026-11-25", "--items", *options))
    for version, cost in found["evidence"]["cost"]["versions"].items():
        basis = found["versions"][version]["estimate"]
        rows = Rows([row for row in read_items(root) if (row["model_version"], row["origin"]) == (version, basis["origin"])],
                    costs, default, basis["weighted"])
        assert cost["per_1000"]["value"] == pytest.approx(rows.mean(rows.items))
        assert {of_class["label"] for of_class in cost["per_class"]} == set(CLASSES)
        assert {line["predicted"] for line in cost["thresholds"]} <= set(CLASSES)
        for of_class in cost["per_class"]:
            answers = [row for row in rows.items if row["predicted"] == of_class["label"]]
            shown = [row for row in rows.items if row["label"] == of_class["label"]]
            assert of_class["as_answer"]["value"] == pytest.approx(rows.mean(answers))
            assert of_class["as_label"]["value"] == pytest.approx(rows.mean(shown))
        together = 0.0
        for line in cost["thresholds"]:
            answers = [row for row in rows.items if row["predicted"] == line["predicted"]]
            least, place, accepted = rows.choose(answers, review)
            if line["answers"] < 20:
                least, accepted = rows.weigh(answers) * review, []
            else:
                assert line["per_1000"] == pytest.approx(1000 * least / rows.weigh(answers))
                assert line["accepted"] == pytest.approx(rows.weigh(accepted) / rows.weigh(answers))
                assert line["accepted_cost"]["value"] == pytest.approx(rows.mean(accepted))
            assert line["threshold"] == (-place / 20 if accepted else None)
            together += least
        if cost["with_thresholds"]:
            assert cost["with_thresholds"]["per_1000"] == pytest.approx(1000 * together / rows.weigh(rows.items))
    return len(found["evidence"]["cost"]["versions"])


def test_costs_are_those_of_the_rows_and_thresholds_the_cheapest(capsys, tmp_root):
    assert compare(capsys, tmp_root, 1, 250) == 2  # where two thresholds cost the same but for rounding


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", range(2, 22))
def test_costs_on_more_logs(capsys, tmp_root, seed):
    compare(capsys, tmp_root, seed, 400)
