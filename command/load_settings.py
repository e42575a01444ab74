"""Settings are read: trueup.yaml < environment < options.

A setting `train.epochs` is `train: {epochs: 3}` in the file, `TRUEUP_TRAIN_EPOCHS=3` in the environment and
`--set train.epochs=3` (or an option of its own) on the command line. `trueup config` prints each value and its source.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from command.explain_settings import LISTS, check_variables, explain, show_input
from command.settings_file import parse_settings
from command.spans import SPANS_FILE
from contract.errors import UsageError, shorten
from contract.policy import GatePolicy
from contract.sections.modules import VARIABLE
from contract.settings import Section, Settings

DEFAULT_FILE = "trueup.yaml"
ENV_PREFIX = "TRUEUP_"
IN_A_WORD = {"promotion": "how"}  # section -> its setting that stands for it: `promotion: canary`
# Variables that processes which get their settings from elsewhere keep: the clock of demos and tests, where they note their time,
# whose code may run here.
NOT_SETTINGS = {"TRUEUP_CLOCK_FILE", SPANS_FILE, VARIABLE}


def load(root: str | None = None, path: str | None = None, overrides: Sequence[str] = (), model: str | None = None,
         env: Mapping[str, str] | None = None) -> Settings:
    """Reads the three layers and checks them; UsageError names the setting, what was expected and what came."""
    env = os.environ if env is None else env
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, pairs in (_read_file(path), ("environment", _read_environment(env)),
                          ("option", _read_options(root, model, overrides))):
        for short, value in pairs:
            key = f"{short}.{IN_A_WORD[short]}" if short in IN_A_WORD and isinstance(value, str) else short
            _put(merged, key, value)
            origins[key] = source
    _read_tables(merged)
    try:
        return Settings(**merged, origins=origins)
    except ValidationError as error:
        raise explain(error, origins) from None


def with_options(settings: Settings, **options: Any) -> Settings:
    """Puts command-line options over the settings, e.g. `model="digits", train__epochs=2`; None: unset."""
    merged = settings.model_dump()
    origins = dict(settings.origins)
    for name, value in options.items():
        if value is not None:
            _put(merged, name.replace("__", "."), value)
            origins[name.replace("__", ".")] = "option"
    _read_tables(merged)
    try:
        return Settings(**merged, origins=origins)
    except ValidationError as error:
        raise explain(error, origins) from None


def _read_tables(merged: dict[str, Any]) -> None:
    """Puts what a named file holds in the place of its name, so that settings that are saved with a run need no file."""
    gates = merged.get("gates")
    if isinstance(gates, dict) and isinstance(gates.get("costs"), str):
        from command.cost_file import read_costs

        merged["gates"] = gates | {"costs": read_costs(gates["costs"])}


def _read_file(path: str | None) -> tuple[str, list[tuple[str, Any]]]:
    file = Path(path or DEFAULT_FILE)
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        if path:
            raise UsageError(f"settings file {path!r}: no such file.") from None
        return str(file), []
    except (OSError, ValueError) as error:  # a folder, a file of somebody else's, a name that is none
        raise UsageError(f"settings file {shorten(str(file))} cannot be read: {error}.") from None
    content = parse_settings(data, f"settings file {str(file)!r}")
    return str(file), list(_flatten(content))


def _flatten(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        section = Settings.model_fields.get(name)
        if isinstance(value, dict) and section is not None and isinstance(section.default, Section | GatePolicy):
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value


def _read_environment(env: Mapping[str, str]) -> list[tuple[str, Any]]:
    variables = dict(_list_variables())
    check_variables((name for name in env if name not in NOT_SETTINGS), variables.values(), ENV_PREFIX)
    return [(key, _parse_value(env[variable])) for key, variable in variables.items() if variable in env]


def _list_variables() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, Section | GatePolicy):
            for inner in type(field.default).model_fields:
                yield f"{name}.{inner}", f"{ENV_PREFIX}{name}_{inner}".upper()
        elif name != "origins":
            yield name, f"{ENV_PREFIX}{name}".upper()


def _read_options(root: str | None, model: str | None, overrides: Sequence[str]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [(k, v) for k, v in (("root", root), ("model", model)) if v]
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}: expected KEY=VALUE, for example train.epochs=3.")
        pairs.append((key, _parse_value(value)))
    return pairs


def _parse_value(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # no YAML, a day or a number that there is not, nested too deeply
        return text


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    section, _, inner = key.partition(".")
    if section == "origins":
        raise UsageError(f"setting 'origins': there is no such setting. {LISTS}")
    if not inner:
        merged[section] = value
        return
    if not isinstance(merged.setdefault(section, {}), dict):
        shown = show_input(section, merged[section])
        raise UsageError(f"setting {section!r}: expected `name: value` lines below it, got {shown}. {LISTS}")
    merged[section][inner] = value
