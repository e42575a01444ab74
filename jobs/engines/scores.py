"""The scores of a fit of labelers in the full form, as engines take them (docs/design.md#rule-4-consensus)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EVERYBODY = None  # the labeler in place of those that the fit does not know, and of votes without one


@dataclass(frozen=True)
class LabelerScores:
    """Whole numbers, floor(ln(chance) * 2^16), by labeler; EVERYBODY is always among them.

    `cells`: (labeler, label that a vote counts for) -> of each class, in the order of `classes`, the score that the vote
    adds to it. `hit` and `miss`: what it adds where there is no such cell. `prior`: of each class; `rarest` of any other
    label. `digest` names all of this.
    """

    classes: tuple[str, ...]
    prior: tuple[int, ...]
    rarest: int
    hit: Mapping[str | None, int]
    miss: Mapping[str | None, int]
    cells: Mapping[tuple[str | None, str], tuple[int, ...]]
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values, for a file that tasks read."""
        people = [[who, hit, self.miss[who]] for who, hit in self.hit.items()]
        return {"classes": list(self.classes), "prior": list(self.prior), "rarest": self.rarest, "people": people,
                "cells": [[*key, list(of)] for key, of in self.cells.items()], "digest": self.digest}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "LabelerScores":
        """The inverse of `to_json`."""
        return cls(tuple(value["classes"]), tuple(value["prior"]), value["rarest"],
                   {who: hit for who, hit, _ in value["people"]}, {who: miss for who, _, miss in value["people"]},
                   {(who, said): tuple(of) for who, said, of in value["cells"]}, value["digest"])
