"""What is wrong with a setting, in our words: its name, what was expected, what came, and the name that was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from command.names import suggest
from contract.errors import UsageError, shorten
from contract.policy import GatePolicy
from contract.settings import Section, Settings

LISTS = "`trueup config` lists all settings."
# pydantic's kinds of errors: what was expected. Values in braces are the error's own.
EXPECTED = {
    "int_parsing": "a whole number", "int_type": "a whole number", "int_from_float": "a whole number",
    "float_parsing": "a number", "float_type": "a number", "finite_number": "a finite number",
    "bool_parsing": "true or false", "bool_type": "true or false", "string_type": "a text", "list_type": "a list such as [a, b]",
    "dict_type": "`name: value` lines", "model_type": "`name: value` lines below it",
    "greater_than_equal": "at least {ge}", "greater_than": "more than {gt}", "less_than_equal": "at most {le}",
    "less_than": "less than {lt}", "string_pattern_mismatch": "a text of the form {pattern}",
    "literal_error": "{expected}", "too_long": "at most {max_length} values", "too_short": "at least {min_length} values",
}
CHOICE = re.compile(r"\^\(([\w|.-]+)\)\$")


def explain(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    """Explains the first error of settings that were read; `origins`: where each came from."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    origin = next((origin for name, origin in origins.items() if key and f"{name}.".startswith(f"{key}.")), None) or next(
        (origin for name, origin in origins.items() if key.startswith(f"{name}.")), "")
    where = f" (from {origin})" if origin else ""
    if first["type"] == "extra_forbidden":
        return UsageError(f"setting {key!r}{where}: there is no such setting.{suggest(key, list_names())} {LISTS}")
    named = f"setting {key!r}{where}: " if key else ""
    if first["type"] == "value_error":  # a rule of ours, which says all
        return UsageError(f"{named}{str(first['ctx']['error']).rstrip('.')}. {LISTS}")
    expected, hint = _describe(first)
    return UsageError(f"{named}expected {expected}, got {show_input(key, first['input'])}.{hint} {LISTS}")


def show_input(key: str, value: object) -> str:
    """Writes a value that was refused, unless it may be an address that is a secret, put where a reference belongs."""
    shown = shorten(value)  # first: written out whole, a value of a few lines can be larger than memory
    return "another value (not shown: it may be a secret)" if key.partition(".")[0] == "notify" or "://" in shown else shown


def _describe(found: Any) -> tuple[str, str]:
    context = found.get("ctx", {})
    if found["type"] == "string_pattern_mismatch" and (choice := CHOICE.fullmatch(context["pattern"])):
        words = choice[1].split("|")
        return f"{', '.join(words[:-1])} or {words[-1]}", suggest(str(found["input"]), words)
    template = EXPECTED.get(found["type"])
    written = {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
    return (template.format_map(written), "") if template else (f"something else: {found['msg']}", "")


def list_names() -> Iterator[str]:
    """Yields the names of all settings, such as `train.epochs`, and of sections."""
    for name, field in Settings.model_fields.items():
        if name != "origins":
            yield name
        if isinstance(field.default, Section | GatePolicy):
            yield from (f"{name}.{inner}" for inner in type(field.default).model_fields)


def check_variables(found: Iterable[str], known: Iterable[str], prefix: str) -> None:
    """Raises UsageError for a variable of the environment that looks like a setting, and is none.

    That is one with a section's name in it, or nearly the name of a setting; others may belong to somebody else.
    """
    known = list(known)
    sections = [f"{prefix}{name}_".upper() for name, field in Settings.model_fields.items()
                if isinstance(field.default, Section | GatePolicy)]
    for variable in found:
        if not variable.startswith(prefix) or variable in known:
            continue
        near = difflib.get_close_matches(variable, known, 1, 0.85)
        if near or variable.startswith(tuple(sections)):
            raise UsageError(f"environment variable {variable}: there is no such setting.{suggest(variable, known)} {LISTS}")
