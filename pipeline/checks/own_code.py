"""What `trueup doctor` says of code of the user's own: whether it is listed and can be found. Nothing of it is run, so what it
does when it is imported stays open."""

from collections.abc import Iterator
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from contract.errors import TrueupError, UsageError, shorten
from contract.sections.modules import is_allowed, parse_function
from contract.settings import Settings
from pipeline.checks.in_use import CardsInUse
from pipeline.checks.machine import ABSENT, BAD, OK, Check


def check_own_code(settings: Settings, in_use: CardsInUse) -> tuple[str, str]:
    """Looks for what the settings name, and for the networks of versions in use. Those that are not listed are merely said: this
    machine may be one that never computes with them."""
    try:
        networks, unknown = sorted({card.network for card in in_use.list_cards() if ":" in card.network}), []
    except TrueupError as error:  # of the root, or of a card: other checks say what cures it
        networks, unknown = [], [f"networks of versions in use are not known: {error}"]
    here = [name for name in networks if is_allowed(name.partition(":")[0])]
    wanted = [*_list_settings(settings), *(("network", name) for name in here)]
    if wrong := [fault for what, name in wanted if (fault := explain_absence(what, name))]:
        return BAD, " ".join(wrong)
    said = [f"{name} ({what}): its module is found; nothing of it was run" for what, name in wanted]
    said += [f"{shorten(name)} (network): allow_modules does not list it, so this machine cannot load it"
             for name in networks if name not in here]
    said += unknown
    if not said:
        return OK, "neither settings nor versions in use name any"
    return OK if wanted else ABSENT, "; ".join(said)


def explain_absence(what: str, name: str) -> str | None:
    """Says why `package.module:function` cannot be imported here: it is not listed, or not found; None where neither is so.

    `what` names its kind.
    """
    try:
        module, _ = parse_function(name, what)
    except UsageError as error:
        return str(error)
    lacking = find_lacking(module)
    return f"{what} {name!r}: expected it to be importable, but {lacking}." if lacking else None


def find_lacking(module: str) -> str | None:
    """Says what of a module's dotted name is not there; None where it is, or where only running a package would tell."""
    first, *rest = module.split(".")
    try:
        spec = find_spec(first)
        if spec is None:
            return f"there is no module {first}"
        for part in rest:
            folders = list(spec.submodule_search_locations or ())
            below = PathFinder.find_spec(f"{spec.name}.{part}", folders) if folders else None
            if below is None:
                lacking = f"there is no module {part} in {', '.join(folders)}" if folders else f"{spec.name} is no package"
                return None if _may_add_modules(spec) else lacking
            spec = below
    except (ValueError, KeyError):  # a module of this very process; a folder without __init__.py in a package
        return None
    return None


def _may_add_modules(spec: ModuleSpec) -> bool:
    """Says whether there may be modules below that lie elsewhere, known once its own code has run."""
    if spec.origin is None:
        return False  # folders without __init__.py: nothing runs
    file = Path(spec.origin)
    text = file.read_bytes() if file.suffix == ".py" and file.is_file() else None
    return text is None or b"__path__" in text or b"sys.modules" in text


def _list_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    named = (("serve.redact", settings.serve.redact), ("pictures.decoder", settings.pictures.decoder))
    return ((what, name) for what, name in named if name)


def make_check(in_use: CardsInUse) -> Check:
    """Makes doctor's check of the user's own code."""
    return Check(partial(check_own_code, in_use=in_use), "install it, or name its folder in PYTHONPATH, and list it in "
                 "allow_modules (docs/redaction.md#whose-code-may-run)")
