"""An evaluation as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

from command.command import Outcome
from command.terminal import align, escape
from contract.documents.evaluation import Evaluation, Rows
from contract.texts.figures import NOTHING, write_figure

ALWAYS_SHOWN = {"predictions", "labels", "vote"}  # other counts of rows only when they are not 0


def make_outcome(document: Evaluation, where: str, evaluation_id: str | None = None) -> Outcome:
    """Makes the outcome of the command; its exit code is 0 whatever the figures, which only a gate judges.

    `where` names the document for people; `evaluation_id` is the folder that it was stored in, None when it was not.
    """
    shown: dict[str, Any] = {**document, "id": evaluation_id} if evaluation_id else {**document}
    return Outcome(document=shown, text=lambda: write_text(document, where))


def write_text(document: Evaluation, where: str) -> str:
    """Renders a table of the versions, what was counted, and where the document lies."""
    window = document["window"]
    head = f"{escape(document['model'])}, predictions of {window['from']} to {window['to']}, known at {document['as_of']}"
    body = _versions(document) if document["versions"] else _explain_nothing(document)
    left_out = [escape(f"PARTIAL: left out {p['file']}: {p['reason']}") for p in document["partial"]]
    gone = document.get("expired") or []
    expired = [f"expired: the rows of {len(gone)} of these days, whose counts were kept: {', '.join(gone)}"] if gone else []
    sections: Mapping[str, Any] = document.get("evidence") or {}
    evidence = [escape(f"{name}: {section['sentence']}") for name, section in sections.items()]
    return "\n".join([head, "", body, "", _rows(document["rows"]), *left_out, *expired, *evidence, where])


def _explain_nothing(document: Evaluation) -> str:
    models = document.get("models_with_rows") or []
    named = ", ".join(map(escape, models))
    there = f"Models that have rows: {named}." if models else "The root has no prediction rows at all."
    return f"{document.get('reason')}: no prediction of {document['model']!r} in this window. {there}"


def _versions(document: Evaluation) -> str:
    head = ("version", "predictions", "labelled", "accuracy (95%)", "estimate (95%)", "rests on", "macro F1")
    rows = []
    for version, figures in document["versions"].items():
        estimate = figures["estimate"]
        rows.append((version, f"{figures['predictions']:,}", f"{figures['labelled']:,}", write_figure(figures["accuracy"]),
                     write_figure(estimate), estimate["origin"] or NOTHING, write_figure(figures["macro"]["f1"])))
    return align(head, rows)


def _rows(rows: Rows) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in rows.items() if n or name in ALWAYS_SHOWN)
