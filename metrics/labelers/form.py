"""What the two forms of the model of Dawid and Skene (1979) share: sums over items, and the loop that alternates.

Expectation: of each item the chance of every class, by the parameters so far. Maximisation: the parameters that fit these
chances best. Sums over items add up over blocks, so who adds them (one process, Spark) makes no difference but rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from metrics.labelers.votes import Block

LEAST = 1e-10  # no chance is smaller, so that no single vote can rule a class out for good


@dataclass
class Sums:
    """Sums over items: `votes` by the form, `classes` (chance of each class), how many items, their log likelihood."""

    votes: np.ndarray
    classes: np.ndarray
    items: int
    log_likelihood: float

    def add(self, other: Sums) -> Sums:
        """Adds the sums over other items."""
        return Sums(self.votes + other.votes, self.classes + other.classes, self.items + other.items,
                    self.log_likelihood + other.log_likelihood)


@dataclass
class Parameters:
    """`prior`: the share of each class. `votes`: chances of votes, by the form."""

    prior: np.ndarray
    votes: np.ndarray


class Form(Protocol):
    """A form of the model; `parameters` None in `expect` means the start: of each item the shares of its votes."""

    def expect(self, block: Block, parameters: Parameters | None) -> Sums:
        """Sums over the items of a block."""

    def maximise(self, sums: Sums) -> Parameters:
        """Returns the parameters that fit sums over all items best."""


@dataclass
class Fitted:
    """What the loop came to: parameters, the sums that they were made of, log likelihoods, and whether they stood still."""

    parameters: Parameters
    sums: Sums
    log_likelihoods: list[float] = field(default_factory=list)
    converged: bool = False


def alternate(form: Form, add_up: Callable[[Parameters | None], Sums], start: Parameters | None, iterations: int,
              tolerance: float, votes: int, told: Callable[[int], Any] | None = None) -> Fitted:
    """Alternates expectation and maximisation, from `start` or, where it is None, from the shares of votes.

    `add_up` returns the sums over all items. Ends after `iterations`, or when the log likelihood changed by less than
    `tolerance` for each of the `votes`. `told` hears the number of each iteration.
    """
    parameters = start or form.maximise(add_up(None))
    found = Fitted(parameters, Sums(np.zeros(0), np.zeros(0), 0, 0.0))
    for number in range(1, iterations + 1):
        found.sums = add_up(found.parameters)
        found.parameters = form.maximise(found.sums)
        before = found.log_likelihoods[-1:]
        found.log_likelihoods.append(found.sums.log_likelihood)
        if told:
            told(number)
        if before and abs(found.sums.log_likelihood - before[0]) < tolerance * votes:
            found.converged = True
            break
    return found


def sum_runs(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Adds up runs of rows that begin at `starts`."""
    return np.add.reduceat(values, starts, axis=0) if len(values) else values
