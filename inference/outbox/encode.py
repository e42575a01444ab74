"""A row as the outbox keeps it: JSON text, its day and its size."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from contract import ids
from contract.errors import UsageError


def encode_row(row: dict[str, Any], day: str | None = None) -> tuple[str, str, int]:
    """Returns the day, the JSON text and its size in bytes of a row.

    `day` None: the one that the row's id names; UsageError for an id that is no UUIDv7.
    """
    day = day or ids.day_of(row["prediction_id"])
    if day is None:
        raise UsageError(f"expected a prediction id that is a UUIDv7, got {row['prediction_id']!r}.")
    body = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return day, body, len(body.encode())


def encode_rows(rows: list[dict[str, Any]], day: str | None = None) -> list[tuple[str, str, int]]:
    """Encodes several, in their order."""
    return [encode_row(row, day) for row in rows]


def hash_rows(rows: list[tuple[int, str]]) -> str:
    """Hashes rows (moment of durability, JSON text) in their order."""
    return hashlib.sha256("\n".join(f"{recorded} {body}" for recorded, body in rows).encode()).hexdigest()
