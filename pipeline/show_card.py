"""The card of a version as text that a person reads, at most 80 columns wide."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from command.terminal import align, escape
from contract.assessed.first_holdout import Measured
from contract.documents.card import Card, Preprocess
from contract.texts.figures import write_moment, write_number, write_percent

WIDTH, NAMES = 80, 14  # columns, and those of the names at the left
MOST_MEASURED = 12
EPOCHS = ("epoch", "loss", "accuracy", "validation")


def write_card(card: Card, live: str | None, aliases: Sequence[str] = ()) -> str:
    """Writes what a version is, what it was made from and how its training went; `aliases`: its names."""
    head = f"{card.model} version {card.version}{', live' if card.version == live else ''}{''.join(f', {a}' for a in aliases)}"
    parts = ["\n".join(_write_pair(name, text) for name, text in _list_facts(card))]
    epochs, others = card.metrics.get("epochs"), {k: v for k, v in card.metrics.items() if k != "epochs"}
    if others:
        parts.append("\n".join(["metrics", *(_write_pair(f"  {name}", text) for name, text in _flatten(others))]))
    if isinstance(epochs, list) and all(isinstance(e, dict) for e in epochs) and epochs:
        parts.append(align(EPOCHS, [_write_epoch(e) for e in epochs]))
    return "\n\n".join([escape(head), *parts])


def write_first_holdout(measured: Sequence[Measured] | str, version: str) -> str:
    """Writes what versions answer right of the first dataset's held-out rows: the newest ones, and this version; or why not."""
    head = "accuracy on the held-out rows of the first dataset"
    if isinstance(measured, str):
        return f"{head}\n{textwrap.fill(escape(f'not known: {measured}'), WIDTH, initial_indent='  ', subsequent_indent='  ')}"
    shown = [one for n, one in enumerate(measured) if n < MOST_MEASURED or one.version == version]
    lines = [_write_pair(f"  version {one.version}", one.describe()) for one in shown]
    left = len(measured) - len(shown)
    more = [_write_pair("", f"and {write_number(left)} more (--json lists all)")] if left else []
    return "\n".join([head, *lines, *more])


def _list_facts(card: Card) -> Iterator[tuple[str, str]]:
    yield "made", f"{write_moment(card.created_at)}{f', {card.made_from}' if card.made_from else ''}"
    yield "network", f"{card.network}, {card.number_format}, {card.runtime}"
    if (made := card.converted) is not None:
        yield "converted", f"{write_number(made.bytes)} bytes, sha256 {made.sha256}, with {_write_libraries(made.made_with)}"
    yield "classes", f"{write_number(len(card.classes))}: {', '.join(card.classes)}"
    yield "input", _write_input(card.preprocess)
    if card.preprocess.levels is not None:
        yield "levels", f"{card.preprocess.levels[0]} (black) to {card.preprocess.levels[1]} (white) of grey of 16 bits"
    if card.preprocess.decoders:
        yield "decoders", ", ".join(card.preprocess.decoders)
    yield "parent", f"version {card.parent}" if card.parent else "none: it was not fine-tuned from a version of this model"
    yield "dataset", card.dataset or "not known: it was brought from outside"
    yield "weights", f"{write_number(card.weights_bytes)} bytes, sha256 {card.weights_sha256}"
    if card.settings:
        yield "settings", ", ".join(f"{name} {value}" for name, value in sorted(card.settings.items()) if value is not None)
    if card.code_version:
        yield "release", card.code_version


def _write_libraries(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _write_input(made: Preprocess) -> str:
    size = f"shorter side to {made.resize} px" if isinstance(made.resize, int) else (
        f"resized to {made.resize[0]} x {made.resize[1]} px" if made.resize else "any size")
    return f"{size}{f', centre {made.crop} px' if made.crop else ''}, {made.interpolation}{', grey' if made.grey else ''}"


def _write_pair(name: str, text: str) -> str:
    lines = textwrap.wrap(escape(text), WIDTH - NAMES, max_lines=8, placeholder=" …") or [""]
    first = escape(name) if len(name) < NAMES else f"{escape(name)}\n{'':<{NAMES}}"
    return "\n".join([f"{first:<{NAMES}}{lines[0]}", *(f"{'':<{NAMES}}{line}" for line in lines[1:])])


def _flatten(metrics: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in metrics.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key} ")
        elif isinstance(value, float):
            yield f"{prefix}{key}", write_number(value, 4)
        elif isinstance(value, str | int):
            yield f"{prefix}{key}", str(value)


def _write_epoch(epoch: dict[str, Any]) -> tuple[str, ...]:
    validation = epoch.get("validation")
    checked = validation.get("accuracy") if isinstance(validation, dict) else None
    return (str(epoch.get("epoch", "")), write_number(epoch.get("loss"), 4), write_percent(epoch.get("accuracy"), 1),
            write_percent(checked, 1))
