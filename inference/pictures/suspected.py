"""Labels that are likely wrong, as the service shows them: the newest list of a model, less what waits for a blind answer."""

from __future__ import annotations

from typing import NamedTuple

from contract import clock
from contract.review.send_suspects import Sent, send
from contract.review.strongest import Strongest, choose_strongest, find_waiting
from contract.review.suspects import Pair, Said, Suspects, is_any, list_open, read_newest, read_said
from contract.rows.items import list_erased
from contract.settings import Settings
from contract.stores.store import Storage

SHOWN = 60  # of each split
LOOKED_S = 5.0  # a look is kept for so long, or for as long as it took: else one over hundreds of days is never shown


class _Look(NamedTuple):
    until: float  # by clock.monotonic
    document: Suspects | None
    said: dict[Pair, Said]
    waiting: set[Pair]


class Suspected:
    """The lists of one root, looked at every LOOKED_S. Methods read the store; threads may share it."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self.storage, self._settings = storage, settings
        self._looks: dict[str, _Look] = {}

    def is_there(self, model: str) -> bool:
        """Says whether anybody looked for labels of this model that are likely wrong."""
        return is_any(self.storage, model)

    def find(self, model: str, hides_waiting: bool) -> Strongest | None:
        """Finds what the newest list says; None where nobody looked. DamagedDocument.

        `hides_waiting`: leaves out what waits for a blind answer, for whoever may give it.
        """
        look = self._look(model)
        if look.document is None:
            return None
        return choose_strongest(look.document, look.said, SHOWN, list_erased(self.storage), look.waiting if hides_waiting else ())

    def send(self, model: str, most: int, by: str) -> Sent:
        """Sends up to `most` that nobody judged or is asked about, the likeliest mistakes first, to be judged blind.

        Those that nobody can be asked about are passed over on the way, and counted.
        """
        self._looks.pop(model, None)
        look = self._look(model)
        found = list_open(look.document.suspects, look.said) if look.document else []
        open_ = [one for one in found if one.pair not in look.said and one.pair not in look.waiting]
        sent = send(self.storage, model, open_, self._settings.serve.label_days, by, most)
        self._looks.pop(model, None)
        return sent

    def _look(self, model: str) -> _Look:
        known, begin = self._looks.get(model), clock.monotonic()
        if known is None or begin > known.until:
            document = read_newest(self.storage, model)
            suspects = document.suspects if document else []
            said = read_said(self.storage, suspects, self._settings.gates.trusted_origins)
            waiting = find_waiting(self.storage, model, suspects, self._settings.serve.label_days)
            end = clock.monotonic()
            known = self._looks[model] = _Look(end + max(LOOKED_S, end - begin), document, said, waiting)
        return known
