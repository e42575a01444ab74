"""What an address of `/pictures` asks for: filters, order and place, each checked before anything is read.

    /pictures?model=digits&version=2&predicted=3&label=8&attribute.camera=door-1&sort=least-sure

The filters are those of contract/texts/pictures_link.py; the page adds `sort`, `after` (where a page begins) and `similar`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from contract import clock, ids
from contract.confidence import EDGES
from contract.counts import ORIGINS
from contract.errors import UsageError, shorten
from contract.texts.pictures_link import FILTERS, PAGE, link_to_pictures

VERDICTS = ("right", "wrong", "unlabelled")
SORTS = {"newest": "newest first", "oldest": "oldest first", "least-sure": "least sure first", "most-sure": "surest first"}
REVERSED = {"newest": "oldest", "oldest": "newest", "least-sure": "most-sure", "most-sure": "least-sure"}
OF_LABELS = ("label", "labeler", "origin", "split")  # filters that only a labelled row passes
ATTRIBUTE = "attribute."
SPLIT = {"true": True, "false": False}
LONGEST = 500


@dataclass(frozen=True)
class Place:
    """Where a row stands in an order: its day, its number (microseconds since 1970, or its confidence) and its id."""

    day: str
    number: float
    prediction_id: str

    def write(self) -> str:
        """Writes it as the `after` of an address."""
        return f"{self.day}~{self.number!r}~{self.prediction_id}"


@dataclass(frozen=True)
class Question:
    """Which predictions of a model are asked for. `filters` and `attributes` are texts as in the address, checked."""

    model: str
    filters: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    sort: str = "newest"
    after: Place | None = None
    similar: str | None = None

    @property
    def by_time(self) -> bool:
        """Whether days follow each other in its order, so that a page is full before all days are read."""
        return self.sort in ("newest", "oldest")

    @property
    def ascending(self) -> bool:
        """Whether its number grows."""
        return self.sort in ("oldest", "least-sure")

    @property
    def wants_label(self) -> bool:
        """Whether only rows with a label can pass."""
        return any(name in self.filters for name in OF_LABELS) or self.filters.get("verdict") in ("right", "wrong")

    @property
    def confidence(self) -> tuple[float, float] | None:
        """The confidences from (included) and to (excluded, but for 1); None without such a filter."""
        if not {"confidence_from", "confidence_to"} & set(self.filters):
            return None
        return float(self.filters.get("confidence_from", 0)), float(self.filters.get("confidence_to", 1))

    def write_address(self, **changes: str | None) -> str:
        """Writes the address of the same pictures; `changes` replaces parameters, None leaves one out."""
        more = {"sort": None if self.sort == "newest" else self.sort, "similar": self.similar,
                "after": self.after.write() if self.after else None}
        filters: dict[str, str | None] = {**self.filters}
        for name, value in changes.items():
            (more if name in more else filters)[name] = value
        base = link_to_pictures(self.model, {n: v for n, v in filters.items() if v is not None}, self.attributes)
        rest = [(name, value) for name, value in more.items() if value is not None]
        return base + (f"&{urlencode(rest)}" if rest else "")

    def write_query(self) -> str:
        """Writes what stands behind the `?` of its address, without where the page begins."""
        return self.write_address(after=None).removeprefix(f"{PAGE}?")

    def moved(self, place: Place) -> Question:
        """Returns the question for the same rows from a place on."""
        return replace(self, after=place)

    def turned(self, place: Place) -> Question:
        """Returns the question for the same rows in the opposite order, from a place on: what stood before it."""
        return replace(self, sort=REVERSED[self.sort], after=place)


def parse_question(parameters: Sequence[tuple[str, str]], default_model: str) -> Question:
    """Parses the parameters of an address; empty ones are left out, as a form sends them. UsageError says what was expected."""
    given = [(name, value) for name, value in parameters if value != ""]
    names = [name for name, _ in given]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{shorten(twice[0])}: expected one value, got several.")
    values = dict(given)
    for name, value in values.items():
        _check_name(name)
        if len(value) > LONGEST:
            raise UsageError(f"{shorten(name)}: expected at most {LONGEST} characters, got {len(value)}.")
    filters = {name: _check(name, values[name]) for name in FILTERS if name in values}
    _check_together(filters)
    sort = values.get("sort", "newest")
    if sort not in SORTS:
        raise UsageError(f"sort: expected {', '.join(SORTS)}, got {shorten(sort)}.")
    similar = values.get("similar")
    if similar is not None and not ids.is_sha256(similar):
        raise UsageError(f"similar: expected the sha256 of a picture, 64 hex digits in lower case, got {shorten(similar)}.")
    attributes = {name.removeprefix(ATTRIBUTE): v for name, v in values.items() if name.startswith(ATTRIBUTE)}
    after = _parse_place(values["after"]) if "after" in values else None
    return Question(values.get("model", default_model), filters, attributes, sort, after, similar)


def _check_name(name: str) -> None:
    known = ("model", *FILTERS, "sort", "after", "similar")
    if name not in known and not (name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)):
        raise UsageError(f"pictures are filtered by {', '.join(known)} and attribute.<name>, not by {shorten(name)}.")


def _check(name: str, value: str) -> str:
    if name in ("from", "to"):
        try:
            return clock.parse_day(value)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from None
    if name.startswith("confidence_"):
        return _check_confidence(name, value)
    choices = {"verdict": VERDICTS, "origin": ORIGINS, "split": tuple(SPLIT)}.get(name)
    if choices and value not in choices:
        raise UsageError(f"{name}: expected {', '.join(choices)}, got {shorten(value)}.")
    return value


def _check_confidence(name: str, text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not EDGES[0] <= number <= EDGES[-1]:
        raise UsageError(f"{name}: expected a number from 0 to 1, got {shorten(text)}.")
    return text


def _check_together(filters: dict[str, str]) -> None:
    for low, high in (("from", "to"), ("confidence_from", "confidence_to")):
        a, b = filters.get(low), filters.get(high)
        if a and b and ((a > b) if low == "from" else (float(a) > float(b))):
            raise UsageError(f"{low} and {high}: expected the first not to be after the second, got {a} and {b}. Swap them.")
    if filters.get("verdict") == "unlabelled" and (clash := [name for name in OF_LABELS if name in filters]):
        raise UsageError(f"verdict: expected right or wrong beside {clash[0]}, got unlabelled: a row without a label has none.")


def _parse_place(text: str) -> Place:
    day, _, rest = text.partition("~")
    number, _, prediction_id = rest.partition("~")
    try:
        if math.isnan(value := float(number)):
            raise ValueError
        return Place(clock.parse_day(day), value, prediction_id)
    except (ValueError, UsageError):
        raise UsageError(f"after: expected what a link of this page wrote, got {shorten(text)}. Begin again without "
                         f"it.") from None
