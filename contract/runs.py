"""Runs: one pass of the cycle over a window, and who may carry it on.

`runs/<model>/<n>/run.json` is the plan and the lock: at most one run of a model is open. Its owners are a sequence; the
newest one works, and puts `beat-<k>.json` again and again. Whoever sees that beat stand still for long enough takes over as
owner k + 1, and finds in the folder one document for every stage that is finished. `end.json` closes the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from contract import clock, jsonio, layout
from contract.documents.document import Document, Moment
from contract.documents.finished_stages import STAGES
from contract.errors import AlreadyExists, DamagedDocument, NoConditionalWrites, NotFound, RunHeld, RunLost
from contract.run_owner import RunOwner, has_ended, me
from contract.sequence import NumberedDocuments
from contract.storage import read_json
from contract.stores.store import Storage, create_if_absent

AWAITING = "awaiting approval"  # the status of a run whose candidate passed, where people are to promote it
AWAITING_SHADOW = "awaiting shadow"  # its candidate computes beside the live version until labels tell whether it holds
# A window that nobody named means "now": an open run older than this is another one.
DEFAULT_WINDOW_HOLDS = 24 * 3600


class Plan(Document):
    """`run.json`: all that a run is given, fixed when it is created."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    window: dict[Literal["from", "to"], str]  # prediction days, both included
    default_window: bool = False  # nobody named the days
    as_of: Moment
    live: str  # the live version that is judged, and that a candidate may replace
    live_seq: int
    settings: dict[str, Any] = {}

    @model_validator(mode="after")
    def _window_has_two_ends(self) -> Self:
        if len(self.window) < 2:
            raise ValueError("expected a window with its first day and its last")
        return self

    @property
    def days(self) -> str:
        """The window in words."""
        return f"{self.window['from']} to {self.window['to']}"

    def has_same_window(self, other: Plan) -> bool:
        """Whether a start with this plan means the run that has the other."""
        if self.default_window and other.default_window:
            age = clock.parse_moment(self.as_of) - clock.parse_moment(other.as_of)
            return age.total_seconds() < DEFAULT_WINDOW_HOLDS
        return self.window == other.window


class End(Document):
    """`end.json`: how a run ended."""

    status: str
    exit_code: int
    sentence: str
    at: str


@dataclass(frozen=True)
class Timing:
    """How often an owner beats, and how long a beat stands still before its owner counts as dead; in seconds."""

    beat: float = 5.0
    takeover: float = 60.0

    @property
    def poll(self) -> float:
        """How often an observer looks."""
        return max(min(self.beat, self.takeover) / 5, 0.02)


