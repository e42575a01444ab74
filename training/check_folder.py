"""The accuracy of a network on a folder of class folders, each picture read as the service reads it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.errors import BadImage, EmptyData
from inference.model.class_folders import find_class_folders, show

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

BATCH = 32


def check_on(predictor: "Predictor", folder: Path) -> dict[str, Any]:
    """Accuracy on FOLDER/<class>/**/<picture>. A damaged picture counts wrong; a file that is no picture is named and left out.

    EmptyData: a folder that names no class of the network, or no picture at all.
    """
    from inference.model.foreign_picture import ENDINGS
    from metrics.figure import share
    from metrics.intervals import CONFIDENCE

    found = find_class_folders(folder)
    files = [(file, label) for file, label in found.files if file.suffix.lower() in (*layout.PICTURES, *ENDINGS)]
    for file in sorted({file for file, _ in found.files} - {file for file, _ in files}):
        print(f"{show(file)}: left out, its ending is not that of a picture", file=sys.stderr)
    unknown = sorted({label for _, label in files} - set(predictor.card.classes))
    if not files or unknown:
        raise EmptyData(f"--check {show(folder)}: expected folders named by classes with pictures in them, got "
                        f"{'the unknown class ' + repr(unknown[0]) if unknown else 'no picture'}.")
    right = sum(_count_right(predictor, files[at:at + BATCH]) for at in range(0, len(files), BATCH))
    accuracy = share(right, len(files), CONFIDENCE, "no picture")
    return {"accuracy": accuracy["value"], "low": accuracy["low"], "high": accuracy["high"], "right": right,
            "images": len(files)}


def _count_right(predictor: "Predictor", files: Sequence[tuple[Path, str]]) -> int:
    from inference.model import foreign_picture

    prepared, wanted = [], []
    for path, label in files:
        try:
            prepared.append(predictor.prepare(foreign_picture.read_file(path).data))
            wanted.append(label)
        except BadImage as error:
            print(f"{show(path)}: {error}", file=sys.stderr)
    rows = _ask(predictor, prepared)
    return sum(predictor.top(row, 1)[0][0] == label for row, label in zip(rows, wanted, strict=True))


def _ask(predictor: "Predictor", prepared: list[Any]) -> list[Any]:
    """One row of probabilities for each picture; pictures of different sizes (no crop) cannot be one batch."""
    if len({tuple(picture.shape) for picture in prepared}) > 1:
        return [row for picture in prepared for row in predictor.probabilities(predictor.stack([picture]))]
    return list(predictor.probabilities(predictor.stack(prepared))) if prepared else []
