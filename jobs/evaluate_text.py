"""An evaluation as lines for a terminal."""

from typing import Any

from command.command import Outcome
from command.terminal import align, escape


def outcome(document: dict[str, Any], where: str) -> Outcome:
    """How the command ends: always 0, the figures are the gate's business."""
    return Outcome(document=document, text=as_text(document, where))


def as_text(document: dict[str, Any], where: str) -> str:
    """A table of the versions, what was counted, and where the document lies."""
    window = document["window"]
    head = f"{escape(document['model'])}, predictions of {window['from']} to {window['to']}, known at {document['as_of']}"
    body = _versions(document) if document["versions"] else _nothing(document)
    left_out = [escape(f"PARTIAL: left out {p['file']}: {p['reason']}") for p in document["partial"]]
    return "\n".join([head, "", body, "", _rows(document["rows"]), *left_out, where])


def _nothing(document: dict[str, Any]) -> str:
    models = document.get("models_with_rows") or []
    named = ", ".join(map(escape, models))
    there = f"Models that have rows: {named}." if models else "The root has no prediction rows at all."
    return f"{document['reason']}: no prediction of {document['model']!r} in this window. {there}"


def _versions(document: dict[str, Any]) -> str:
    head = ("version", "predictions", "labelled", "accuracy (95%)", "estimate (95%)", "rests on", "macro F1")
    rows = []
    for version, figures in document["versions"].items():
        estimate, macro = figures["estimate"], figures.get("macro", {}).get("f1")
        rows.append((version, f"{figures['predictions']:,}", f"{figures['labelled']:,}", _figure(figures["accuracy"]),
                     _figure(estimate), estimate.get("origin") or "-", _figure(macro)))
    return align(head, rows)


def _figure(figure: dict[str, Any] | None) -> str:
    if not figure or figure["value"] is None:
        return "-"
    low, high = figure["low"], figure["high"]
    between = f" ({low:.4f}-{high:.4f})" if low is not None and high is not None else ""
    return f"{figure['value']:.4f}{between}"


def _rows(rows: dict[str, int]) -> str:
    zero = {"predictions", "labels", "vote"}
    return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in rows.items() if n or name in zero)
