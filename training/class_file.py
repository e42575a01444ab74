"""A network's classes, in the order of its outputs, read from the files that people have.

One class a line, lines of a number and a class, JSON: a list, pairs, objects of either direction (class_to_idx, id2label),
ImageNet's {"0": ["n01440764", "tench"]}. What could mean two things is an error that names the place.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contract import labels
from contract.errors import BadLabel, UsageError, shorten

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# The keys under which configuration files of networks list their classes.
CLASS_KEYS = ("classes", "class_names", "names", "labels", "categories", "class_to_idx", "idx_to_class", "id2label", "label2id")
NUMBER_FIRST = re.compile(r"(\d+)\s*(?:[,;:\t]|\s)\s*(\S.*)")
NUMBER_LAST = re.compile(r"(.*\S)\s*(?:[,;:\t]|\s)\s*(\d+)")
HEADER = re.compile(r"(id|idx|index|number|class_?id|class_?index|label_?id|class|name|label|class_?name)"
                    r"\s*[,;\t]\s*(id|idx|index|number|class_?id|class_?index|label_?id|class|name|label|class_?name)", re.I)
WORDNET = re.compile(r"n\d{8}")
NUMBERS, NAMES = ("id", "index", "idx", "class_id", "class_index"), ("name", "label", "class", "class_name")
LITERAL = "A JSON list, in the order of the outputs, is taken as it stands"


class Entry(NamedTuple):
    """What a file says of one class: where, its number (None: its place says), its name."""

    where: str
    number: int | None
    name: object
    id: str = ""  # a WordNet id beside it


def read_classes(path: Path) -> list[str]:
    """The class list of a file. UsageError that names the place: it cannot be read, or could mean two things."""
    entries = _number(path, _read_entries(path, _decode(path)))
    counts = Counter(entry.name for entry in entries if isinstance(entry.name, str))
    names = [_normalise(path, entry, counts) for entry in entries]
    first: dict[str, str] = {}
    for entry, name in zip(entries, names, strict=True):
        if name in first:
            raise _refuse(path, f"expected distinct classes, got {name!r} twice: {first[name]} and {entry.where}")
        first[name] = entry.where
    if not names:
        raise _refuse(path, "expected at least one class, got none")
    return names


def _refuse(path: Path, said: str, advice: str = "") -> UsageError:
    return UsageError(f"--classes {path}: {said}.{' ' if advice else ''}{advice}")


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _refuse(path, f"expected a text file with one class a line or a JSON list, got: {error.strerror}") from None
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refuse(path, f"expected UTF-8 text, got other bytes in line {line} ({error.reason})",
                      "Save the file as UTF-8.") from None


def _read_entries(path: Path, content: str) -> list[Entry]:
    if path.suffix.lower() == ".json" or content.lstrip()[:1] in ("[", "{"):
        try:
            return _read_json(path, json.loads(content, object_pairs_hook=_Pairs))
        except RecursionError:
            raise _refuse(path, "expected a list or an object of classes, got JSON that is nested too deep") from None
        except ValueError as error:
            raise _refuse(path, f"expected JSON, got: {error}") from None
    return _read_lines(path, content)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written: a key that stands twice is seen."""


# --- JSON


def _read_json(path: Path, value: Any) -> list[Entry]:
    if isinstance(value, _Pairs):
        return _read_object(path, value)
    if isinstance(value, list):
        return [_read_item(path, f"entry {n}", item) for n, item in enumerate(value, start=1)]
    raise _refuse(path, f"expected a JSON list or object, got {shorten(value)}")


