"""What `trueup doctor` says of `pictures.decoder`: whether versions in use learnt from pictures that another one made.

By the names alone: the source's hash is known once the module is imported, and doctor runs none of the user's code. The service
says the rest at its start.
"""

from functools import partial

from contract.errors import TrueupError
from contract.settings import Settings
from contract.texts.decoders import explain_other_decoder
from pipeline.checks.in_use import CardsInUse
from pipeline.checks.machine import ABSENT, OK, Check
from pipeline.checks.own_code import explain_absence

OTHER = "other"  # it works, and is not what a card says


def check_decoder(settings: Settings, in_use: CardsInUse) -> tuple[str, str]:
    """Looks at the versions that answer or compute beside what answers."""
    if not settings.root:
        return ABSENT, "no root that can be read"
    try:
        cards = in_use.list_cards()
    except TrueupError as error:  # of the root, or of a card: other checks say what cures it
        return ABSENT, f"not known: {error}"
    here = settings.pictures.decoder
    if other := [said for card in cards if (said := explain_other_decoder(card, here))]:
        return OTHER, "; ".join(other)
    if here and explain_absence("pictures.decoder", here):
        return ABSENT, "not looked at: own code says why"
    return OK, f"{here}; no version in use names another" if here else "none, and no version in use names one"


def make_check(in_use: CardsInUse) -> Check:
    """Makes doctor's check of the decoder."""
    return Check(partial(check_decoder, in_use=in_use), "set pictures.decoder to the one that the version learnt from, or train "
                 "a version on pictures that this one made (docs/decoders.md)")
