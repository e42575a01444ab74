"""The consensus by a fit of labelers, written down from rules 4 and 4a of docs/design.md, against the items of two engines."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.labelers import command as labelers
from tests.by_text.log import evaluate, read_items, run, write_log
from tests.by_text.random_log import DAYS, make_rows

ORDER = ("audit", "review", "import", "feedback")


class Fit:
    """What a fit's files say, by the words of the design."""

    def __init__(self, root, name):
        folder = Path(root, "fits", "m", name)
        self.priors = {c["label"]: c["score"] for c in json.loads((folder / "fit.json").read_text())["classes"]}
        self.people = {row["labeler"]: row for row in pq.read_table(next(folder.glob("labelers-*"))).to_pylist()}
        cells = [row for file in folder.glob("confusion-*") for row in pq.read_table(file).to_pylist()]
        self.scores = {(row["labeler"], row["said"], row["truth"]): row["score"] for row in cells}
        self.given = {(row["labeler"], row["said"]) for row in cells}

    def score(self, who, said, label):
        who = who if who in self.people else None
        if said in self.priors and label in self.priors and (who, said) in self.given:
            return self.scores[who, said, label]
        return self.people[who]["hit" if said == label else "miss"]

    def add_up(self, label, votes):
        if self.scores:
            return self.priors.get(label, min(self.priors.values())) + sum(self.score(who, said, label) for who, said, _ in votes)
        return sum(self.people.get(who, self.people[None])["weight"] for who, said, _ in votes if said == label)

    def rank(self, votes):
        def newest(label):
            return max(at for _, said, at in votes if said == label)

        return sorted({said for _, said, _ in votes},
                      key=lambda label: (-self.add_up(label, votes), -newest(label).timestamp(), label.encode()))

    def decide(self, item):
        first = min((vote["origin"] for vote in item["votes"]), key=ORDER.index)
        votes = [(vote["labeler"], vote["label"], vote["labeled_at"]) for vote in item["votes"] if vote["origin"] == first]
        named = self.rank([vote for vote in votes if vote[1] != "≠"])
        leading = next((label for label in named if label != item["predicted"]), "≠")
        return self.rank([(who, leading if said == "≠" else said, at) for who, said, at in votes])[0]


def compare(capsys, root, seed, n, forms, engines):
    """Returns how many predictions have votes that differ. The second day has labelers and labels that no fit knows."""
    rng = np.random.default_rng(seed)
    predictions, labels = make_rows(seed, n, accuracy=0.7, votes=4, people=[0.25, 0.2, 0.2, 0.15, 0.1, 0.1])
    second = {row["prediction_id"] for row in predictions if row["day"] == DAYS[1]}
    for row in labels:
        if row["prediction_id"] in second and row["label"] != "≠":
            row["labeler"] = "stranger" if rng.random() < 0.15 else row["labeler"]
            row["label"] = "emu" if rng.random() < 0.1 else row["label"]
    write_log(root, predictions, labels)
    split = 0
    for form in forms:
        run(capsys, lambda argv: labelers.main(["fit", *argv]), root, "--from", DAYS[0], "--to", DAYS[0], "--form", form,
            "--name", form, "--no-warm-start", "--iterations", "20")
        fit, made = Fit(root, form), []
        for engine in engines:
            for folder in ("items", "counts"):
                shutil.rmtree(Path(root, folder), ignore_errors=True)
            found = evaluate(capsys, root, options=("--as-of", "2026-11-25", "--fit", form, "--items", "--engine", *engine))
            made.append((read_items(root), found["versions"]))
            for item in made[-1][0]:
                assert item["label"] == fit.decide(item), (form, engine, item)
                split += item["split"]
        assert made[0] == made[-1]
    return split


def test_scores_decide_as_written(capsys, tmp_root):
    assert compare(capsys, tmp_root, 1, 150, ["full"], [("embedded",), ("mapreduce", "--runner", "inline")]) > 20


@pytest.mark.slow("seeds")
@pytest.mark.parametrize("seed", range(2, 10))
def test_scores_and_weights_on_more_logs(capsys, tmp_root, seed):
    assert compare(capsys, tmp_root, seed, 300, ["full", "one-coin"], [("embedded",), ("mapreduce", "--runner", "inline")]) > 50
