"""Code of the user's own, `package.module:function`: imported when the setting `allow_modules` lists it, and never otherwise."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from contract.errors import UsageError, shorten
from contract.sections.modules import NAME, require_allowed


def import_function(name: str, what: str) -> Callable[..., Any]:
    """Imports `package.module:function`; `what` names its kind in errors.

    UsageError: no such name, a module that is not listed, one that cannot be imported, or one whose import ends the process.
    """
    module, _, function = name.partition(":")
    if not NAME.fullmatch(module) or not function.isidentifier():
        raise UsageError(f"{what} {shorten(name)}: expected package.module:function.")
    require_allowed(module, f"{what} {name!r}")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{what} {name!r}: expected it to be importable, got {error}. "
                         f"Install the package where the service and the training run.") from error
    if not callable(found):
        raise UsageError(f"{what} {name!r}: expected a function, got {type(found).__name__}.")
    return found
