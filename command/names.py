"""The name that was probably meant where another one was typed."""

import difflib
from collections.abc import Iterable

LONGEST = 80  # characters of a name that anybody types; of a file that is no settings file, a name may have a megabyte


def suggest(word: str, names: Iterable[str]) -> str:
    """Suggests the name that was probably meant, ` Did you mean 'train.epochs'?`; empty when none is near."""
    if len(word) > LONGEST:
        return ""
    names = list(names)
    near = difflib.get_close_matches(word, names, 1, 0.6)
    if not near and (ends := [name for name in names if name.endswith(f".{word}")]):  # a name without its section
        near = ends
    return f" Did you mean {near[0]!r}?" if near else ""
