"""Every format of another system that `import` and `evaluate` read, by name; `rows` is a table with our column names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ForeignSchema, UsageError
from contract.stores.store import Storage
from jobs.imports.foreign import data_capture, ground_truth, label_studio, sorted_pictures
from jobs.imports.found import Asked, Found

ROWS = "rows"


@dataclass(frozen=True)
class Format:
    """A format: the table that its files hold, how one is told from others, and how it is read."""

    name: str
    table: str
    meaning: str
    matches: Callable[[Path], bool]
    read: Callable[[Storage, Path, Asked], Found]


FORMATS = (
    Format("ground-truth", "labels", "an output manifest of SageMaker Ground Truth", ground_truth.is_manifest, ground_truth.read),
    Format("label-studio", "labels", "a JSON export of Label Studio", label_studio.is_export, label_studio.read),
    Format("label-studio-min", "labels", "a JSON_MIN export of Label Studio", label_studio.is_min_export, label_studio.read_min),
    Format("data-capture", "predictions", "SageMaker data capture", data_capture.is_capture, data_capture.read),
)
# A folder tree, so it is found by its structure; `--format` does not name it.
CLASS_FOLDERS = Format("class-folders", "labels", "pictures in class folders", sorted_pictures.is_sorted, sorted_pictures.read)
NAMES = (ROWS, *(form.name for form in FORMATS))


def find_format(table: str, path: Path, name: str | None = None) -> Format | None:
    """The format of a file of a table, named or told from its content; None for rows with our column names.

    UsageError: the name is of another table's format, or several formats fit. ForeignSchema: it is of the other table.
    """
    if name == ROWS:
        return None
    may_fit = (*FORMATS, CLASS_FOLDERS)
    fits = [form for form in may_fit if form.name == name or (name is None and form.matches(path))]
    other = next((form for form in fits if form.table != table), None)
    if other and name:
        raise UsageError(f"--format {name} is {other.meaning}, which holds {other.table}, not {table}.")
    if other:
        raise ForeignSchema(f"{path}: expected {table}, got {other.meaning}, which holds {other.table}: `trueup import "
                            f"{other.table} {path}`.")
    if len(fits) > 1:
        raise UsageError(f"{path} may be {' or '.join(form.meaning for form in fits)}: name it by `trueup import {table} "
                         f"--format`.")
    return fits[0] if fits else None
