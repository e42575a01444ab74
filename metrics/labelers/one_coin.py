"""The one-coin form of Dawid and Skene (Zhang and others 2016): a labeler is right with one chance, whatever the class.

Wrong answers are equally likely, so the classes that nobody gave an item differ in nothing but their prior: one number an
item stands for all of them, and the work is that of the votes, however many classes there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.labelers.form import LEAST, Parameters, Sums, sum_runs
from metrics.labelers.votes import Block, Index


@dataclass(frozen=True)
class Named:
    """The classes that were given to the items of a block: item and class of each, where those of an item begin, and of each
    vote (in `order`) the place of what it names."""

    item: np.ndarray
    label: np.ndarray
    starts: np.ndarray
    place: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, block: Block, label: np.ndarray) -> Named:
        """Finds them; `label` of each vote."""
        order = np.lexsort((label, block.item))
        item, said = block.item[order], label[order]
        first = np.ones(len(order), bool)
        first[1:] = (item[1:] != item[:-1]) | (said[1:] != said[:-1])
        at = np.flatnonzero(first)
        starts = np.searchsorted(item[at], np.arange(block.items))
        return cls(item[at], said[at], starts, np.cumsum(first) - 1, order)


@dataclass(frozen=True)
class OneCoin:
    """`votes` of sums: expected right votes of each labeler; of parameters: the chance that each labeler is right.

    `smoothing` is added to each of the classes that a labeler may name: once to the right votes, and for every other class
    to the wrong ones. `given`: votes of each labeler.
    """

    index: Index
    given: np.ndarray
    smoothing: float = 0.0

    def expect(self, block: Block, parameters: Parameters | None) -> Sums:
        """Sums over the items of a block; by the shares of votes where there are no parameters."""
        label, labeler = self.index.label[block.pair], self.index.labeler[block.pair]
        named = Named.of(block, label)
        chance, rest, log_likelihood = self._find_chances(block, named, parameters)
        k = len(self.index.classes)
        classes = np.bincount(named.label, chance, k)
        if parameters is not None:  # what the items say of classes that nobody gave them
            prior = np.maximum(parameters.prior, LEAST)
            classes += prior * (rest.sum() - np.bincount(named.label, rest[named.item], k))
        right = np.bincount(labeler[named.order], chance[named.place], len(self.index.labelers))
        return Sums(right, classes, block.items, log_likelihood)

    def maximise(self, sums: Sums) -> Parameters:
        """Returns the shares of classes, and how often each labeler is right."""
        k, smoothing = len(self.index.classes), self.smoothing
        return Parameters(sums.classes / sums.items, (sums.votes + smoothing) / (self.given + smoothing * k))

    def find_chances(self, block: Block, parameters: Parameters) -> np.ndarray:
        """Returns the chance of each class, a row for each item: for few items or few classes."""
        named = Named.of(block, self.index.label[block.pair])
        chance, rest, _ = self._find_chances(block, named, parameters)
        found = rest[:, None] * np.maximum(parameters.prior, LEAST)
        found[named.item, named.label] = chance
        return found

    def _find_chances(self, block: Block, named: Named, parameters: Parameters | None) -> tuple[np.ndarray, np.ndarray, float]:
        """Returns (the chance of each class that was given; the chance of any other, as a multiple of its prior; the log
        likelihood)."""
        votes = np.bincount(named.place, minlength=len(named.item)).astype(float)
        if parameters is None:
            return votes / sum_runs(votes, named.starts)[named.item], np.zeros(block.items), 0.0
        hit, miss = find_hit_and_miss(parameters.votes, len(self.index.classes))
        labeler = self.index.labeler[block.pair]
        none = np.bincount(block.item, np.log(miss)[labeler], block.items)
        gain = (np.log(hit) - np.log(miss))[labeler[named.order]]
        prior = np.maximum(parameters.prior, LEAST)
        score = np.log(prior)[named.label] + np.bincount(named.place, gain, len(named.item))
        others = np.maximum(prior.sum() - sum_runs(prior[named.label], named.starts), 0.0)
        most = np.maximum(np.maximum.reduceat(score, named.starts), 0.0) if len(score) else score
        chance, rest = np.exp(score - most[named.item]), np.exp(-most)
        whole = sum_runs(chance, named.starts) + rest * others
        return chance / whole[named.item], rest / whole, float((np.log(whole) + most + none).sum())


def find_hit_and_miss(right: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the chances of the right answer and of each wrong one, of labelers that are right so often."""
    return np.clip(right, LEAST, 1 - LEAST), np.clip((1 - right) / max(classes - 1, 1), LEAST, 1 - LEAST)
