"""The decisions themselves: promote, approve, roll back, override a gate, take that back. Each is one history record.

    made = promote(registry, "3", by="ana", reason="better on the new camera", expected="2", ask=say_nothing)

`trueup model` and the pages call these, so their records are the same. `further` is what else a record says, such as who
asked for what another one approved (contract/deciding/proposals.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contract import clock
from contract.deciding.asking import Ask, choose, require_answer
from contract.deciding.names import check_alias, require_weights
from contract.deciding.targets import find_awaiting, list_overrides, list_previous
from contract.documents.history import HistoryEntry, State
from contract.errors import PointerMoved, UsageError
from contract.registry import Registry, check_version

Further = Mapping[str, Any]
NOTHING: Further = {}


@dataclass(frozen=True)
class Change:
    """What a decision came to: its record, or, where nothing was `written` because it was so already, the newest one.

    `earlier`: the record of the same approval, given before. `passed_over`: version -> why it does not answer, of those that
    a rollback tried first.
    """

    record: HistoryEntry
    written: bool = True
    earlier: HistoryEntry | None = None
    passed_over: dict[str, str] = field(default_factory=dict)


def promote(registry: Registry, version: str, *, by: str, reason: str, expected: str | None, ask: Ask,
            further: Further = NOTHING) -> Change:
    """Makes a version live that answers, if `expected` still is. PointerMoved, NoSuchVersion, TrialFailed."""
    newest = registry.newest()
    if newest and check_version(version) == newest.state.live == expected:
        return Change(newest, written=False)
    require_answer(registry, check_version(version), expected, ask)
    return Change(registry.promote(version, by=by, reason=reason, expected_live=expected, further=further))


def approve(registry: Registry, version: str, *, by: str, ask: Ask, further: Further = NOTHING) -> Change:
    """Makes live what a run with `cycle.approval: manual` ended with. UsageError when it awaits no approval."""
    waiting = find_awaiting(registry.storage, registry.model, check_version(version))
    require_answer(registry, version, waiting.plan.live, ask)
    decision = waiting.stage("shadow") or waiting.stage("promotion")
    reason = f"Approved. {decision.get('sentence', '')}" if decision else "Approved."
    before = registry.newest()
    record = registry.promote(version, by=by, reason=reason, expected_live=waiting.plan.live, run=waiting.key, further=further)
    return Change(before, written=False, earlier=record) if before and record.seq <= before.seq else Change(record)


def roll_back(registry: Registry, *, by: str, reason: str, to: str | None, ask: Ask, further: Further = NOTHING) -> Change:
    """Makes `to`, or else the newest earlier version that answers, live again."""
    live = registry.live()
    targets = [check_version(to)] if to else list_previous(registry, live)
    newest = registry.newest()
    if newest and targets == [newest.state.live]:
        return Change(newest, written=False)
    target, silent = choose(registry, targets, ask)
    record = registry.promote(target, by=by, reason=reason, expected_live=live, kind="rollback", further=further)
    return Change(record, passed_over=silent)


def override(registry: Registry, *, gate: str, by: str, reason: str, until: str, further: Further = NOTHING) -> Change:
    """Lets a gate pass until a moment or the end of a day (UTC), by a person's word. UsageError when that is over."""
    live, now, end = registry.live(), clock.iso(clock.now()), clock.iso(clock.parse_moment(until))
    if end <= now:
        raise UsageError(f"--until {until}: expected a moment after now ({now}). Name a later one.")
    made = {"gate": gate, "by": by, "reason": reason, "until": end, "at": now}
    return Change(registry.change({"kind": "override", **made, **further},
                                  lambda state: {"overrides": [*state.overrides, made]}, live))


def withdraw_override(registry: Registry, *, gate: str, by: str, reason: str, further: Further = NOTHING) -> Change:
    """Takes back what lets a gate pass now: it decides again at once. UsageError when nothing does."""
    live = registry.live()
    holding = [o for o in list_overrides(registry) if o["gate"] == gate]
    if not holding:
        raise UsageError(f"no override of gate {gate} holds now, so there is none to withdraw. See `trueup model history`.")
    return Change(registry.change({"kind": "override withdrawn", "gate": gate, "by": by, "reason": reason, **further},
                                  lambda state: {"overrides": [o for o in state.overrides if o not in holding]}, live))


def set_alias(registry: Registry, alias: str, version: str | None, *, by: str, reason: str, further: Further = NOTHING) -> Change:
    """Gives a version a name, or takes the name away (None). UsageError: no good name.

    NoSuchVersion: the version has no card, or its weights were deleted.
    """
    check_alias(alias)
    newest = registry.newest()
    state = newest.state if newest else State()
    if newest and state.aliases.get(alias) == version:
        return Change(newest, written=False)
    if version is not None:
        registry.card(check_version(version))

    def require(now: State) -> None:
        if version is not None:
            require_weights(registry.model, now, version)

    def update(now: State) -> dict[str, Any]:
        kept = {name: v for name, v in now.aliases.items() if name != alias}
        return {"aliases": kept | ({alias: version} if version else {})}

    made = {"kind": "alias", "alias": alias, "version": version, "by": by, "reason": reason}
    return Change(registry.change({**made, **further}, update, state.live, require=require))


def retire(registry: Registry, *, by: str, reason: str, further: Further = NOTHING) -> Change:
    """Makes no version live, which ends a canary: services let the model go. Its versions, logs and history stay.

    UsageError when none is live.
    """
    newest = registry.newest()
    if newest is None or newest.state.live is None:
        raise UsageError(f"no version of {registry.model!r} is live, so there is nothing to retire.")
    made = {"kind": "retire", "replaces": newest.state.live, "by": by, "reason": reason}
    return Change(registry.change({**made, **further}, {"live": None, "canary": None}, newest.state.live))


def accept_format(registry: Registry, version: str, of: str, *, by: str, reason: str, further: Further = NOTHING) -> Change:
    """Says that a version answers as well as `of`, whose weights it has: services may answer with it in its place.

    NoSuchVersion: one of them has no card, or the version's weights were deleted.
    """
    newest = registry.newest()
    state = newest.state if newest else State()
    if newest and state.formats.get(version) == of:
        return Change(newest, written=False)
    vouched = {name: registry.hash_card(name) for name in (version, of) if name not in state.cards}
    made = {"kind": "format", "version": version, "of": of, "by": by, "reason": reason}
    return Change(registry.change({**made, **further}, lambda now: {"formats": now.formats | {version: of}}, state.live, vouched,
                                  lambda now: require_weights(registry.model, now, version)))


def require_same_live(registry: Registry, seq: int, live: str | None) -> None:
    """PointerMoved when anything was made live after history record `seq`, even if it is the same version again by now.

    Somebody who decides looks at what was live then; what was tried and taken back since is news to them.
    """
    newest = registry.newest()
    now = newest.state.live if newest else None
    later = [r for r in registry.history_known()[0] if r.seq > seq and "replaces" in r.change]
    if now != live or later:
        said = f"; since then {_say_moves(later)}" if later else ""
        raise PointerMoved(f"model {registry.model!r}: version {live} was live when this was decided, now it is {now}{said}. "
                           f"Nothing was done. Look at what is live now, and decide again.")


def _say_moves(records: list[HistoryEntry]) -> str:
    return ", ".join(f"{f'version {r.state.live} was made live' if r.state.live else 'the model was retired'} by "
                     f"{r.change.get('by')} ({r.at[:16].replace('T', ' ')} UTC)" for r in records)
