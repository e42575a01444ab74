"""Embeddings of pictures as histograms along directions: of a version's space, and of a day in it.

`measures/<model>/version=<v>/<inputs>.json` is the space: directions found on training pictures of the version's dataset, and
the histograms of its held-out pictures. `measures/<model>/version=<v>/dt=<day>/<inputs>.json` has those of a day's pictures.
Bins as in contract/measured/measures.py; no row is kept of a picture.
"""

from typing import Literal

from pydantic import Field as DocumentField

from contract import layout
from contract.documents.document import Document
from contract.documents.version_figures import Count

ALONG = tuple(k / 2 for k in range(-8, 9))  # standard deviations of the training pictures
OFF = tuple(2.0 ** (k / 8) for k in range(-16, 17))  # of what no direction explains, by the training pictures' median
DIRECTIONS = 8


class Space(Document):
    """Where embeddings e are looked at: along (e - mean) . direction, and by the length of the rest divided by `rest`."""

    schema_: Literal["1"] = DocumentField(default="1", alias="schema")
    model: str
    version: str
    weights_sha256: str
    dataset: str
    inputs: str
    trained: Count  # training pictures that the directions were found on
    held_out: Count  # held-out pictures in the histograms
    mean: list[float]
    directions: list[list[float]]
    rest: float
    histograms: dict[str, list[Count]]

    @property
    def folder(self) -> str:
        """The key of the folder that holds it."""
        return layout.measures(self.model, version=self.version)


class EmbeddedDay(Document):
    """The embeddings of so many pictures of a day, those of the smallest hashes, in the space `space`."""

    schema_: Literal["1"] = DocumentField(default="1", alias="schema")
    model: str
    version: str
    day: str
    role: str
    space: str
    inputs: str
    pictures: Count
    histograms: dict[str, list[Count]]

    @property
    def folder(self) -> str:
        """The key of the folder that holds it."""
        return layout.measures(self.model, day=self.day, version=self.version)
