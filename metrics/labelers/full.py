"""The full form of Dawid and Skene (1979): of each labeler the chance of every answer, by the true class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.labelers.form import LEAST, Parameters, Sums, sum_runs
from metrics.labelers.votes import Block, Index

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Full:
    """`votes` of sums: expected votes, a row for each pair of the index and a column for each true class; of parameters:
    the logarithms of their chances. `smoothing` is added to every one of a labeler's cells, those never given too."""

    index: Index
    smoothing: float = 0.0

    def expect(self, block: Block, parameters: Parameters | None) -> Sums:
        """Sums over the items of a block; by the shares of votes where there are no parameters."""
        chances, log_likelihood = self.find_chances(block, parameters)
        return Sums(self._make_matrix(block).T @ chances, chances.sum(axis=0), block.items, log_likelihood)

    def find_chances(self, block: Block, parameters: Parameters | None) -> tuple[np.ndarray, float]:
        """Returns (the chance of each class, a row for each item; the log likelihood of their votes)."""
        matrix = self._make_matrix(block)
        if parameters is None:
            shares = matrix @ np.eye(len(self.index.classes))[self.index.label]
            return shares / shares.sum(axis=1, keepdims=True), 0.0
        scores = matrix @ parameters.votes
        scores += np.log(np.maximum(parameters.prior, LEAST))
        most = scores.max(axis=1, keepdims=True, initial=-np.inf)
        chances = np.exp(scores - most)
        whole = chances.sum(axis=1, keepdims=True)
        chances /= whole
        return chances, float((np.log(whole) + most).sum())

    def maximise(self, sums: Sums) -> Parameters:
        """Returns the shares of classes, and the logarithm of each pair's chance by the true class."""
        return Parameters(sums.classes / sums.items, np.log(self.find_shares(sums.votes)))

    def find_shares(self, votes: np.ndarray) -> np.ndarray:
        """Returns of each pair the share of its labeler's votes, by the true class, after smoothing."""
        given = np.maximum(votes, LEAST) if not self.smoothing else votes + self.smoothing
        return given / self._count_cases(votes, given)[self.index.labeler]

    def _count_cases(self, votes: np.ndarray, given: np.ndarray) -> np.ndarray:
        starts = np.searchsorted(self.index.labeler, np.arange(len(self.index.labelers)))
        if not self.smoothing:
            return sum_runs(given, starts)
        return sum_runs(votes, starts) + self.smoothing * len(self.index.classes)

    def _make_matrix(self, block: Block) -> csr_matrix:
        """Makes the matrix of votes, items by pairs, with a 1 for each vote."""
        from scipy.sparse import csr_matrix

        starts = np.searchsorted(block.item, np.arange(block.items + 1)).astype(np.int32)
        shape = (block.items, len(self.index.labeler))
        return csr_matrix((np.ones(len(block.pair)), block.pair, starts), shape=shape)
