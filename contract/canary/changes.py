"""What can happen to a canary: started, a step further, withdrawn, made live. Each is one history record.

    made = start(registry, "3", canary_settings, by="ana", reason="after the audit")
    made = withdraw(registry, made.record.state.canary, by="driver", reason="…")

Each is written only while the state has the canary that its writer saw: PointerMoved otherwise, so two drivers do no harm.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contract import clock
from contract.canary.documents import Bounds, Canary, Expected
from contract.deciding.changes import Change
from contract.deciding.names import require_weights
from contract.documents.history import HistoryEntry, State
from contract.errors import NoSuchModel, PointerMoved, UsageError
from contract.registry import Registry, check_version

STARTED, STEP, WITHDRAWN, PROMOTED = "canary started", "canary step", "canary withdrawn", "canary promoted"
KINDS = (STARTED, STEP, WITHDRAWN, PROMOTED)


def find_canary(registry: Registry) -> Canary | None:
    """Finds the canary that runs; one whose live version was replaced by an older release of Trueup runs no more."""
    newest, _ = registry.newest_known()
    return get_running(newest.state) if newest else None


def get_running(state: State) -> Canary | None:
    """The canary of a state, unless another version is live than the one that it is to replace."""
    return state.canary if state.canary and state.canary.live == state.live else None


def start(registry: Registry, version: str, steps: Sequence[float], bounds: Bounds, *, by: str, reason: str,
          expected: Expected | None = None, run: str | None = None, live: str | None = None) -> Change:
    """Starts a canary at its first share, if none runs. `live`: what must be live; None: whatever is.

    A run that asks again finds its own record. UsageError: the version is live, or another canary runs. NoSuchVersion.
    """
    registry.card(check_version(version))
    if run and (done := find_record(registry, STARTED, run)):
        return Change(done, written=False)
    newest = registry.newest()
    if newest is None or newest.state.live is None:
        raise NoSuchModel(f"model {registry.model!r} was never published: there is no answer to take a share of. Publish "
                          f"version {version} instead: trueup model promote {version}.")
    if newest.state.live == version:
        raise UsageError(f"version {version} is live already. Name another one.")
    require_weights(registry.model, newest.state, version)
    now = clock.iso(clock.now())
    canary = Canary(version=version, live=live or newest.state.live, salt=secrets.token_hex(8), steps=list(steps),
                    started_at=now, stepped_at=now, by=by, bounds=bounds, expected=expected)
    registry.check_conditional_writes()
    return _write(registry, STARTED, canary, canary, by, reason, _require_none, run)


def step(registry: Registry, canary: Canary, *, by: str, reason: str, run: str | None = None) -> Change:
    """Gives it the next share. UsageError after the last."""
    if canary.step + 1 >= len(canary.steps):
        raise UsageError(f"{canary.describe()}: that is the last step. Make it live: trueup model canary promote.")
    further = canary.model_copy(update={"step": canary.step + 1, "stepped_at": clock.iso(clock.now())})
    return _write(registry, STEP, canary, further, by, reason, _require(canary), run)


def withdraw(registry: Registry, canary: Canary, *, by: str, reason: str, run: str | None = None) -> Change:
    """Ends it; the live version answers everything again."""
    return _write(registry, WITHDRAWN, canary, None, by, reason, _require_salt(canary), run)


def promote(registry: Registry, canary: Canary, *, by: str, reason: str, run: str | None = None) -> Change:
    """Makes it live, which ends it."""
    return Change(registry.promote(canary.version, by=by, reason=reason, expected_live=canary.live, kind=PROMOTED, run=run,
                                   further={"salt": canary.salt, "share": canary.share}, require=_require_salt(canary)))


def find_record(registry: Registry, kind: str | None, run: str) -> HistoryEntry | None:
    """Finds the newest record that a run wrote of a canary, of that kind or of any."""
    kinds = KINDS if kind is None else (kind,)
    return next((r for r in reversed(registry.history_known()[0])
                 if r.change.get("run") == run and r.change.get("kind") in kinds), None)


def find_last(registry: Registry, before: int | None = None) -> Canary | None:
    """Finds the newest canary as the history last has it, whether it runs or is over; `before`: of the records below this one."""
    return next((r.state.canary for r in reversed(registry.history_known()[0])
                 if r.state.canary and (before is None or r.seq < before)), None)


def find_end(registry: Registry, salt: str) -> HistoryEntry | None:
    """Finds the record that ended a canary: by its salt, or, where another version was made live, the first without it."""
    begun = False
    for record in registry.history_known()[0]:
        mine = record.state.canary is not None and record.state.canary.salt == salt
        if begun and not mine:
            return record
        begun = begun or mine
    return None


def _write(registry: Registry, kind: str, canary: Canary, after: Canary | None, by: str, reason: str,
           require: Callable[[State], None], run: str | None) -> Change:
    share = after.share if after else canary.share
    made: Mapping[str, Any] = {"kind": kind, "version": canary.version, "share": share, "salt": canary.salt, "by": by,
                               "reason": reason, "run": run}
    return Change(registry.change(dict(made), {"canary": after}, canary.live, require=require))


def _require_none(state: State) -> None:
    if (running := get_running(state)) is not None:
        raise UsageError(f"a canary runs already: {running.describe()}. Withdraw it first: trueup model canary withdraw.")


def _require(canary: Canary) -> Callable[[State], None]:
    def same(state: State) -> None:
        if state.canary is None or (state.canary.salt, state.canary.step) != (canary.salt, canary.step):
            raise PointerMoved(_tell(canary, state))
    return same


def _require_salt(canary: Canary) -> Callable[[State], None]:
    def same(state: State) -> None:
        if state.canary is None or state.canary.salt != canary.salt:
            raise PointerMoved(_tell(canary, state))
    return same


def _tell(canary: Canary, state: State) -> str:
    now = f"now {state.canary.describe()}" if state.canary else "it has ended since"
    return f"when this was decided, {canary.describe()}; {now}. Nothing was done. Look at `trueup model canary status`."
