"""What an evaluation holds beside its counts' figures when it was asked for: `evidence` in `evaluation.json`.

Each section is made from the rows behind the counts (contract/rows/items.py) by a function that jobs/evidence/sections.py
names, and has a `sentence` that a person can read.
"""

from typing_extensions import TypedDict

from contract.evidence.anchoring import Anchoring
from contract.evidence.automatic import Automatic
from contract.evidence.combined_estimate import Combined
from contract.evidence.label_noise import Noise
from contract.evidence.mistake_cost import Cost
from contract.evidence.paired_shadow import Shadow
from contract.evidence.pictures import Pictures
from contract.evidence.recounts import Recounts


class Evidence(TypedDict, total=False):
    """Section by name; those that were not asked for are absent."""

    combined: Combined
    noise: Noise
    cost: Cost
    recounts: Recounts
    anchoring: Anchoring
    pictures: Pictures
    automatic: Automatic
    shadow: Shadow
