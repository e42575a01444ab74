"""What `trueup doctor` says of `serve.redact`: whether pictures lose the bits that a version's levels divide."""

from functools import partial

from contract.errors import TrueupError
from contract.settings import Settings
from contract.texts.levels import explain_lost_levels
from pipeline.checks.in_use import CardsInUse
from pipeline.checks.machine import ABSENT, OK, Check
from pipeline.checks.own_code import explain_absence

LOST = "lost"  # it works, and something that a card says does not apply


def check_redaction(settings: Settings, in_use: CardsInUse) -> tuple[str, str]:
    """Looks at the versions that answer or compute beside what answers: those with levels, where the hook leaves 8 bits."""
    if settings.serve.redact and explain_absence("serve.redact", settings.serve.redact):
        return ABSENT, "not looked at: own code says why"
    if not settings.root:
        return ABSENT, "no root that can be read"
    if settings.serve.cuts_to_8_bits is None:
        return OK, f"{settings.serve.redact} takes grey of 16 bits as it is"
    try:
        cards = in_use.list_cards()
    except TrueupError as error:  # of the root, or of a card: no hook cures it, and other checks say what does
        return ABSENT, f"not known: {error}"
    lost = [said for card in cards if (said := explain_lost_levels(card, settings.serve.cuts_to_8_bits))]
    return (LOST, "; ".join(lost)) if lost else (OK, f"{settings.serve.redact} leaves 8 bits; no version in use has levels")


def make_check(in_use: CardsInUse) -> Check:
    """Makes doctor's check of the hook."""
    return Check(partial(check_redaction, in_use=in_use), "have the function take grey of 16 bits and set serve.redact_grey16: "
                 "true, or train without levels on pictures of 8 bits (docs/redaction.md)")
