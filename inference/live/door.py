"""What becomes of pictures at this service's door, before a version sees them; logged where that is not what its card expects."""

import logging
from dataclasses import dataclass

from contract.documents.card import Card
from contract.texts.decoders import explain_other_decoder
from contract.texts.levels import explain_lost_levels
from inference.telemetry import log_event


@dataclass(frozen=True)
class Door:
    """`cut_by`: the function of serve.redact that leaves 8 bits of pictures with 16; `decoder`: what makes pixels of formats of
    the user's own (OwnDecoder.name). None: nothing does."""

    cut_by: str | None = None
    decoder: str | None = None

    def warn_of(self, card: Card) -> None:
        """Logs that a version gets other pixels here than its card says. It answers in any case."""
        said = {"levels do not apply": explain_lost_levels(card, self.cut_by),
                "another decoder": explain_other_decoder(card, self.decoder)}
        for event, reason in said.items():
            if reason is not None:
                log_event(event, logging.WARNING, model=card.model, version=card.version, redact=self.cut_by,
                          decoder=self.decoder, reason=reason)
