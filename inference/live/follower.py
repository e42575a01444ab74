"""Follows the live versions of all models, and what computes beside them, each in a thread of its own: one that hangs or fails
holds up no other."""

from collections.abc import Callable

from contract import clock
from inference.live.model import LiveModel
from inference.live.repeating import Repeater

# A version that is being loaded is waited for at the end, a store that hangs is not.
STOP_S = 5.0


class Follower:
    """The threads that follow models; `add` and `remove` while it runs."""

    def __init__(self, poll_seconds: float, followed: Callable[[], None] = lambda: None) -> None:
        """`followed` is called after each look at a model, in its thread."""
        self._poll_seconds, self._followed = poll_seconds, followed
        self._watchers: dict[str, list[Repeater]] = {}

    def add(self, live: LiveModel) -> None:
        """Begins to follow a model."""

        def follow(look: Callable[[], None]) -> Callable[[], None]:
            def work() -> None:
                look()
                self._followed()

            return work

        self._watchers[live.model] = [
            Repeater(f"live {live.model}", self._poll_seconds, follow(live.follow_live)).start(),
            Repeater(f"beside {live.model}", self._poll_seconds, follow(live.follow_beside)).start()]

    def watch(self, name: str, work: Callable[[], None]) -> None:
        """Does something else as often, in a thread of its own."""
        self._watchers[f" {name}"] = [Repeater(name, self._poll_seconds, work).start()]

    def remove(self, model: str) -> None:
        """Follows a model no longer."""
        for watcher in self._watchers.pop(model):
            watcher.end()

    def stop(self) -> None:
        """Ends the threads; a version that is being loaded is waited for, for STOP_S at most."""
        watchers, until = [one for of in list(self._watchers.values()) for one in of], clock.monotonic() + STOP_S
        for watcher in watchers:
            watcher.end()
        for watcher in watchers:
            watcher.join(until)
