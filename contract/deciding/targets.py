"""What a decision is about: the versions to go back to, the run whose candidate awaits approval, the overrides that hold."""

from typing import Any

from contract import clock, layout
from contract.documents.history import Claim
from contract.errors import NoSuchVersion, NotFound, UsageError
from contract.registry import Registry
from contract.runs import AWAITING, AWAITING_SHADOW, End, Run, Runs, parse_number
from contract.stores.store import Storage


def list_previous(registry: Registry, live: str) -> list[str]:
    """Lists the versions that were live before `live`, the one that it replaced when it was last promoted first.

    NoSuchVersion when it was the first. A rollback is itself a change of what is live, but not a step forward: going back
    twice goes back two versions.
    """
    before: list[str] = []
    for record in registry.history():
        if record.state.live == (before[-1] if before else None) or record.state.live is None:
            continue
        if record.change["kind"] == "rollback" and record.state.live in before:
            del before[before.index(record.state.live) + 1:]
        else:
            before.append(record.state.live)
    if len(before) < 2:
        raise NoSuchVersion(f"model {registry.model!r}: no other version was live before version {live}. "
                            f"Name one: trueup rollback --to VERSION.")
    return [version for version in dict.fromkeys(before[-2::-1]) if version != live]


def find_awaiting(storage: Storage, model: str, version: str) -> Run:
    """Finds the run that ended with this version awaiting approval; UsageError when none did."""
    try:
        key = Claim.load(storage, layout.claim(model, version)).run
    except NotFound:
        Registry(storage, model).card(version)
        key = None
    run = find_last_run(storage, model, version, key) if key else None
    end = run.end() if run else None
    if run is None or end is None or end.status != AWAITING:
        raise UsageError(f"version {version} of model {model!r} awaits no approval ({_say_end(end)}). To make it live all the "
                         f"same: trueup model promote {version} --reason WHY.")
    return run


def find_last_run(storage: Storage, model: str, version: str, key: str) -> Run:
    """Finds the last run that was about a version: the one of that key, which made it, or a later one that looked at it."""
    runs = Runs(storage, model)
    run, newest = runs.get(parse_number(key)), runs.newest()
    while newest is not None and run.n < newest.n and (end := run.end()) is not None and end.status == AWAITING_SHADOW:
        following = runs.get(run.n + 1)
        looked = following.stage("shadow")
        if looked is None or looked["candidate"] != version:
            break
        run = following
    return run


def _say_end(end: End | None) -> str:
    return f"its run ended as {end.status!r}" if end else "no finished run made it"


def list_overrides(registry: Registry) -> list[dict[str, Any]]:
    """Lists the overrides that hold now, the oldest first."""
    newest, _ = registry.newest_known()
    now = clock.iso(clock.now())
    return [o for o in (newest.state.overrides if newest else []) if o["until"] > now]
