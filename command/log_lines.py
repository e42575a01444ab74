"""Log lines for a person at a terminal: the time (UTC), the level in its colour, a sentence, then what else is known.

    14:03:07  info     Now serving version 2 of digits.  network=resnet18 replaces=1

For programs the same events are JSON lines (inference.telemetry.JsonLines).
"""

import logging
import os
import string
from collections.abc import Mapping
from typing import Any, TextIO

from command.terminal import escape
from contract import clock

COLOURS = {"info": "36", "warning": "33", "error": "31", "critical": "31;1"}
LONGEST = 400  # characters of one value; an error may quote a whole document
# Events in words; what a sentence names is not said again behind it. Others are their name and their values.
SENTENCES = {
    "starting": "Starting with the root {root}; {waiting_rows} rows wait in the outbox {outbox}.",
    "listening": "Ready at {url}.",
    "now serving": "Now serving version {version} of {model}.",
    "predicted": "Predicted {prediction_id} by version {version} of {model} in {ms} ms.",
    "version refused": "Version {version} of {model} was refused: {reason}",
    "refused": "Refused ({status} {code}): {reason}",
    "stopped": "Stopped; {rows_left} rows are left in the outbox.",
    "shipped": "Shipped {rows} rows to {key}.",
    "store unavailable": "The store does not answer: {error}",
    "key not looked up": "A key could not be looked up: {error}",
    "keys not refreshed": "The keys could not be read again: {error}",
}
# What is of use to machines alone: nobody reads 64 hex digits off a terminal.
HIDDEN = {"weights_sha256", "preprocess_hash", "history", "writer", "models"}


class HumanLines(logging.Formatter):
    """One line for one event, cut to what a person reads; a traceback follows it."""

    def __init__(self, colours: bool) -> None:
        super().__init__()
        self.colours = colours

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        shown = f"{level:<7}"
        if self.colours and level in COLOURS:
            shown = f"\x1b[{COLOURS[level]}m{shown}\x1b[0m"
        sentence, rest = write_event(record.getMessage(), getattr(record, "fields", {}))
        if self.colours and rest:
            rest = f"\x1b[2m{rest}\x1b[0m"
        line = f"{clock.now():%H:%M:%S}  {shown}  {sentence}{f'  {rest}' if rest else ''}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def write_event(name: str, fields: Mapping[str, Any]) -> tuple[str, str]:
    """Writes an event as a sentence, and the values that the sentence does not name as `name=value`."""
    template = SENTENCES.get(name, "")
    named = {field for _, field, _, _ in string.Formatter().parse(template) if field}
    texts = {key: _write_value(value) for key, value in fields.items()}
    if template and named <= set(texts):
        sentence = template.format_map(texts)
    else:
        named, sentence = set(), escape(name[:1].upper() + name[1:]).rstrip(".") + "."
    rest = [f"{key}={text}" for key, text in texts.items() if key not in named | HIDDEN and fields[key] not in (None, "", [])]
    return sentence, " ".join(rest)


def _write_value(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")


def wants_text(log_format: str, stream: TextIO) -> bool:
    """Says whether lines are for a person: `text`, or `auto` where the stream is a terminal."""
    return log_format == "text" or log_format == "auto" and stream.isatty()


def wants_colours(stream: TextIO) -> bool:
    """Says whether a stream shows colours: a terminal, of somebody who has not said no (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
