"""What is said where a version's levels for grey of 16 bits do not apply (docs/decoders.md)."""

from contract.documents.card import Card


def explain_lost_levels(card: Card, cut_by: str | None) -> str | None:
    """Says that pictures lose what a card's levels divide; None where nothing cuts them to 8 bits, or it has no levels.

    `cut_by`: the function of `serve.redact` that leaves 8 bits.
    """
    levels = card.preprocess.levels
    if cut_by is None or levels is None:
        return None
    return (f"version {card.version} of {card.model!r} has levels {levels[0]},{levels[1]} for grey of 16 bits, which do not "
            f"apply: {cut_by} (serve.redact) gets and leaves the upper 8 bits. Have it take uint16 [height, width] and set "
            f"serve.redact_grey16 (docs/redaction.md)")
