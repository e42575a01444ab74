"""What `trueup doctor` says of `serve.redact`: whether pictures lose the bits that a version's levels divide."""

from collections.abc import Iterator

from contract.canary.changes import get_running
from contract.documents.card import Card
from contract.errors import TrueupError
from contract.registry import Registry, models
from contract.settings import Settings
from contract.storage import open_root
from contract.texts.levels import explain_lost_levels
from pipeline.checks.machine import ABSENT, OK, Check

LOST = "lost"  # it works, and something that a card says does not apply


def check_redaction(settings: Settings) -> tuple[str, str]:
    """Looks at the versions that answer or compute beside what answers: those with levels, where the hook leaves 8 bits."""
    if not settings.root:
        return ABSENT, "no root that can be read"
    if settings.serve.cuts_to_8_bits is None:
        return OK, f"{settings.serve.redact} takes grey of 16 bits as it is"
    try:
        storage = open_root(settings.root)
        cards = [card for name in models(storage) for card in _list_cards(Registry(storage, name))]
    except TrueupError as error:  # of the root, or of a card: no hook cures it, and other checks say what does
        return ABSENT, f"not known: {error}"
    lost = [said for card in cards if (said := explain_lost_levels(card, settings.serve.cuts_to_8_bits))]
    return (LOST, "; ".join(lost)) if lost else (OK, f"{settings.serve.redact} leaves 8 bits; no version in use has levels")


def _list_cards(registry: Registry) -> Iterator[Card]:
    newest, _ = registry.newest_known()
    if newest is None or newest.state.live is None:
        return
    canary = get_running(newest.state)
    named = [newest.state.live, *newest.state.aliases.values(), *([canary.version] if canary else [])]
    yield from (registry.card(version) for version in dict.fromkeys(named))


CHECK = Check(check_redaction, "have the function take grey of 16 bits and set serve.redact_grey16: true, or train without "
              "levels on pictures of 8 bits (docs/redaction.md)")
