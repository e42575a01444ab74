"""Which models a service may be started for: those that were published, and those that imported logs or evaluations name."""

from __future__ import annotations

from contract.days import prediction_days
from contract.evaluations import list_known_models
from contract.rows.models import require_model
from contract.stores.store import Storage
from inference.live.model import require_published


def require_known(storage: Storage, model: str) -> None:
    """Raises NoSuchModel when nothing under the root has the model's name.

    A model of which there are only logs is shown on the pages, and its predictions can be labelled; /v1/predictions says that
    nothing was published.
    """
    if model in list_known_models(storage):
        return
    if not prediction_days(storage):
        require_published(storage, model)
    require_model(storage, model)
