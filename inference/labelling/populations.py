"""Which samples there are of a model: of which of its predictions, and of which days."""

from contract import layout
from contract.counts import ROLES
from contract.errors import UsageError, shorten
from contract.review.listed import POPULATION
from contract.samples import name_rest
from contract.stores.store import Storage

LISTED_BLIND = POPULATION[True]
# Live ones first: what is asked about when nothing is named.
POPULATIONS = (*ROLES, *map(name_rest, ROLES), LISTED_BLIND)


def check_population(name: str) -> str:
    """Checks what a sample is drawn from, as an address names it. UsageError."""
    if name not in POPULATIONS:
        raise UsageError(f"expected predictions of {', '.join(POPULATIONS)}, got {shorten(name)}.")
    return name


def list_populations(storage: Storage, model: str) -> list[str]:
    """Lists what samples of the model are drawn from, live predictions first."""
    there = set(storage.folders(layout.samples(model)))
    top = layout.samples(model)
    return [name for name in POPULATIONS if name == "live" or layout.samples(model, name).removeprefix(top).rstrip("/") in there]


def list_models_with_samples(storage: Storage) -> list[str]:
    """Lists the models that people were ever asked about, foreign ones too."""
    return sorted(layout.decode_name(folder) for folder in storage.folders(layout.all_samples()))
