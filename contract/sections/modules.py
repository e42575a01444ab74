"""Which modules of the user's own may be imported because a card, a document or a setting names them: those listed here.

Whoever may write to the bucket names the network of a version, and a name that is imported is code that runs. So the list
is the machine's own - its settings file, its environment, an option - and nothing that lies in the bucket adds to it. It
reaches the processes that this one starts through the environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence

from contract.errors import UsageError, shorten

VARIABLE = "TRUEUP_ALLOW_MODULES"
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
# Settings that are never saved with a run, nor taken from one.
LOCAL = ("allow_modules", "pictures")


def allow(modules: Sequence[str]) -> None:
    """Lets this process and those that it starts import these modules and what is below them; none: leaves it as it is."""
    if modules:
        os.environ[VARIABLE] = json.dumps(list(modules))


def list_allowed() -> list[str]:
    """Lists the modules that may be imported. UsageError: the variable holds something else."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return []
    import yaml

    try:
        names = yaml.safe_load(text)  # as the setting is read
    except yaml.YAMLError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
        raise UsageError(f"{VARIABLE}: expected modules such as [my_networks], got {text[:80]!r}.")
    return names


def parse_function(name: str, what: str) -> tuple[str, str]:
    """Parses `package.module:function`; `what` names its kind. UsageError: no such name, or as `require_allowed`."""
    module, _, function = name.partition(":")
    if not NAME.fullmatch(module) or not function.isidentifier():
        raise UsageError(f"{what} {shorten(name)}: expected package.module:function.")
    require_allowed(module, f"{what} {name!r}")
    return module, function


def is_allowed(module: str) -> bool:
    """Says whether the setting `allow_modules` has the module or a package above it. UsageError as `list_allowed`."""
    return any(module == name or module.startswith(f"{name}.") for name in list_allowed())


def require_allowed(module: str, what: str) -> None:
    """Raises UsageError unless the setting `allow_modules` has the module or a package above it. `what` names it."""
    if not is_allowed(module):
        top = module.partition(".")[0]
        raise UsageError(f"{what}: expected the module {module} in the setting `allow_modules`, which lists whose code may run "
                         f"here, got {', '.join(list_allowed()) or 'none'}. If you trust it, write `allow_modules: [{top}]` into "
                         f"trueup.yaml, or set {VARIABLE}=[{top}], on each machine that serves, trains or scores with it. What a "
                         f"bucket says does not count.")
