"""Which sections of evidence there are: their names, what a report calls them, and where they are made."""

from collections.abc import Sequence
from typing import NamedTuple

from command.names import suggest
from contract.errors import UsageError


class Section(NamedTuple):
    """`title` heads it in a report, `short` stands in its contents (empty: the title); `module` has `make(material)`, which
    jobs/evidence/collect.py calls."""

    title: str
    module: str
    short: str = ""


SECTIONS: dict[str, Section] = {
    "combined": Section("One estimate from all labels and all traffic", "jobs.evidence.combined", "Combined estimate"),
    "noise": Section("Accuracy behind label noise", "jobs.evidence.noise", "Label noise"),
    "cost": Section("What mistakes cost", "jobs.evidence.cost", "Cost of mistakes"),
    "recounts": Section("Without each person", "jobs.evidence.recounts"),
    "anchoring": Section("What seeing the answer does to labels", "jobs.evidence.anchoring", "Seeing the answer"),
    "pictures": Section("Have the pictures changed?", "jobs.evidence.pictures", "Pictures"),
    "automatic": Section("Accept or review", "jobs.evidence.automatic"),
    "shadow": Section("The shadow against the live version", "jobs.evidence.shadow", "Shadow"),
}


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of sections, each once; UsageError for one that there is not."""
    for name in names:
        if name not in SECTIONS:
            known = ", ".join(SECTIONS) or "none"
            raise UsageError(f"evidence {name!r}: expected one of {known}.{suggest(name, SECTIONS)}")
    return tuple(dict.fromkeys(names))
