"""Code of the user's own, `package.module:function`: imported when the setting `allow_modules` lists it, and never otherwise."""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.errors import UsageError
from contract.sections.modules import parse_function

MOST_SAID = 300  # characters of an error's own text
ENDS = (SystemExit, GeneratorExit)  # with these, code from outside would end the process


def import_function(name: str, what: str) -> Callable[..., Any]:
    """Imports `package.module:function`; `what` names its kind in errors.

    UsageError: no such name, a module that is not listed, one that cannot be imported, or one whose import ends the process.
    """
    module, function = parse_function(name, what)
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"{what} {name!r}: expected it to be importable, got {error}. "
                         f"Install it, or name its folder in PYTHONPATH, on each machine that uses it.") from error
    except ENDS as error:
        raise UsageError(f"{what} {name!r}: expected it to be importable, but {explain_end(error)}") from error
    except Exception as error:
        raise UsageError(f"{what} {name!r}: expected it to be importable, but importing {module} raised "
                         f"{_describe_import_error(error)}. Correct the module.") from error
    try:
        found = getattr(imported, function)
    except AttributeError as error:
        raise UsageError(f"{what} {name!r}: expected it to be importable, but {module} "
                         f"({getattr(imported, '__file__', None) or 'no file'}) has no {function}.") from error
    if not callable(found):
        raise UsageError(f"{what} {name!r}: expected a function, got {type(found).__name__}.")
    return found


def explain_end(error: BaseException) -> str:
    """Says that code of the user's own ended, with one of `ENDS`, and what to do."""
    return (f"its code ended with {type(error).__name__}: {error}. A module that is imported must not read arguments or exit: do "
            f"that under `if __name__ == '__main__'`.")


def _describe_import_error(error: BaseException) -> str:
    """Names an error of an import with its text: no picture is there yet whose pixels it could hold."""
    kind = type(error).__name__ if isinstance(error, SyntaxError) else describe_error(error)  # its text names file and line
    said = " ".join(str(error).split())[:MOST_SAID]
    return f"{kind}: {said}" if said else kind


def hash_source(name: str, function: Callable[..., Any]) -> str:
    """Hashes the files of the module that was named and of the one in which the function stands: 12 hex digits."""
    named = getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)
    stands = getattr(getattr(function, "__code__", None), "co_filename", None)
    digest = hashlib.sha256()
    for file in dict.fromkeys(filter(None, (named, stands))):
        digest.update(Path(file).read_bytes() if Path(file).is_file() else b"")
    return digest.hexdigest()[:12]


def describe_error(error: BaseException) -> str:
    """Names the kind of an error and where it was raised; not its text, which may hold pixels. Call it where it was caught."""
    *_, last = traceback.extract_tb(error.__traceback__)  # that of the call, at the least
    return f"{type(error).__name__} ({Path(last.filename).name}, line {last.lineno})"


def describe_value(value: Any) -> str:
    """Names the type of what a function returned, and of an array its numbers and shape."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{type(value).__name__}{f' of {dtype} {list(shape)}' if isinstance(shape, tuple) else ''}"
