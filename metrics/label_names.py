"""Whether labels are written as the model writes its classes: `7` beside `007`, `Cat` beside `cat`, a number beside a name.

Labels of which not one names a class that the model knows make an accuracy of 0.0 that says nothing of the model. Counting
compares bytes and counts them as wrong (docs/design.md#rule-4-consensus); this says so beside the figures.
"""

import difflib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.counts import UNNAMED

if TYPE_CHECKING:
    import pyarrow as pa

CLOSE = 0.6  # of difflib's ratio: two texts that a person would take for one
MOST_SHOWN = 5
MOST_NAMES = 10_000  # known classes that a label is compared with letter by letter
MISSING = ("nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "nil")  # what programs write where a value is missing


@dataclass(frozen=True)
class Strangers:
    """Labels of one version that name no class: how many rows have one, and what the most frequent may mean."""

    version: str
    rows: int
    nearest: Sequence[tuple[str, str]]  # (label, the class written most like it, else the one predicted most)


def find_strangers(pairs: "pa.Table", classes: Mapping[str, Sequence[str]]) -> list[Strangers]:
    """Finds the versions of whose labels not one is a prediction of any version, or a class of any version's card.

    `pairs` has model_version, predicted, label and n (metrics/marginals.py); `classes` is version -> its card's list. A
    version without labels, or whose labels are all `≠`, is none of them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = {*pairs["predicted"].unique().to_pylist(), *(name for of in classes.values() for name in of)} - {None}
    named = pairs.filter(pc.fill_null(pc.not_equal(pairs["label"], UNNAMED), False))
    right = pc.is_in(named["label"], pa.array(sorted(known), pa.string()))
    versions = set(named["model_version"].unique().to_pylist()) - set(named["model_version"].filter(right).unique().to_pylist())
    return [_describe(v, named.filter(pc.equal(named["model_version"], v)), sorted(known)) for v in sorted(versions)]


def find_missing_words(pairs: "pa.Table", classes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Counts the labelled rows of each label that only says that a value was missing, and is no class that is known."""
    known = {*pairs["predicted"].unique().to_pylist(), *(name for of in classes.values() for name in of)}
    words = [word for word in pairs["label"].unique().to_pylist() if word and word.lower() in MISSING and word not in known]
    if not words:
        return {}
    met: Counter[str] = Counter()
    for row in pairs.select(["label", "n"]).to_pylist():
        met[row["label"]] += row["n"]
    return {word: met[word] for word in sorted(words)}


def _describe(version: str, pairs: "pa.Table", known: Sequence[str]) -> Strangers:
    met: dict[str, Counter[str]] = defaultdict(Counter)
    for row in pairs.select(["predicted", "label", "n"]).to_pylist():
        met[row["label"]][row["predicted"]] += row["n"]
    often = sorted(met, key=lambda label: (-met[label].total(), label))[:MOST_SHOWN]
    nearest = [(label, find_nearest(label, known) or met[label].most_common(1)[0][0]) for label in often]
    return Strangers(version, sum(of.total() for of in met.values()), nearest)


def find_nearest(label: str, names: Sequence[str]) -> str | None:
    """Returns the name that a label probably means, by how both are written; None when none looks like it."""
    folded = fold(label)
    same = next((name for name in names if fold(name) == folded), None)
    if same is not None or len(names) > MOST_NAMES:
        return same
    return next(iter(difflib.get_close_matches(label, names, 1, CLOSE)), None)


def fold(text: str) -> str:
    """Returns what is left of a text without case, forms, invisible signs, white space and leading zeros."""
    plain = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(c) not in ("Cf", "Cc"))
    plain = "".join(plain.split()).replace("_", "").replace("-", "")
    return plain.removesuffix(".0").lstrip("0") or "0" if plain.removesuffix(".0").isdecimal() else plain
