"""The accuracy of a network on a folder of class folders, each picture read as the service reads it."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import layout
from contract.documents.card import Calibration, Card
from contract.errors import BadImage, EmptyData
from contract.sections.pictures import list_own_endings
from inference.model.class_folders import find_class_folders, show
from training.calibrate import LEAST_ROWS, TEMPERATURE, Row, calibrate

if TYPE_CHECKING:
    from inference.model.predictor import Predictor

BATCH = 32


def check_on(predictor: "Predictor", folder: Path) -> dict[str, Any]:
    """Accuracy on FOLDER/<class>/**/<picture>. A damaged picture counts wrong; a file that is no picture is named and left out.

    EmptyData: a folder that names no class of the network, or no picture at all.
    """
    from metrics.figure import share
    from metrics.intervals import CONFIDENCE

    files = list_labelled(predictor.card, folder, "--check")
    right = sum(_count_right(predictor, files[at:at + BATCH]) for at in range(0, len(files), BATCH))
    accuracy = share(right, len(files), CONFIDENCE, "no picture")
    return {"accuracy": accuracy["value"], "low": accuracy["low"], "high": accuracy["high"], "right": right,
            "images": len(files)}


def list_labelled(card: Card, folder: Path, option: str) -> list[tuple[Path, str]]:
    """The pictures of FOLDER/<class>/**/<picture> with their classes, each a class of the card; others are named and left out.

    `option`, which named the folder, stands in the errors. EmptyData: as `check_on`.
    """
    from inference.model.foreign_picture import ENDINGS

    found = find_class_folders(folder)
    endings = (*layout.PICTURES, *ENDINGS, *list_own_endings())
    files = [(file, label) for file, label in found.files if file.name.lower().endswith(endings)]
    for file in sorted({file for file, _ in found.files} - {file for file, _ in files}):
        print(f"{show(file)}: left out, its ending is not that of a picture, nor one of pictures.endings", file=sys.stderr)
    unknown = sorted({label for _, label in files} - set(card.classes))
    if not files or unknown:
        raise EmptyData(f"{option} {show(folder)}: expected folders named by classes with pictures in them, got "
                        f"{'the unknown class ' + repr(unknown[0]) if unknown else 'no picture'}.")
    return files


def calibrate_on(predictor: "Predictor", folder: Path) -> Calibration:
    """Fits a temperature on FOLDER/<class>/**/<picture>: pictures that the network was not trained on. A damaged picture is named
    and left out. EmptyData: as `check_on`, or too few pictures."""
    found = calibrate(predictor, _read_labelled(predictor.card, folder), TEMPERATURE, "labelled pictures of a folder")
    if found is None:
        raise EmptyData(f"--calibrate {show(folder)}: expected {LEAST_ROWS} pictures or more. Label more, or leave it out.")
    return found


def _read_labelled(card: Card, folder: Path) -> Iterator[Row]:
    from inference.model import foreign_picture

    for path, label in list_labelled(card, folder, "--calibrate"):
        try:
            yield Row(foreign_picture.read_file(path).data, card.classes.index(label))
        except BadImage as error:
            print(f"{show(path)}: {error}", file=sys.stderr)


def _count_right(predictor: "Predictor", files: Sequence[tuple[Path, str]]) -> int:
    from inference.model import foreign_picture

    prepared, wanted = [], []
    for path, label in files:
        try:
            prepared.append(predictor.prepare(foreign_picture.read_file(path).data))
            wanted.append(label)
        except BadImage as error:
            print(f"{show(path)}: {error}", file=sys.stderr)
    rows = predictor.to_probabilities(predictor.ask(prepared))
    return sum(predictor.top(row, 1)[0][0] == label for row, label in zip(rows, wanted, strict=True))