def _read_item(path: Path, where: str, item: Any) -> Entry:
    if isinstance(item, _Pairs):
        of = dict(item)
        numbers, names = ([of[key] for key in keys if key in of] for keys in (NUMBERS, NAMES))
        if len(numbers) == len(names) == 1 and _is_number(numbers[0]):
            return Entry(where, numbers[0], names[0])
    elif isinstance(item, list) and len(item) == 2 and _is_number(item[0]) != _is_number(item[1]):
        number, name = item if _is_number(item[0]) else item[::-1]
        return Entry(where, number, name)
    elif isinstance(item, list) and len(item) == 2 and WORDNET.fullmatch(str(item[0])):
        return Entry(where, None, item[1], item[0])
    elif _is_number(item):
        return Entry(where, None, str(item))
    elif isinstance(item, str):
        return Entry(where, None, item)
    raise _refuse(path, f"{where}: expected the name of a class, or a number and a name, got {shorten(_plain(item))}")


def _read_object(path: Path, pairs: _Pairs) -> list[Entry]:
    held = [value for key, value in pairs if key in CLASS_KEYS and isinstance(value, list)]
    if held:
        read = [_number(path, _read_json(path, value)) for value in held]
        if any([e.name for e in other] != [e.name for e in read[0]] for other in read[1:]):
            raise _refuse(path, f"expected one list of classes, got several that differ ({', '.join(k for k, _ in pairs)})",
                          "Keep one of them.")
        return read[0]
    ways = [_as_number_to_name(pairs), _as_name_to_number(pairs)]
    read = [way for way in ways if way is not None and not _find_fault(way)]
    if len(read) == 2 and [e.name for e in _sort(read[0])] != [e.name for e in _sort(read[1])]:
        raise _refuse(path, "expected an object that can mean one thing, got one whose keys and values could both be the "
                            "numbers", f"{LITERAL}.")
    if read:
        return read[0]
    tried = next((way for way in ways if way is not None), None)
    if tried is None:
        key, value = next(((k, v) for k, v in pairs if not _is_number(v)), ("", None))
        raise _refuse(path, f"key {shorten(key)}: expected an object of numbers and classes, such as {{\"0\": \"cat\"}} or "
                            f"{{\"cat\": 0}}, got the value {shorten(_plain(value))}")
    return tried  # its fault is told where entries are numbered


def _as_number_to_name(pairs: _Pairs) -> list[Entry] | None:
    """{"0": "cat"}, {"0": ["n02123045", "cat"]}; None when it is not written so."""
    if not all(re.fullmatch(r"\d{1,9}", key) for key, _ in pairs):
        return None
    entries = []
    for key, value in pairs:
        identified = isinstance(value, list) and len(value) == 2 and bool(WORDNET.fullmatch(str(value[0])))
        name, of = (value[1], value[0]) if identified else (value, "")
        entries.append(Entry(f"key {key!r}", int(key), str(name) if _is_number(name) else name, of))
    return entries


def _as_name_to_number(pairs: _Pairs) -> list[Entry] | None:
    """{"cat": 0}; None when it is not written so."""
    if not all(_is_number(value) for _, value in pairs):
        return None
    return [Entry(f"key {shorten(key)}", value, key) for key, value in pairs]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, _Pairs) else value


# --- lines


def _read_lines(path: Path, content: str) -> list[Entry]:
    lines = re.split(r"\r\n|\r|\n", content.rstrip())
    if not content.strip():
        return []
    blank = next((n for n, line in enumerate(lines, start=1) if not line.strip()), None)
    if blank:
        raise _refuse(path, f"line {blank} is empty: expected one class a line", "Remove the line, or write its class.")
    if len(lines) == 1 and re.search(r"[,;\t]", lines[0]):
        raise _refuse(path, f"expected one class a line, got one line: {shorten(lines[0])}", f"{LITERAL}.")
    first = 1 if len(lines) > 1 and HEADER.fullmatch(lines[0].strip()) else 0
    entries = [Entry(f"line {n}", None, line) for n, line in enumerate(lines[first:], start=1 + first)]
    for pattern, read in ((NUMBER_FIRST, _read_number_first), (NUMBER_LAST, _read_number_last)):
        matches = [pattern.fullmatch(line.strip()) for line in lines[first:]]
        numbered = _read_numbered(path, entries, [read(match) for match in matches if match]) if all(matches) else None
        if numbered is not None:
            return numbered
    if first:
        raise _refuse(path, f"line 1 looks like the head of a table ({lines[0].strip()}): expected a number and a class in "
                            f"every line below it", f"Remove line 1 if the lines are classes. {LITERAL}.")
    return _read_plain(path, entries)


