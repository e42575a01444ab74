"""`make notebooks`: runs the notebooks on a root that is made for it, and keeps what they print and draw.

The root is the same every time (scikit-learn's digits, two versions, six days, nothing random), so outputs change when a
notebook, the metrics or what draws change. Each notebook's metadata hold the hash of what its outputs were made from; a test
compares it, and a slow one runs the notebooks again.

    python -m tools.notebooks [--check]
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
MAKERS = (HERE / "tools/notebooks.py", HERE / "tools/notebook_root.py")


def hash_sources(notebook: dict[str, Any]) -> str:
    """Hashes what a notebook's outputs are made from: its code, the root, and this command."""
    parts = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256("\0".join([*parts, *(path.read_text() for path in MAKERS)]).encode()).hexdigest()[:16]


def execute(path: Path, root: str) -> dict[str, Any]:
    """Runs a notebook in its own folder, as Jupyter opens it; returns its document with outputs that say nothing of this run."""
    import nbformat
    from nbclient import NotebookClient

    os.environ |= {"TRUEUP_ROOT": root, "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))}
    os.environ.pop("TRUEUP_MODEL", None)
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    document: dict[str, Any] = json.loads(nbformat.writes(notebook))
    for cell in document["cells"]:
        cell.get("metadata", {}).pop("execution", None)
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
    document["metadata"] = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                            "language_info": {"name": "python"}}
    document["metadata"]["trueup"] = {"made_by": "make notebooks", "sources": hash_sources(document)}
    return document


def read_texts(notebook: dict[str, Any]) -> list[str]:
    """Reads what a notebook printed, and how many pictures each cell drew."""
    return ["".join("".join(output.get("text", "<picture>")) for output in cell["outputs"])
            for cell in notebook["cells"] if cell["cell_type"] == "code"]


def main(arguments: list[str]) -> int:
    """Makes the outputs, or with --check says which notebooks would print something else."""
    from tools.notebook_root import make_root

    stale = []
    with tempfile.TemporaryDirectory() as folder:
        root = make_root(Path(folder, "root"))
        for path in NOTEBOOKS:
            made, there = execute(path, root), json.loads(path.read_text())
            if "--check" not in arguments:
                path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
                print(path.relative_to(HERE))
            elif read_texts(made) != read_texts(there):
                stale.append(str(path.relative_to(HERE)))
    if stale:
        print(f"stale: {', '.join(stale)}. Run: make notebooks", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
