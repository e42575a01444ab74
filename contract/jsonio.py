"""JSON as Trueup writes it: sorted keys, UTF-8, no NaN, one form for one content; and read only where it means one thing."""

import hashlib
import json
import math
from collections import Counter
from typing import Any, NoReturn

from contract.errors import DamagedDocument, shorten

SCHEMA = "1"  # of every document that says one
# Python indents in slow code: 2.5 MB take 2 s instead of 0.05, and grow to 3.5. Nobody reads that many lines anyway.
READABLE = 100_000


def dumps(value: Any) -> bytes:
    """Canonical bytes, with a final newline: indented up to 100,000 characters, compact beyond.

    The same content gives the same bytes. NaN and infinities are an error (ValueError).
    """
    return _dump_readable(value, _compact(value))


def dumps_with_digest(value: Any) -> tuple[bytes, str]:
    """(`dumps`, `digest`) of a large value, which is rendered once."""
    compact = _compact(value)
    return _dump_readable(value, compact), _sha256(compact)


def _dump_readable(value: Any, compact: str) -> bytes:
    if len(compact) <= READABLE:
        compact = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return f"{compact}\n".encode()


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def loads(data: bytes | str) -> Any:
    """The value of a JSON text in which everything means one thing.

    ValueError: no JSON, a name twice in one object, a number that is none or too large, half a surrogate pair, or nested so
    deeply that Python gives up.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_make_object, parse_constant=_refuse_constant, parse_float=_parse_float)
        if "\\ud" in text or "\\uD" in text:  # only then can a half of a pair be there, and writing shows it
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair") from None
    return value


def parse(data: bytes, where: str) -> Any:
    """The value of the document that lies at `where`; DamagedDocument names it, also when a newer release wrote it."""
    try:
        value = loads(data)
    except ValueError as error:
        what = "no bytes" if not data else f"what is no whole JSON ({error})"
        raise DamagedDocument(f"{where}: expected a JSON document, got {what}. Restore the file from a copy.") from None
    check_schema(value, where)
    return value


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """The same of a document that is an object."""
    value = parse(data, where)
    if not isinstance(value, dict):
        raise DamagedDocument(f"{where}: expected a JSON object, got {shorten(value)}. Restore the file from a copy.")
    return value


def check_schema(value: Any, where: str) -> None:
    """Raises DamagedDocument for an object that says another schema than ours: it means something else."""
    if isinstance(value, dict) and value.get("schema", SCHEMA) != SCHEMA:
        raise DamagedDocument(f"{where}: expected a document of schema {SCHEMA!r}, got {shorten(value['schema'])}: it was "
                              f"written by a newer release of Trueup. Update this one.")


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {shorten(name)} stands twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {shorten(text)} is too large")
    return number


def digest(value: Any) -> str:
    """sha256 (hex) of the compact canonical form: the same content, the same digest."""
    return _sha256(_compact(value))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