def _read_number_first(match: re.Match[str]) -> tuple[int, str]:
    return int(match[1]), match[2]


def _read_number_last(match: re.Match[str]) -> tuple[int, str]:
    return int(match[2]), match[1]


def _read_numbered(path: Path, entries: Sequence[Entry], read: Sequence[tuple[int, str]]) -> list[Entry] | None:
    """Lines that all have a number, that of the output; None where the numbers are a part of the names."""
    numbers = sorted(number for number, _ in read)
    if numbers == list(range(len(read))):
        return [Entry(entry.where, number, _unquote(name)) for entry, (number, name) in zip(entries, read, strict=True)]
    if numbers == list(range(1, len(read) + 1)) and len(read) > 1:
        raise _refuse(path, f"every line has a number, 1 to {len(read)}: expected 0 to {len(read) - 1} beside the classes, or "
                            f"the classes alone", f"{LITERAL}, numbers and all.")
    return None


def _read_plain(path: Path, entries: Sequence[Entry]) -> list[Entry]:
    texts = [str(entry.name).strip() for entry in entries]
    faults: tuple[tuple[Callable[[str], bool], str], ...] = (
        (lambda text: text.endswith((",", ";")), "ends with a comma"), (lambda text: text.startswith("- "), "begins with a dash"))
    for has, what in faults:
        if len(texts) > 1 and sum(map(has, texts)) >= len(texts) - 1:
            raise _refuse(path, f"line 1 {what}, like the others: expected the name of a class and nothing else",
                          f"Remove it. {LITERAL}.")
    quoted = all(len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1] for text in texts)
    return [entry._replace(name=_unquote(text) if quoted else text) for entry, text in zip(entries, texts, strict=True)]


def _unquote(text: str) -> str:
    inside = text[1:-1]
    return inside if len(text) > 2 and text[0] == text[-1] == '"' and '"' not in inside else text


# --- both


def _number(path: Path, entries: list[Entry]) -> list[Entry]:
    """The entries in the order of the outputs. UsageError: some have a number and some none, or not each once from 0 on."""
    if fault := _find_fault(entries):
        raise _refuse(path, fault, f"{LITERAL}.")
    return _sort(entries)


def _sort(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.number or 0)


def _find_fault(entries: Sequence[Entry]) -> str | None:
    numbers: dict[int, str] = {}
    for entry in entries:
        if (entry.number is None) != (entries[0].number is None):
            return f"{entry.where}: expected a number beside every class or beside none"
        if entry.number is not None:
            if not 0 <= entry.number < len(entries):
                return (f"{entry.where}: expected the numbers 0 to {len(entries) - 1} of {len(entries)} classes, got "
                        f"{entry.number}")
            if entry.number in numbers:
                return f"{entry.where}: expected each number once, got {entry.number} as in {numbers[entry.number]}"
            numbers[entry.number] = entry.where
    return None


def _normalise(path: Path, entry: Entry, counts: Mapping[str, int]) -> str:
    if not isinstance(entry.name, str):
        raise _refuse(path, f"{entry.where}: expected the name of a class, got {shorten(_plain(entry.name))}")
    alike = bool(entry.id) and counts[entry.name] > 1  # ImageNet has two cranes, which their ids tell apart
    try:
        return labels.normalise_class(f"{entry.name} ({entry.id})" if alike else entry.name)
    except BadLabel as error:
        raise _refuse(path, f"{entry.where}: {str(error).rstrip('.')}") from None
