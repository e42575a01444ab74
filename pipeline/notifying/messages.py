"""The body and the headers of a message: JSON of our own, or what an incoming webhook of Slack takes.

A body is made of the event alone, so that a message that is sent twice is the same twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from contract import jsonio
from contract.sections.notify import Target
from contract.stores.store import Storage
from pipeline.notifying.events import Event

SIGNATURE, TIMESTAMP, KEY = "X-Trueup-Signature", "X-Trueup-Timestamp", "Idempotency-Key"
LONGEST = 2900  # letters of a section of Slack's blocks, which has at most 3,000
SIGNS = {"verdict": ":scales:", "published": ":rocket:", "refused": ":no_entry:", "approval": ":raised_hand:",
         "failed": ":x:", "stale": ":hourglass:", "test": ":wave:"}


def make_body(target: Target, event: Event, storage: Storage) -> bytes:
    """Makes the body of a message to this target."""
    key = event.make_key(storage)
    if target.kind == "slack":
        return json.dumps(_make_slack(event, key, storage.root), ensure_ascii=False).encode()
    return jsonio.dumps({"schema": "1", "idempotency_key": key, "event": event.kind, "model": event.model, "at": event.at,
                         "root": storage.root, "sentence": event.sentence, "facts": event.facts})


def make_headers(body: bytes, key: str, secret: str | None, timestamp: int) -> dict[str, str]:
    """Makes the headers; with a secret, HMAC-SHA256 over `<timestamp>.<body>`. `timestamp`: seconds since 1970."""
    headers = {"Content-Type": "application/json", "User-Agent": "trueup", KEY: key}
    if secret is not None:
        headers |= {TIMESTAMP: str(timestamp), SIGNATURE: f"sha256={sign(body, secret, timestamp)}"}
    return headers


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Signs a body: 64 hex digits."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _make_slack(event: Event, key: str, root: str) -> dict[str, Any]:
    text = _escape(event.sentence)
    below = f"{event.kind} · {event.at[:16].replace('T', ' ')} UTC · {_escape(root)}"
    return {"text": text[:LONGEST], "blocks": [
        {"type": "section", "block_id": key, "text": {"type": "mrkdwn", "text": f"{SIGNS[event.kind]} {text}"[:LONGEST]}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": below[:LONGEST]}]}]}


def _escape(text: str) -> str:
    """Escapes the three characters by which Slack knows links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
