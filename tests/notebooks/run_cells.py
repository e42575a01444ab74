"""A notebook's cells, read from its file and run in this process."""

import json
from pathlib import Path


def read_cells(path: Path, kind: str) -> list[dict]:
    """Its cells of a kind, `code` or `markdown`, in order."""
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def run_cells(path: Path, look=lambda plt: None) -> None:
    """Runs its code without a screen; `look` is given pyplot after each cell, before the figures are closed."""
    import matplotlib

    matplotlib.use("Agg")
    space: dict = {}
    for cell in read_cells(path, "code"):
        exec(compile("".join(cell["source"]), path.name, "exec"), space)
        look(space["plt"])
        space["plt"].close("all")
