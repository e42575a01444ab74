"""What a decision is about: the versions to go back to, the run whose candidate awaits approval, the overrides that hold."""

from typing import Any

from contract import clock, layout
from contract.documents.history import Claim
from contract.errors import NoSuchVersion, NotFound, UsageError
from contract.registry import Registry
from contract.runs import AWAITING, Run, Runs, parse_number
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
    """Finds the run that ended with this version awaiting approval; UsageError when it did not."""
    try:
        key = Claim.load(storage, layout.claim(model, version)).run
    except NotFound:
        Registry(storage, model).card(version)
        key = None
    run = Runs(storage, model).get(parse_number(key)) if key else None
    end = run.end() if run else None
    if run is None or end is None or end.status != AWAITING:
        raise UsageError(f"version {version} of model {model!r} awaits no approval "
                         f"({f'its run ended as {end.status!r}' if end else 'no finished run made it'}). "
                         f"To make it live all the same: trueup model promote {version} --reason WHY.")
    return run


def list_overrides(registry: Registry) -> list[dict[str, Any]]:
    """Lists the overrides that hold now, the oldest first."""
    newest, _ = registry.newest_known()
    now = clock.iso(clock.now())
    return [o for o in (newest.state.overrides if newest else []) if o["until"] > now]
