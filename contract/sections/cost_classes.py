"""Which classes the setting `gates.costs` may name: those of the model's cards, or that were seen."""

from collections.abc import Collection, Mapping

from contract.counts import UNNAMED
from contract.errors import UsageError
from contract.registry import Registry
from contract.stores.store import Storage

NAMED = 10  # classes that an error lists


def find_unknown(storage: Storage, model: str, costs: Mapping[str, Mapping[str, float]], seen: Collection[str]) -> list[str]:
    """The classes of `costs` that no row has, of a model without a card. UsageError where cards say that there are none."""
    names = {name for label, row in costs.items() for name in (label, *row)} - {UNNAMED}
    if not names:
        return []
    registry = Registry(storage, model)
    listed = {name for version in registry.versions() for name in registry.card(version).classes}
    unknown = sorted(names - listed - {*seen})
    if unknown and listed:
        others = f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
        raise UsageError(f"gates.costs: model {model!r} has no class {unknown[0]!r}: expected one of "
                         f"{', '.join(sorted(listed)[:NAMED])}{others}.")
    return unknown
