"""The versions that doctor looks at: those that answer, or compute beside what answers."""

from collections.abc import Iterator

from contract.canary.changes import get_running
from contract.documents.card import Card
from contract.registry import Registry, models
from contract.storage import open_root


def list_cards_in_use(root: str) -> list[Card]:
    """Lists the cards of what is live, of what an alias names and of canaries, of every model under a root."""
    storage = open_root(root)
    return [card for name in models(storage) for card in _list_cards(Registry(storage, name))]


def _list_cards(registry: Registry) -> Iterator[Card]:
    newest, _ = registry.newest_known()
    if newest is None or newest.state.live is None:
        return
    canary = get_running(newest.state)
    named = [newest.state.live, *newest.state.aliases.values(), *([canary.version] if canary else [])]
    yield from (registry.card(version) for version in dict.fromkeys(named))
