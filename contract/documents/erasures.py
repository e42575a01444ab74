"""Erasures: that a picture is to be gone, written before anything of it is removed (docs/design.md#the-bucket).

From then on no shipper uploads it, no page shows it, no dataset takes it; `trueup forget` (jobs/forget.py) removes what
is there already.
"""

from typing import Literal

from pydantic import Field

from contract import layout
from contract.documents.document import Document
from contract.stores.store import Storage, create_if_absent


class Erasure(Document):
    """`erasures/<sha256>.json`: created once; a second request leaves the first as it is."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    image_sha256: str
    at: str
    by: str
    asked: str  # the prediction id or the hash that was named
    reason: str = ""


def ask(storage: Storage, erasure: Erasure) -> bool:
    """Writes the document; returns whether it is new."""
    return create_if_absent(storage, layout.erasure(erasure.image_sha256), erasure.to_bytes())
