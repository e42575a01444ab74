"""Settings are read: trueup.yaml < environment < options.

A setting `train.epochs` is `train: {epochs: 3}` in the file, `TRUEUP_TRAIN_EPOCHS=3` in the environment and
`--set train.epochs=3` (or an option of its own) on the command line. `trueup config` prints each value and its source.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.errors import UsageError
from contract.policy import GatePolicy
from contract.settings import Section, Settings

DEFAULT_FILE = "trueup.yaml"
ENV_PREFIX = "TRUEUP_"
# Variables that are no settings: the clock of demos and tests.
NOT_SETTINGS = {"TRUEUP_CLOCK_FILE"}


def load(root: str | None = None, path: str | None = None, overrides: Sequence[str] = (), model: str | None = None,
         env: Mapping[str, str] | None = None) -> Settings:
    """Reads the three layers and checks them; UsageError names the setting, what was expected and what came."""
    env = os.environ if env is None else env
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, pairs in (_read_file(path), ("environment", _read_environment(env)),
                          ("option", _read_options(root, model, overrides))):
        for key, value in pairs:
            _put(merged, key, value)
            origins[key] = source
    try:
        return Settings(**merged, origins=origins)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UsageError(f"setting {key!r} (from {origins.get(key, 'the settings')}): {first['msg']}, "
                         f"got {first['input']!r}. `trueup config` lists all settings.") from None


def with_options(settings: Settings, **options: Any) -> Settings:
    """Puts command-line options over the settings, e.g. `model="digits", train__epochs=2`; None: unset."""
    merged = settings.model_dump()
    origins = dict(settings.origins)
    for name, value in options.items():
        if value is not None:
            _put(merged, name.replace("__", "."), value)
            origins[name.replace("__", ".")] = "option"
    try:
        return Settings(**merged, origins=origins)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}.") from None


def _read_file(path: str | None) -> tuple[str, list[tuple[str, Any]]]:
    import yaml

    file = Path(path or DEFAULT_FILE)
    if not file.exists():
        if path:
            raise UsageError(f"settings file {path!r}: no such file.")
        return str(file), []
    try:
        content = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"settings file {str(file)!r} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"settings file {str(file)!r}: expected `name: value` lines, got {type(content).__name__}.")
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
    return [(key, _parse_value(env[variable])) for key, variable in _list_variables() if variable in env]


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
    except yaml.YAMLError:
        return text


def _put(merged: dict[str, Any], key: str, value: Any) -> None:
    section, _, inner = key.partition(".")
    if inner:
        merged.setdefault(section, {})[inner] = value
    else:
        merged[section] = value
