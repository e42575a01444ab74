"""What is said where pictures come in through another decoder than those a version learnt from (docs/decoders.md)."""

from contract.documents.card import Card


def explain_other_decoder(card: Card, here: str | None) -> str | None:
    """Says that pictures of the user's own format are made otherwise here; None where they are not, or the card names no decoder.

    `here`: the decoder of this machine, package.module:function, with @ and the digits of its source where these are known;
    None: it has none.
    """
    known = card.preprocess.decoders
    if not known or here in (known if here and "@" in here else [name.partition("@")[0] for name in known]):
        return None
    made = f"version {card.version} of {card.model!r} is made for pictures of {', '.join(known)}"
    if here is None:
        return f"{made}; here no pictures.decoder is set, so files of that format are refused"
    same = here.partition("@")[0] in {name.partition("@")[0] for name in known}
    changed = ", the same function with another source" if same else ""
    return (f"{made}; here pictures.decoder is {here}{changed}, whose pixels may differ. Put the earlier one "
            f"back, or train a version on pictures that this one made")
