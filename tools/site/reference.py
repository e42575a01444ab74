"""The reference pages of the documentation, made from the code when the site is built: nothing here can be stale.

    python -m tools.site.reference FOLDER        the same pages as files
"""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from command.load_settings import ENV_PREFIX
from contract.documents.schemas import PUBLISHED, schema
from contract.records import LABEL, PREDICTION, TableSchema
from contract.settings import Settings
from pipeline.cli import GROUPS
from pipeline.config import list_entries


def write_commands() -> str:
    """Every verb with the help that it prints."""
    parts = ["# Commands", "Each is also `python -m MODULE`. Every verb takes `--root` (or `TRUEUP_ROOT`), `--config`, "
             "`--set KEY=VALUE` and `--json`. Exit codes: 0 done, 1 error, 2 wrong usage, 3 a gate says no, 4 cannot tell."]
    for title, group in GROUPS.items():
        parts.append(f"## {title}")
        for name, verb in group.items():
            command = getattr(import_module(verb.module), verb.attribute)
            for path, found in _walk(f"trueup {name}", command):
                parts.append(f"### `{path}`\n\n```text\n{_help(path, found)}\n```")
    return _join(parts)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in sorted(command.commands.items()):
            yield from _walk(f"{path} {name}", inner)


def _help(path: str, command: click.Command) -> str:
    with click.Context(command, info_name=path, terminal_width=100, max_content_width=100,
                       help_option_names=["-h", "--help"]) as context:
        return command.get_help(context)


def write_settings() -> str:
    """Every setting with its default and what it means."""
    rows = [(f"`{e['setting']}`", f"`{_say(e['value'])}`", e["meaning"] or "") for e in list_entries(Settings())]
    return _join(["# Settings", "`trueup.yaml` < environment < options; `trueup config` prints each value and where it came "
                  f"from. `train.epochs` is `train: {{epochs: 3}}` in the file, `{ENV_PREFIX}TRAIN_EPOCHS=3`, or "
                  "`--set train.epochs=3`. An unknown name is an error.", _table(("setting", "default", "meaning"), rows)])


def write_http() -> str:
    """Every route with its parameters, bodies and answers, from the application's own OpenAPI description."""
    from tools.site.openapi import describe_api

    parts = ["# HTTP", "The same as `/docs` of a running service, which also tries each route; `/openapi.json` is for programs. "
             "`Authorization: Bearer KEY`. Errors are `{\"error\": {\"code\", \"message\"}}`."]
    for operation in describe_api():
        parts.append(f"## {operation['method']} {operation['path']}")
        parts.append(operation["summary"] + (" Needs a key." if operation["needs_key"] else ""))
        given = [(f"`{p['name']}`", p["in"], p["type"], p["description"]) for p in operation["parameters"]]
        parts += [_table(("parameter", "in", "type", "meaning"), given)] if given else []
        parts += [f"```sh show\n{curl}\n```" for curl in operation["curls"]]
        parts += [f"{a['status']} {a['description']}" + (f"\n\n```json\n{a['example']}\n```" if a["example"] else "")
                  for a in operation["answers"]]
    return _join(parts)


def write_tables() -> str:
    """The columns of the two tables of rows, and the statements that make every table for SQL engines."""
    from metrics.sql import definitions

    parts = ["# Tables", "Two tables of rows lie in the bucket as Parquet, one folder a day (UTC). Columns are selected by name; "
             "others are left alone."]
    for record in (PREDICTION, LABEL):
        parts.append(f"## {record.name}")
        parts.append(_table(("column", "type", "meaning"), _list_columns(record)))
    return _join([*parts, "## For SQL engines", f"```sql\n{definitions()}\n```"])


def _list_columns(record: TableSchema) -> list[tuple[str, str, str]]:
    return [(f"`{f.name}`", f"`{f.type}`", f.meaning) for f in record.fields]


def write_documents() -> str:
    """Every JSON document of the bucket: where it lies and its fields."""
    parts = ["# Documents", "JSON documents of the bucket. Their JSON schemas are in the repository's folder docs/schemas."]
    for name, (_, place) in PUBLISHED.items():
        parts.append(f"## {name}")
        found = schema(name)
        parts += [f"`{place}`", found.get("description", "").split("\n\n")[0].replace("\n", " ")]
        fields = [(f"`{field}`", _say_type(of), of.get("description", "")) for field, of in found.get("properties", {}).items()]
        parts.append(_table(("field", "type", "meaning"), fields))
    return _join(parts)


def _say_type(of: dict[str, Any]) -> str:
    if "anyOf" in of:
        return " or ".join(_say_type(one) for one in of["anyOf"])
    if "$ref" in of:
        return str(of["$ref"]).rpartition("/")[2]
    if of.get("type") == "array":
        return f"list of {_say_type(of.get('items', {}))}"
    return str(of.get("type", "any"))


def _say(value: object) -> str:
    return "" if value is None else str(value)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines])


def _join(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": write_commands,
    "reference/settings.md": write_settings,
    "reference/http.md": write_http,
    "reference/tables.md": write_tables,
    "reference/documents.md": write_documents,
}


if __name__ == "__main__":
    for page, write in PAGES.items():
        target = Path(sys.argv[1]) / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(write())
