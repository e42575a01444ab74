"""What `trueup verify` is asked to check: words, an id or an address become a model and an evaluation or a version."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from contract import layout
from contract.errors import UsageError
from contract.registry import VERSION
from contract.stores.store import Storage

EVALUATION = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
EXPECTED = ("expected the id of an evaluation (20261120T080000Z-0a1b2c3d), a version (3), MODEL and one of them, or the "
            "address of a decision.json, an evaluation.json or a card.json")


@dataclass(frozen=True)
class Target:
    """One of `evaluation` and `version` is given; a decision is named by its evaluation."""

    model: str | None
    evaluation: str | None = None
    version: str | None = None

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"evaluation {self.evaluation} of {self.model}" if self.evaluation else f"version {self.version} of {self.model}"


def parse_target(words: Sequence[str], storage: Storage) -> Target:
    """Reads what was typed. UsageError for what is none of these."""
    if len(words) == 2:
        return _of_name(words[1], words[0])
    if len(words) != 1:
        raise UsageError(f"{EXPECTED}; got {len(words)} words.")
    text = words[0].removeprefix(storage.root).removeprefix(storage.uri()).lstrip("/")
    parts = text.split("/")
    if "/" not in text:
        return _of_name(text, None)
    if parts[0] + "/" == layout.all_evaluations() and len(parts) in (3, 4):
        return _of_name(parts[2], layout.decode_name(parts[1]))
    if parts[0] + "/" == layout.models() and len(parts) in (4, 5):
        return _of_name(parts[3], layout.decode_name(parts[1]))
    raise UsageError(f"{words[0]!r}: {EXPECTED}.")


def _of_name(name: str, model: str | None) -> Target:
    if EVALUATION.fullmatch(name):
        return Target(model, evaluation=name)
    if VERSION.fullmatch(name):
        return Target(model, version=name)
    raise UsageError(f"{name!r}: {EXPECTED}.")
