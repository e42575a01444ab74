"""The versions that doctor looks at: those that answer, or compute beside what answers."""

from collections.abc import Iterator

from contract.canary.changes import get_running
from contract.documents.card import Card
from contract.errors import TrueupError
from contract.registry import Registry, models
from contract.storage import open_root


class CardsInUse:
    """Read once, when the first check asks: a root that does not answer keeps doctor waiting once, not for each check."""

    def __init__(self, root: str | None) -> None:
        self._root = root
        self._found: list[Card] | TrueupError | None = None

    def list_cards(self) -> list[Card]:
        """Lists the cards of what is live, of what an alias names and of canaries, of every model; none without a root.

        TrueupError: of the root, or of a card; the same one at each call.
        """
        if self._found is None:
            try:
                self._found = _read_cards(self._root) if self._root else []
            except TrueupError as error:
                self._found = error
        if isinstance(self._found, TrueupError):
            raise self._found
        return self._found


def _read_cards(root: str) -> list[Card]:
    storage = open_root(root)
    return [card for name in models(storage) for card in _list_cards(Registry(storage, name))]


def _list_cards(registry: Registry) -> Iterator[Card]:
    newest, _ = registry.newest_known()
    if newest is None or newest.state.live is None:
        return
    canary = get_running(newest.state)
    named = [newest.state.live, *newest.state.aliases.values(), *([canary.version] if canary else [])]
    yield from (registry.card(version) for version in dict.fromkeys(named))
