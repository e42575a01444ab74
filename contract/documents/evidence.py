"""What an evaluation holds beside its counts' figures when it was asked for: `evidence` in `evaluation.json`.

Each section is made from the rows behind the counts (contract/rows/items.py) by a function that jobs/evidence/collect.py
names, and has a `sentence` that a person can read.
"""

from typing_extensions import TypedDict

from contract.documents.anchoring import Anchoring


class Evidence(TypedDict, total=False):
    """Section by name; those that were not asked for are absent."""

    anchoring: Anchoring
