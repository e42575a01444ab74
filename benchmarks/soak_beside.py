"""A shadow and a canary beside the live version while `benchmarks.soak` runs, and what became of the canary's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from contract.canary import changes
from contract.canary.documents import Bounds, load_counts, sum_counts
from contract.deciding.changes import set_alias
from contract.deciding.names import SHADOW
from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny
from tests.inference.serving import until

CANARY = "canary"
# Loose: on a busy machine a good canary is slow, too, and here it has to answer to the end.
BOUNDS = Bounds(errors=0.5, latency_ratio=1000, deadline_seconds=5)
LOADED_S = 300


def add_beside(root: str, shadow: bool, share: float) -> str | None:
    """Publishes what is asked for, leaves version 2 live; returns the canary's version, None without one."""
    registry = Registry(open_root(root), "m")
    third = publish_tiny(root, seed=3) if shadow else None
    canary = publish_tiny(root, seed=4) if share else None
    if newest := canary or third:
        registry.promote("2", by="soak", reason="soak", expected_live=newest)
    if third:
        set_alias(registry, SHADOW, third, by="soak", reason="soak")
    return canary


def start_canary(registry: Registry, version: str, share: float, url: str | None = None) -> None:
    """Starts the canary beside whatever is live, if none runs; with `url` it waits until the service there has loaded it."""
    if changes.find_canary(registry) is None:
        changes.start(registry, version, [share], BOUNDS, by="soak", reason="soak")
    if url is not None:
        until(lambda: (describe_canary(url) or {}).get("loaded"), LOADED_S)


def describe_canary(url: str) -> dict | None:
    """What the service says of its canary."""
    return httpx.get(f"{url}/v1/models", timeout=120).json()["models"][0].get("canary")


def find_misplaced(rows: Mapping[str, tuple[str, str | None]], answered: Mapping[str, str], canary: str) -> list[str]:
    """The acknowledged predictions whose row names another version than their answer did, or another role than that version has.

    `rows`: prediction id -> (version, role) in the bucket; `answered`: id -> version in the answer. Lost ones are not among them.
    """
    def is_right(version: str, row: tuple[str, str | None]) -> bool:
        return row[0] == version and (row[1] == CANARY) == (version == canary)
    return [id_ for id_, version in answered.items() if id_ in rows and not is_right(version, rows[id_])]


def sum_canaries(registry: Registry, before: Sequence[str] = ()) -> dict:
    """What replicas counted of every canary that was started, but for those of the salts `before`; `silent`: how many of them
    answered nothing; `stopped`: why replicas stopped."""
    salts = [salt for salt in list_salts(registry) if salt not in before]
    documents = {salt: load_counts(registry.storage, registry.model, salt) for salt in salts}
    answers = {salt: sum(c.answers - c.errors for c in sum_counts(found).values()) for salt, found in documents.items()}
    errors = sum(c.errors for found in documents.values() for c in sum_counts(found).values())
    return {"canaries": len(salts), "counted": sum(answers.values()), "errors": errors,
            "silent": sum(not n for n in answers.values()),
            "stopped": [d.stopped for found in documents.values() for d in found if d.stopped]}


def list_salts(registry: Registry) -> list[str]:
    """The salts of all canaries of the history, oldest first."""
    return list(dict.fromkeys(r.state.canary.salt for r in registry.history_known()[0] if r.state.canary))
