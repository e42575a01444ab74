"""JSON as Trueup writes it: sorted keys, UTF-8, no NaN, one form for one content."""

import hashlib
import json
from typing import Any


def dumps(value: Any) -> bytes:
    """Readable canonical bytes, with a final newline. NaN and infinities are an error (ValueError)."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def loads(data: bytes | str) -> Any:
    """The value of a JSON text."""
    return json.loads(data)


def digest(value: Any) -> str:
    """sha256 (hex) of the compact canonical form: the same content, the same digest."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
