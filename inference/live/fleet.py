"""The models that a service answers for: those it was started for, or all that were published, as they come and go.

Networks may take more memory together than there is (`serve.loaded_bytes`): then those that were asked longest ago sleep:
their weights leave memory, and come back when somebody asks. A version that goes live is loaded and tried all the same, so
that a bad one is refused when it is published and not when somebody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from contract import clock
from contract.registry import Registry, models
from contract.stores.store import Storage
from inference.live.follower import Follower
from inference.live.model import LiveModel
from inference.telemetry import log_event

if TYPE_CHECKING:
    from inference.model.predictor import Predictor


class Fleet:
    """`models`: name -> model, the default one first. Replaced as a whole, so that a reader on another thread sees one state."""

    def __init__(self, storage: Storage, names: Sequence[str], make: Callable[[str], LiveModel], poll_seconds: float,
                 every: bool = False, most_bytes: int | None = None, begin: Callable[[LiveModel], None] = lambda live: None,
                 end: Callable[[LiveModel], None] = lambda live: None) -> None:
        """`names`: those that are served in any case; `every`: and all others that have a live version.

        `begin` is called when a model begins to be followed, `end` when it is let go and when the service stops.
        """
        self.models: Mapping[str, LiveModel] = {name: make(name) for name in names}
        self._storage, self._make, self._every, self._most_bytes = storage, make, every, most_bytes
        self._fixed = frozenset(names)
        self._begin, self._end = begin, end
        self._room = threading.Lock()
        self._follower = Follower(poll_seconds, self.make_room)

    def load(self) -> None:
        """Loads what is live. Blocks; never raises for a bad version."""
        if self._every:
            self.models = {**self.models, **{live.model: live for live in self._find_new()}}
        for live in self.models.values():
            live.follow_live()
            self.make_room()

    def start(self) -> None:
        """Begins to follow."""
        for live in self.models.values():
            self._follower.add(live)
            self._begin(live)
        if self._every:
            self._follower.watch("models", self.follow_models)

    def is_named(self, name: str) -> bool:
        """Says whether the service was started for a model, and not taken up because it was published."""
        return name in self._fixed

    def stop(self) -> None:
        """Follows no longer."""
        self._follower.stop()
        for live in self.models.values():
            self._end(live)

    def follow_models(self) -> None:
        """Takes up models that were published since, and lets those go that were retired. Blocks."""
        for live in self._find_new():
            live.follow_live()  # first: a service is as ready as the models that it has
            self.models = {**self.models, live.model: live}
            self.make_room()
            self._follower.add(live)
            self._begin(live)
        gone = {name: live for name, live in self.models.items() if live.retired and name not in self._fixed}
        self.models = {name: live for name, live in self.models.items() if name not in gone}
        for name, live in gone.items():
            self._follower.remove(name)
            self._end(live)
            log_event("no longer served", model=name)

    def _find_new(self) -> list[LiveModel]:
        return [self._make(name) for name in models(self._storage) if name not in self.models and self._is_published(name)]

    def _is_published(self, name: str) -> bool:
        newest, _ = Registry(self._storage, name).newest_known()
        return newest is not None and newest.state.live is not None

    def wake(self, live: LiveModel) -> Predictor | None:
        """Loads a model that sleeps, and lets others sleep for it. None where nothing answers. Blocks; raises as loading does."""
        live.used_at = clock.monotonic()
        predictor = live.wake()
        self.make_room()
        return predictor

    def make_room(self) -> None:
        """Lets the models sleep that were asked longest ago, until the others hold few enough bytes; one stays in any case."""
        if self._most_bytes is None:
            return
        with self._room:
            awake = sorted((live for live in self.models.values() if live.predictor is not None), key=lambda live: live.used_at)
            held = sum(live.count_bytes() for live in self.models.values())
            for live in awake[:-1]:
                if held <= self._most_bytes:
                    return
                held -= live.sleep()
