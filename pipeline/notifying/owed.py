"""Sends what is owed: events that no document says were sent. After a message was accepted that is noted in the bucket.

A crash between both sends it again, with the same key: at least once. Nothing here is ever the reason that a command fails.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from contract import clock, layout
from contract.documents.notified import Notified, NotifyFailure
from contract.errors import TrueupError, pass_over
from contract.sections.notify import Target
from contract.settings import Settings
from contract.stores.store import Storage, create_if_absent
from pipeline.notifying.events import Event, find_events
from pipeline.notifying.messages import make_body, make_headers
from pipeline.notifying.references import resolve
from pipeline.notifying.sending import Answer, Limits, deliver

SLACK_S = 2.0  # beyond notify.seconds, for what has no time limit of its own: a name that is looked up, a store


@dataclass
class Post:
    """One round of sending, and what came of it."""

    storage: Storage
    settings: Settings
    until: float = 0.0
    sent: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.until = clock.monotonic() + self.settings.notify.seconds

    def send_owed(self, models: Sequence[str]) -> None:
        """Sends what is owed of these models, oldest first; a target that does not take one gets no more in this round."""
        silent: set[str] = set()
        for event, target in self.list_owed(models):
            if target.name not in silent and not self.send(event, target):
                silent.add(target.name)

    def list_owed(self, models: Sequence[str]) -> Iterator[tuple[Event, Target]]:
        """Lists what is owed to whom."""
        since = clock.now() - timedelta(days=self.settings.notify.days)
        for model in models:
            try:
                events = find_events(self.storage, model, since, self.settings.gates.max_age_days)
            except TrueupError as error:  # what is damaged of one model holds up no other
                pass_over(error)
                continue
            for event in events:
                for target in self.settings.notify.targets:
                    if event.kind in target.events and not self.storage.exists(self._name_note(event, target)):
                        yield event, target

    def send(self, event: Event, target: Target, note: bool = True) -> bool:
        """Sends one message and notes it; says whether it was accepted."""
        key = event.make_key(self.storage)
        try:
            answer = self._deliver(event, target, key)
        except TrueupError as error:
            answer = Answer(None, str(error), 0)
        about = {"target": target.name, "event": event.kind, "model": event.model, "key": key, "sentence": event.sentence}
        if answer.error is not None or answer.status is None:
            self.failed.append(about | {"error": answer.error, "attempts": answer.attempts})
            if note:
                self._note_failure(event, target, key, answer)
            return False
        if note:
            self._note(event, target, key, answer.status)
        self.sent.append(about)
        return True

    def _deliver(self, event: Event, target: Target, key: str) -> Answer:
        notify = self.settings.notify
        address = resolve(target.url)
        secret = None if target.secret is None else resolve(target.secret)
        body = make_body(target, event, self.storage)
        return deliver(address, body, lambda: make_headers(body, key, secret, int(clock.machine())),
                       Limits(notify.timeout_seconds, notify.attempts, notify.backoff_seconds, self.until))

    def _name_note(self, event: Event, target: Target) -> str:
        return layout.notified(event.model, target.name, event.make_key(self.storage))

    def _note(self, event: Event, target: Target, key: str, status: int) -> None:
        made = Notified(key=key, event=event.kind, subject=event.subject, at=event.at, sent_at=clock.iso(clock.now()),
                        status=status)
        create_if_absent(self.storage, self._name_note(event, target), made.to_bytes())

    def _note_failure(self, event: Event, target: Target, key: str, answer: Answer) -> None:
        made = NotifyFailure(key=key, event=event.kind, failed_at=clock.iso(clock.now()), attempts=answer.attempts,
                             error=answer.error or "")
        self.storage.put(layout.notified(event.model, target.name, "last-failure"), made.to_bytes())


@contextmanager
def send_afterwards(storage: Storage, settings: Settings) -> Iterator[None]:
    """Sends what is owed of the settings' model when the block ends, also by an error, which then goes on."""
    try:
        yield
    finally:
        if settings.notify.targets and settings.model:
            send_within(Post(storage, settings), [settings.model])


def send_within(post: Post, models: Sequence[str]) -> None:
    """Sends for `notify.seconds` at the most; what goes wrong is said on standard error, and raised nowhere."""
    thread = threading.Thread(target=_send, args=(post, models), name="notify", daemon=True)
    thread.start()
    thread.join(post.settings.notify.seconds + SLACK_S)
    for line in write_failures(post):
        print(line, file=sys.stderr, flush=True)
    if thread.is_alive():
        print(f"notify: not done within {post.settings.notify.seconds:g} s; `trueup notify` sends what is left.", file=sys.stderr)


def write_failures(post: Post) -> list[str]:
    """Writes one line for each message that was not accepted."""
    return [f"notify: {f['target']}: {f['event']} of {f['model']} was not sent: {f['error']}" for f in list(post.failed)]


def _send(post: Post, models: Sequence[str]) -> None:
    try:
        post.send_owed(models)
    except Exception as error:  # the command that this follows is over, and its end stands
        why = f": {error}" if isinstance(error, TrueupError) else ""  # the text of another may hold an address
        print(f"notify: {type(error).__name__}{why}", file=sys.stderr, flush=True)
