"""`trueup.yaml` as values: YAML in UTF-8 in which every name stands once; whatever else it is, an error names the line.

JSON is read as JSON: it is what a command writes for its stages, of any size, and YAML would make two characters of one beyond
16 bits that JSON escapes.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from contract.errors import UsageError, shorten

if TYPE_CHECKING:
    import yaml

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LARGEST = 1 << 20  # bytes of YAML, which take 10 s; settings of a hundred lines have 10 kB
DEEPEST = 50
DEEP = f"it is more than {DEEPEST} levels deep"


def parse_settings(data: bytes, where: str) -> dict[str, Any]:
    """Parses the settings in a file's bytes; UsageError names `where`, the line, what was expected and what came."""
    found = _parse_json(data)
    if isinstance(found, dict):
        return found
    if len(data) > LARGEST:
        more = f" It may be longer as JSON, and is none: {found}." if found else ""
        raise UsageError(f"{where}: expected at most {LARGEST:,} bytes of settings, got {len(data):,}.{more}")
    import yaml

    text = _decode(data, where)
    try:
        loader = _make_loader()(text)
        _check_depth(loader, where)
        content = _make_loader()(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = " ".join(filter(None, (error.context, error.problem)))
        tab = " A tab is no indentation in YAML: use spaces." if "'\\t'" in what else ""
        raise UsageError(f"{where}, line {line}: it is no YAML: {what}.{tab}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is no YAML: {' '.join(str(error).split())}.") from None
    except (ValueError, RecursionError) as error:  # a day that there is not, a number of thousands of digits
        raise UsageError(f"{where} holds a value that cannot be read: {error}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{where}: expected `name: value` lines, got {type(content).__name__}.")
    if odd := [name for name in content if not isinstance(name, str)]:
        raise UsageError(f"{where}: expected names of settings, got {shorten(odd[0])}.")
    return content


def _parse_json(data: bytes) -> dict[str, Any] | str | None:
    """Returns what a JSON object holds, or what is wrong with one: a short one is explained as YAML. None for all else."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data[:100].lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(data.decode(), object_pairs_hook=_require_once, parse_constant=_refuse)
    except ValueError as error:
        return str(error)
    except RecursionError:
        return DEEP
    return DEEP if _is_deeper(found, DEEPEST) else found


def _require_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"the name {shorten(name)} stands twice in one object")
        made[name] = value
    return made


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _is_deeper(value: Any, most: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (most == 0 or any(_is_deeper(one, most - 1) for one in inner))


def _decode(data: bytes, where: str) -> str:
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[:error.start].count(b"\n") + 1
        raise UsageError(f"{where}, line {line}: expected text in UTF-8, got the byte 0x{data[error.start]:02x}. Save the file "
                         f"as UTF-8.") from None


def _check_depth(loader: yaml.SafeLoader, where: str) -> None:
    """Checks how deeply the text is nested before its values are made, which PyYAML does by recursion. UsageError."""
    import yaml

    depth = 0
    while (event := loader.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise UsageError(f"{where}, line {event.start_mark.line + 1}: it is nested more than {DEEPEST} deep.")
        if isinstance(event, yaml.StreamEndEvent):
            return


def _make_loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's plain values; a name that stands twice is an error, where yaml takes the last one."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            names: dict[tuple[str, str], yaml.ScalarNode] = {}
            for name, _ in node.value:
                if not isinstance(name, yaml.ScalarNode):
                    continue
                if (name.tag, name.value) in names and name.tag != "tag:yaml.org,2002:merge":
                    before = names[name.tag, name.value].start_mark.line + 1
                    raise yaml.constructor.ConstructorError(None, None, f"{name.value!r} stands there, and in line {before}",
                                                            name.start_mark)
                names[name.tag, name.value] = name
            return super().construct_mapping(node, deep)

    return Loader
