"""Which root a notebook is about, from whatever folder it runs: TRUEUP_ROOT, or the demo-root beside it or above it."""

import os
from pathlib import Path

from contract.errors import UsageError
from contract.layout import MARKER

DEMO = "demo-root"


def find_root(start: Path | None = None) -> str:
    """Finds the root; UsageError when TRUEUP_ROOT names none and no folder from `start` (the current one) up has a demo-root."""
    if named := os.environ.get("TRUEUP_ROOT"):
        return named
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / DEMO / MARKER).is_file():
            return str(folder / DEMO)
    raise UsageError(f"expected TRUEUP_ROOT, or the folder {DEMO} in {here} or above it, found neither. Name a root "
                     f"(TRUEUP_ROOT=s3://bucket/prefix jupyter lab), or make one: trueup demo.")
