"""What an engine is asked: which files of which days, for which model, known at which time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from string import ascii_lowercase, ascii_uppercase
from typing import TYPE_CHECKING, Any

from contract import clock, jsonio
from contract.counts import ROLES, RULES, WEIGHT_SCALE
from contract.errors import UsageError
from contract.rows.listing import Name, fingerprint
from jobs.engines.scores import LabelerScores

if TYPE_CHECKING:  # a MapReduce job starts many tasks, which need neither documents nor settings
    import pyarrow as pa

    from contract.documents.evaluation import Evaluation
    from contract.documents.expiry import ExpiredRows
    from contract.settings import EvaluateSettings


SMALL_LETTERS = str.maketrans(ascii_uppercase, ascii_lowercase)


@dataclass(frozen=True)
class RawFile:
    """One Parquet file of a day, already checked against its record (jobs/engines/day_files.py).

    `columns` maps each column that the file has, and that we use, to its stored pyarrow type; a used column that is not
    in it counts as null. `clashing`: another column has the name of a used one but for case (`Role` beside `role`),
    which engines that ignore case must not mix up. `values` counts the values in the used columns, of lists the elements.
    `made_of`: the files that a packed one stands for (contract/rows/listing.py).
    """

    key: str
    size: int
    etag: str
    rows: int
    row_groups: int
    columns: Mapping[str, "pa.DataType"]
    clashing: bool = False
    values: int = 0
    made_of: tuple[Name, ...] = ()


@dataclass(frozen=True)
class DayFiles:
    """All files of one day in both tables, sorted by key."""

    day: str
    predictions: tuple[RawFile, ...]
    labels: tuple[RawFile, ...]
    expired: "ExpiredRows | None" = None  # then there are no files, and only counts that were kept

    def fingerprint(self) -> list[list[str]]:
        """Returns the sorted (key, size, etag) of both tables, for the `inputs` hash."""
        return self.expired.files if self.expired else fingerprint(self.predictions + self.labels)


@dataclass(frozen=True)
class Slice:
    """A declared slice: its name and an expression of a bounded language.

    `expression` is a predictions column of a text type (`client`), `attributes.NAME`, `hour` (00-23, UTC, of
    predicted_at), `image_size` or `latency`; see `BANDS` for the bounds of the last two.
    """

    name: str
    expression: str


# Upper bounds, exclusive, of the bands, whose texts are "<64", "64-256", …, ">=4096" (`name_band`). image_size is
# max(width, height) in pixels; latency is latency_ms in milliseconds. Null stays null.
BANDS = {"image_size": (64, 256, 512, 1024, 2048, 4096), "latency": (10, 25, 50, 100, 250, 1000)}


# The columns that items (contract/rows/items.py) have beside those that are counted. Files are read with these as slices, so
# that of several rows with one id the same one is taken.
ITEM_COLUMNS = (Slice("image_sha256", "image_sha256"), Slice("image_uri", "image_uri"), Slice("client", "client"))


@dataclass(frozen=True)
class Question:
    """Everything besides the files that changes the counts."""

    model: str
    as_of: int  # microseconds since 1970 UTC
    role: str = "live"
    consensus: str = "majority"
    slices: tuple[Slice, ...] = ()
    # floor(weight * 2^16) of each labeler whose weight is not 1; whole numbers, so any order adds the same.
    labeler_weights: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)  # another word, in small letters -> the role that it means
    fit: str | None = None  # the fit that weights or scores come from; the counts do not depend on its name
    scores: LabelerScores | None = None  # of a fit in the full form; then `consensus` is "scores"
    version: str | None = None  # of role replay: rows of other versions are left out, like those of another role (rule 2)

    def resolve_role(self, word: str | None) -> str | None:
        """Returns the role that a row's word means (rule 2), in any case; None for a word that means none."""
        if word is None:
            return "live"
        folded = fold_case(word)
        return folded if folded in ROLES else self.roles.get(folded)

    def inputs(self, files: DayFiles) -> str:
        """Hashes everything but `as_of` that a day's counts are made from: the 16 hex digits they are stored under."""
        made_from = {"rules": RULES, "consensus": self.consensus, "weights": dict(self.labeler_weights),
                     "role": self.role, "roles": dict(self.roles), "slices": [[s.name, s.expression] for s in self.slices],
                     "files": files.fingerprint()} | ({"scores": self.scores.digest} if self.scores else {})
        made_from |= {"version": self.version} if self.version else {}
        return jsonio.digest(made_from)[:16]


def fold_case(word: str) -> str:
    """Returns the word with A to Z in lower case, and no other letter changed: every engine can do exactly that."""
    return word.translate(SMALL_LETTERS)


def parse_role(word: str) -> str:
    """Returns the role that an option names, in any case. UsageError for a word that is none."""
    role = fold_case(word)
    if role not in ROLES:
        raise UsageError(f"role {word!r}: expected one of {', '.join(ROLES)}. Another word in the rows is mapped by the setting "
                         f"evaluate.roles, e.g. {{production: live}}.")
    return role


def convert_settings(settings: "EvaluateSettings") -> dict[str, Any]:
    """Converts the settings that change counts to arguments of `Question`; weights become whole numbers."""
    fixed = {who: floor(w * WEIGHT_SCALE) for who, w in settings.labeler_weights.items()}
    return {"labeler_weights": {who: w for who, w in fixed.items() if w != WEIGHT_SCALE}, "fit": settings.labeler_fit,
            "roles": {fold_case(word): role for word, role in settings.roles.items()}}


def restore_question(evaluation: "Evaluation", consensus: str = "majority", slices: tuple[Slice, ...] = (),
                     scores: LabelerScores | None = None) -> Question:
    """Restores the question that an evaluation answers; `consensus`, `slices` and `scores` are what its counts were made with."""
    of = evaluation["consensus"]
    weights = {who: floor(weight * WEIGHT_SCALE) for who, weight in of["labeler_weights"].items()} if of else {}
    return Question(evaluation["model"], clock.to_us(clock.parse_moment(evaluation["as_of"])), evaluation["role"], consensus,
                    slices, weights, evaluation["roles"], of["fit"] if of else None, scores, evaluation["model_version"])


def name_band(name: str, value: float | None) -> str | None:
    """Returns the text of the band that the value falls in, e.g. 300 pixels -> '256-512'; None for null and NaN.

    All three engines render the same texts.
    """
    if value is None or value != value:
        return None
    edges = BANDS[name]
    if value < edges[0]:
        return f"<{edges[0]}"
    for low, high in zip(edges, edges[1:], strict=False):
        if value < high:
            return f"{low}-{high}"
    return f">={edges[-1]}"
