"""The part of `evaluation.json` that pages read of many evaluations at once: whose it is, its days, the accuracy of each version.

What stands between is passed over unread, so a document of 1,000 classes costs little more than one of ten. Whoever needs
the figures themselves reads the whole (contract/documents/evaluation.py).
"""

from functools import cache
from typing import Annotated, Literal, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic reads typing.TypedDict from Python 3.12 on only

from contract.documents.evaluation import TrendPoint, Window, parse_as
from contract.documents.version_figures import Count, Estimate, Reasoned
from contract.evidence.automatic import Automatic


class VersionSummary(TypedDict):
    """What an evaluation says of a version, in short."""

    predictions: Count
    labelled: Count
    estimate: Reasoned[Estimate]


class PicturesSummary(TypedDict):
    """What the section of evidence on pictures says, in short."""

    sentence: str


class ShadowSummary(TypedDict):
    """What it says of the live version and its shadow (contract/evidence/paired_shadow.py), in words."""

    sentence: str


class EvidenceSummary(TypedDict, total=False):
    """Of the sections of evidence, what pages show of many evaluations."""

    automatic: Automatic
    pictures: PicturesSummary
    shadow: ShadowSummary


class Summary(TypedDict):
    """What an evaluation says, in short."""

    schema: Literal["1"]
    model: str
    window: Window
    as_of: str
    role: str
    rules: str
    versions: dict[str, VersionSummary]
    newest_day: NotRequired[str | None]
    evidence: NotRequired[EvidenceSummary]
    trend: Annotated[list[TrendPoint], Field(default=[])]


@cache
def _adapter() -> TypeAdapter[Summary]:
    return TypeAdapter(Summary)


def parse(data: bytes, where: str) -> Summary:
    """The summary of the evaluation in JSON; DamagedDocument names `where` and the first wrong field."""
    return parse_as(_adapter(), data, where)
