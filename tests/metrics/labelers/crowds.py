"""Made crowds: votes of people whose confusion is known, as tables of `select_votes`."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass
class Crowd:
    """True classes, the people's confusion (people, true class, answer), and their votes."""

    truth: np.ndarray
    confusion: np.ndarray
    votes: pa.Table

    def frame(self):
        """The votes as crowd-kit takes them."""
        frame = self.votes.to_pandas()
        return frame.rename(columns={"item": "task", "labeler": "worker"})[["task", "worker", "label"]]


def make_crowd(seed, items=300, people=12, classes=4, votes=4, prior=None, skill=(0.55, 0.95), bias=0.0):
    """A crowd; `skill` is the range of chances to be right, `bias` moves wrong answers to the first class."""
    rng = np.random.default_rng(seed)
    prior = np.full(classes, 1 / classes) if prior is None else np.asarray(prior)
    right = rng.uniform(*skill, people)
    wrong = np.full(classes, (1 - bias) / classes) + bias * np.eye(classes)[0]
    confusion = np.zeros((people, classes, classes))
    for t in range(classes):
        others = np.where(np.arange(classes) == t, 0, wrong)
        confusion[:, t] = (1 - right)[:, None] * others / others.sum()
        confusion[:, t, t] = right
    truth = rng.choice(classes, items, p=prior)
    item = np.repeat(np.arange(items), votes)
    who = np.concatenate([rng.permutation(people)[:votes] for _ in range(items)])
    ladder = confusion[who, truth[item]].cumsum(axis=1)
    said = np.minimum((rng.random(len(item))[:, None] > ladder).sum(axis=1), classes - 1)
    table = pa.table({"item": item.astype(np.int32), "labeler": [f"p{w:05}" for w in who], "label": [f"c{s:03}" for s in said]})
    return Crowd(truth, confusion, table)
