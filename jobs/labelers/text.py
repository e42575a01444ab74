"""What a fit says of labelers, for people and for programs."""

from __future__ import annotations

from typing import Any

from command.terminal import align, escape
from contract.counts import WEIGHT_SCALE
from contract.documents.labeler_fit import LabelerFit, read_fit_table
from contract.stores.store import Storage
from contract.texts.figures import write_count, write_percent
from metrics.figure import ratio

LISTED, MISTAKES = 20, 3  # labelers that the text names, and mistakes of each
EVERYBODY = "everybody"


def make_document(storage: Storage, fit: LabelerFit) -> dict[str, Any]:
    """Returns the document of a fit, with a row for each labeler (`people`) and for `everybody`."""
    rows = read_fit_table(storage, fit, "labelers").to_pylist()
    mistakes = find_mistakes(storage, fit)
    shown = [{"labeler": row["labeler"], "votes": row["votes"], "accuracy": row["accuracy"],
              "weight": ratio(row["weight"], WEIGHT_SCALE), "mistakes": mistakes.get(row["labeler"], [])} for row in rows]
    return {**fit.to_dict(), "everybody": shown[0], "people": sorted(shown[1:], key=lambda row: (-row["votes"], row["labeler"]))}


def find_mistakes(storage: Storage, fit: LabelerFit) -> dict[str | None, list[dict[str, Any]]]:
    """Finds the likeliest mistakes of each labeler: what they call which class, most expected votes first."""
    table = read_fit_table(storage, fit, "confusion")
    found: dict[str | None, list[dict[str, Any]]] = {}
    for row in table.sort_by([("count", "descending")]).to_pylist():
        of = found.setdefault(row["labeler"], [])
        if row["truth"] != row["said"] and len(of) < MISTAKES and row["count"] >= 1:
            of.append({"truth": row["truth"], "said": row["said"], "count": row["count"], "probability": row["probability"]})
    return found


def describe_fit(storage: Storage, fit: LabelerFit) -> str:
    """Says what was fitted, where it lies, and how to use it."""
    left = ", ".join(f"{n:,} {name}" for name, n in fit.left_out.items() if n)
    end = "converged" if fit.converged else "not converged: ask for more --iterations"
    start = f"from the fit {fit.parameters.start}" if fit.parameters.start else "from the shares of votes"
    return "\n".join([
        f"{escape(fit.model)}, predictions of {fit.window.first} to {fit.window.last}: {fit.votes:,} votes of {fit.labelers:,} "
        f"labelers on {fit.predictions:,} predictions, {len(fit.classes):,} classes.",
        f"Form {fit.form}, {fit.iterations:,} iterations {start}, {end}."
        + (f" Left out: {left}." if left else ""),
        f"Use it: trueup evaluate --model {escape(fit.model)} --fit {fit.name}", storage.uri(fit.key)])


def describe_labelers(storage: Storage, fit: LabelerFit) -> str:
    """Lists the labelers with most votes."""
    document = make_document(storage, fit)
    people = document["people"]
    rows = [_write_row(document["everybody"] | {"labeler": EVERYBODY}), *map(_write_row, people[:LISTED])]
    table = align(("labeler", "votes", "right", "weight", "mistakes"), rows)
    where = storage.uri(fit.folder + fit.tables["labelers"])
    more = [f"{len(people) - LISTED:,} others stand in {where}"] if len(people) > LISTED else []
    worse = sum(row["weight"] == 0 for row in people)
    notes = [f"{write_count(worse, 'labeler')} with weight 0, no better than chance: such votes have no say in the one-coin form."
             ] if worse else []
    end = "Right: the share of their votes that names the class which the fit expects; it assumes that people err independently."
    return "\n".join([describe_fit(storage, fit), "", table, *more, "", *notes, end])


def _write_row(row: dict[str, Any]) -> tuple[str, ...]:
    mistakes = ", ".join(f"{m['truth']} as {m['said']} ({write_percent(m['probability'])})" for m in row["mistakes"])
    return (escape(row["labeler"]), f"{row['votes']:,}", write_percent(row["accuracy"], 1), f"{row['weight']:.2f}",
            escape(mistakes))
