"""Folders of labelled pictures as people have them, FOLDER/<class>/**/<picture>: which file belongs to which class.

A file that belongs to none is listed with its reason, so that nothing vanishes unseen. Hidden folders and those that
systems make are no classes. Nothing is opened here: whether a file is a picture its reader says.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contract import labels
from contract.errors import BadLabel, EmptyData, UsageError

# What computers leave in folders, in lower case; names that begin with a dot are left out anyway.
SYSTEM = frozenset(("__macosx", "@eadir", "lost+found", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "__pycache__",
                    "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
BACKUP = "~"  # what editors put behind the name of the copy that they keep
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing", "holdout", "dev", "eval"))


@dataclass
class ClassFolders:
    """What lies in a folder of class folders.

    `files`: (file, class), by path. `refused`: {"file", "reason"} of every other file. `classes`: name -> its folder.
    """

    folder: Path
    files: list[tuple[Path, str]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    classes: dict[str, Path] = field(default_factory=dict)

    def refuse(self, file: Path, reason: str) -> None:
        """Lists a file that is not taken."""
        self.refused.append({"file": show(file.relative_to(self.folder)), "reason": reason})


def show(path: Path) -> str:
    """Writes a path so that it can be printed: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def find_class_folders(folder: Path) -> ClassFolders:
    """Finds the classes of a folder and the files of each.

    EmptyData: there is no class folder. BadLabel: a folder's name cannot be a class, or two are the same class.
    UsageError: the folders are the splits of a data set, or one too high.
    """
    found = ClassFolders(folder)
    for entry in _list(folder):
        if is_system(entry.name):
            _refuse_all(found, entry, f"{show(Path(entry.name))} is hidden or made by a system, and no class")
        elif entry.is_dir():
            _add_class(found, entry)
        else:
            found.refuse(entry, "it lies in no class folder: expected FOLDER/<class>/<picture>")
    if not found.classes:
        raise EmptyData(f"{show(folder)}: expected class folders with pictures in them (FOLDER/<class>/<picture>), found "
                        f"{'none' if folder.is_dir() else 'no such folder'}.")
    _refuse_splits(found)
    return found


def _add_class(found: ClassFolders, folder: Path) -> None:
    try:
        name = labels.normalise_class(folder.name)
    except BadLabel as error:
        raise BadLabel(f"{show(folder)}: its name is to be a class: {error}") from None
    if name in found.classes:
        raise BadLabel(f"{show(found.folder)}: expected one folder for each class, got {found.classes[name].name!r} and "
                       f"{folder.name!r}, which are both the class {name!r}. Move the pictures of one into the other.")
    found.classes[name] = folder
    for file in _walk(found, folder, frozenset((os.path.realpath(folder),))):
        found.files.append((file, name))


def _walk(found: ClassFolders, folder: Path, above: frozenset[str]) -> Iterator[Path]:
    """Yields the files that may be pictures, at any depth. `above`: the real paths of the folders around them."""
    for entry in _list(folder):
        real = os.path.realpath(entry)
        if is_system(entry.name):
            _refuse_all(found, entry, "it is hidden or made by a system")
        elif entry.is_dir():
            if real in above:
                found.refuse(entry, "this link leads back to a folder around it")
            else:
                yield from _walk(found, entry, above | {real})
        elif reason := _explain_no_file(entry):
            found.refuse(entry, reason)
        else:
            yield entry


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EmptyData(f"{show(folder)}: expected a folder that can be read, got: {error.strerror}.") from None


def is_system(name: str) -> bool:
    """Says whether a folder or file of this name is hidden, a backup, or made by a system, and so never read."""
    return name.startswith(".") or name.endswith(BACKUP) or name.lower() in SYSTEM


def _explain_no_file(path: Path) -> str | None:
    """Says why a path is no file that could be read; None for one that may be. A pipe would never end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"it cannot be read: {error.strerror}" + (", a link that leads nowhere" if path.is_symlink() else "")
    return None if stat.S_ISREG(mode) else "it is no file: a device, a pipe or a socket"


def _refuse_all(found: ClassFolders, path: Path, reason: str) -> None:
    """Lists what lies below a path that is left out, or the path itself where that is a file."""
    if path.is_symlink() or not path.is_dir():
        found.refuse(path, reason)
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            found.refuse(Path(folder, name), reason)


def _refuse_splits(found: ClassFolders) -> None:
    """Raises UsageError where the folders hold class folders instead of pictures."""
    inner: dict[str, set[str]] = {name: set() for name in found.classes}  # "" for a file that lies directly in the class
    for file, name in found.files:
        inner[name].add("/".join(file.relative_to(found.classes[name]).parts[:-1][:1]))
    splits = [name for name in found.classes if name.lower() in SPLITS and inner[name] and "" not in inner[name]]
    shared = len(splits) > 1 and set.intersection(*(inner[name] for name in splits))
    if splits and (shared or len(splits) == len(found.classes)):
        raise UsageError(f"{show(found.folder)}: expected class folders, got the parts of a data set ({', '.join(splits)}), "
                         f"each with class folders of its own. Name one of them, {show(found.classes[splits[0]])}: Trueup "
                         f"splits by itself. Or put all pictures of a class into one folder.")
    (name, folders) = next(iter(inner.items()))
    if len(inner) == 1 and len(folders) > 1 and "" not in folders:
        raise UsageError(f"{show(found.folder)}: expected a folder for each class, got one, {name!r}, with {len(folders)} "
                         f"folders in it. Name {show(found.classes[name])} if those are the classes; if {name!r} is one, "
                         f"put its pictures directly into it.")