@dataclass
class Run:
    """One run, and this process's place in it: `owner` is None for a reader."""

    storage: Storage
    n: int
    plan: Plan
    owner: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> str:
        """What version claims and history records name it by, e.g. `digits/3`."""
        return f"{self.plan.model}/{self.n}"

    @property
    def folder(self) -> str:
        """Where its documents lie."""
        return layout.run(self.plan.model, self.n)

    def owners(self) -> NumberedDocuments:
        """The sequence of its owners."""
        return NumberedDocuments(self.storage, layout.owner(self.plan.model, self.n))

    def holder(self) -> tuple[int, RunOwner] | None:
        """The newest owner, if there is one yet."""
        found = self.owners().newest()
        return (found[0], RunOwner.parse(found[1], self.owners().uri(found[0]))) if found else None

    def end(self) -> End | None:
        """How it ended; None while it is open."""
        key = layout.run_end(self.plan.model, self.n)
        found = self._document(key)
        return End.parse(found, self.storage.uri(key)) if found is not None else None

    def stage(self, name: str) -> dict[str, Any] | None:
        """The document of a finished stage, or None. DamagedDocument when it lacks what a later start needs of it."""
        key = layout.stage(self.plan.model, self.n, name)
        found = self._document(key)
        if found is not None and name in STAGES:
            try:
                STAGES[name].parse(found, self.storage.uri(key))
            except DamagedDocument as error:
                raise DamagedDocument(f"{error} While the run is open: remove it, and `trueup cycle` runs that stage again."
                                      ) from error
        return found

    def _document(self, key: str) -> Any:
        try:
            return read_json(self.storage, key)
        except NotFound:
            return None

    def require(self) -> None:
        """Raises RunLost unless this process is the newest owner of a run that is open."""
        if self.owner is None:
            raise RunLost(f"run {self.key}: expected its owner, this process only looked at it. Start `trueup cycle`.")
        newest = self._document(self.owners().key(self.owner + 1))
        if newest is not None:
            raise RunLost(f"run {self.key}: this process stood still for so long that another one took over "
                          f"({RunOwner.parse(newest, self.folder)}). Let that one finish.")
        if (end := self.end()) is not None:
            raise RunLost(f"run {self.key}: ended meanwhile ({end.status}: {end.sentence}). Start `trueup cycle`.")

    def record(self, name: str, document: dict[str, Any]) -> None:
        """Marks a stage as finished, for good."""
        self.require()
        self._create(layout.stage(self.plan.model, self.n, name), document)

    def finish(self, status: str, exit_code: int, sentence: str) -> End:
        """Closes the run."""
        self.require()
        end = End(status=status, exit_code=exit_code, sentence=sentence, at=clock.iso(clock.now()))
        self._create(layout.run_end(self.plan.model, self.n), end.to_dict())
        return end

    def _create(self, key: str, document: dict[str, Any]) -> None:
        if not create_if_absent(self.storage, key, jsonio.dumps(document)):
            raise RunLost(f"run {self.key}: {key.removeprefix(self.folder)} was written by another owner. Let that one finish.")

    def take(self, after: int) -> bool:
        """Becomes owner after + 1; False when somebody else was first."""
        try:
            self.owner = self.owners().append(me(took_over_from=after or None).to_dict(), after=after)
        except AlreadyExists:
            return False
        return True

    @contextmanager
    def keep_beating(self, seconds: float) -> Iterator[None]:
        """Puts the beat from a thread while the block runs."""
        thread = threading.Thread(target=self._beat, args=(seconds,), name=f"beat of {self.key}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join(timeout=seconds)

    def _beat(self, seconds: float) -> None:
        count = 0
        while not self.stop.wait(seconds):
            count += 1
            try:
                self.storage.put(layout.beat(self.plan.model, self.n, self.owner or 0), jsonio.dumps({"count": count}))
            except Exception:  # a store that is away for a moment; when it stays away, others take over
                continue

    def beat(self, owner: int) -> int:
        """How far an owner's beat has come; 0 before its first, and for one that cannot be read: its owner puts the next."""
        try:
            count = (self._document(layout.beat(self.plan.model, self.n, owner)) or {}).get("count")
        except DamagedDocument:
            return 0
        return count if isinstance(count, int) else 0


class Observer:
    """Looks at a run's beat and says whether its owner lives: "unknown" first, then "alive" or "dead".

    `owner` is the number that the last answer is about (0: nobody yet); only that one may be succeeded, since a newer
    owner may have come while we looked.
    """

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.owner = 0
        self._seen: Any = None
        self._since = 0.0

    def look(self, run: Run) -> str:
        """One look. Time is this process's own: clocks of two machines are never compared."""
        held, now = run.holder(), clock.monotonic()
        self.owner = held[0] if held else 0
        if held is None or has_ended(held[1]):
            return "dead"
        beat = (run.n, self.owner, run.beat(self.owner))
        if beat != self._seen:
            first, self._seen, self._since = self._seen is None or self._seen[:2] != beat[:2], beat, now
            if not first:
                return "alive"
        return "dead" if now - self._since >= self.timing.takeover else "unknown"


class Runs:
    """The runs of one model under one root."""

    def __init__(self, storage: Storage, model: str) -> None:
        self.storage, self.model = storage, model
        self._sequence = NumberedDocuments(storage, layout.runs(model))

    def get(self, n: int) -> Run:
        """Run n; NotFound when there is none."""
        return Run(self.storage, n, Plan.parse(self._sequence.get(n), self._sequence.uri(n)))

    def newest(self) -> Run | None:
        """The newest run, open or ended."""
        found = self._sequence.newest()
        return Run(self.storage, found[0], Plan.parse(found[1], self._sequence.uri(found[0]))) if found else None

    def acquire(self, make: Callable[[], Plan], timing: Timing, wait: bool = False,
                say: Callable[[str], None] = lambda _: None) -> Run:
        """The run of the plan that `make` gives, owned by this process: a new one, or the open one of the same window.

        An open run of another window is closed once its owner is dead. While its owner lives: RunHeld, or with `wait`
        the answer comes when it ended; if it had the same window, that ended run is the answer, and nobody owns it.
        `say` is told once whom it waits for.
        """
        observer, plan, waited = Observer(timing), make(), 0
        while True:
            run = self.newest()
            if run is None or run.end() is not None:
                if run is not None and waited == run.n and plan.has_same_window(run.plan):
                    return run
                # Planned anew after the number was read: whatever a run before this one made live is seen.
                plan = make()
                run = self._try_create(plan, after=run.n if run else 0)
                if run is None:
                    continue
            state = observer.look(run)
            if state == "dead":
                if self._take(run, plan, observer.owner):
                    return run
                continue
            if state == "alive" and not wait:
                raise RunHeld(f"{self._held(run)} Let it finish, or wait for it with --wait.")
            if wait and waited != run.n:
                say(f"waiting: {self._held(run)}")
                waited = run.n
            time.sleep(timing.poll)

    def _try_create(self, plan: Plan, after: int) -> Run | None:
        try:
            n = self._sequence.append(plan.to_dict(), after=after)
        except AlreadyExists:
            return None
        # Other bytes that mean the same: a store that takes them has lost nothing.
        if create_if_absent(self.storage, self._sequence.key(n), jsonio.dumps(plan.to_dict()) + b"\n"):
            raise NoConditionalWrites(f"{self.storage.root}: expected the store to refuse a second creation of "
                                      f"{self._sequence.key(n)} (If-None-Match: *), it did not: two cycles could both "
                                      f"win. Use a store that honours conditional writes.")
        return Run(self.storage, n, plan)

    def _take(self, run: Run, plan: Plan, after: int) -> bool:
        if not run.take(after):
            return False
        if plan.has_same_window(run.plan):
            return True
        run.finish("closed", 1, f"Its owner was dead when a run of {plan.days} was started.")
        return False

    def _held(self, run: Run) -> str:
        held = run.holder()
        if held is None:  # its first owner is just being written
            return f"run {run.key} of {run.plan.days} is just being started by somebody else."
        number, holder = held
        return (f"run {run.key} of {run.plan.days} is held by {holder} (owner {number}), which is "
                f"at work.")


def parse_number(key: str) -> int:
    """The number in the key of a run, such as 3 in `digits/3`; 0, which no run has, for anything else."""
    number = key.rpartition("/")[2]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else 0
