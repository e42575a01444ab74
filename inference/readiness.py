"""What the service says of itself to load balancers and operators: /health/ready, and the gauges of /metrics.

All of it is in memory or in the outbox: a store that hangs holds neither.
"""

from __future__ import annotations

from typing import Any

from contract import clock
from inference.auth import Keys, NoAuth
from inference.daemon_pool import DaemonPool, run_within
from inference.service import Service

OUTBOX_S = 5.0


def describe_readiness(service: Service, keyring: Keys) -> tuple[bool, dict[str, Any]]:
    """Says whether requests can be answered, with a document that says why not, and what is not as it should be.

    A service that answers from what it knows while the store is out of reach is ready, and degraded.
    """
    document = service.check_readiness()
    keys = _describe_keys(keyring)
    if keys and not keys["usable"]:
        document["reasons"].append("no key can be checked: the store was not reached for too long")
    document["degraded"] = service.list_troubles() + ([keys["reason"]] if keys and keys["reason"] else [])
    ready = not document["reasons"]
    return ready, {"ready": ready, **document, "keys": keys}


def _describe_keys(keyring: Keys) -> dict[str, Any] | None:
    if isinstance(keyring, NoAuth):
        return None
    age = keyring.known.measure_age()
    return {"usable": age is not None and age <= keyring.known.max_age_s, "reason": keyring.known.explain(),
            "age_seconds": None if age is None else round(age, 1)}


class Gauges:
    """The figures that are measured when they are asked for."""

    def __init__(self, service: Service, keyring: Keys) -> None:
        self.service, self.keyring = service, keyring
        self._pool = DaemonPool(1, "metrics")

    async def measure(self) -> None:
        """Sets the gauges. An outbox that is busy for OUTBOX_S leaves what was measured before."""
        metrics = self.service.metrics
        troubles = describe_readiness(self.service, self.keyring)[1]["degraded"]
        metrics.store_reachable.set(not troubles)
        if not isinstance(self.keyring, NoAuth):
            age = self.keyring.known.measure_age()
            metrics.keys_age.set(float("inf") if age is None else age)
        try:
            depth = await run_within(self._pool, OUTBOX_S, self.service.outbox.measure_depth)
        except TimeoutError:
            return
        metrics.outbox_rows.set(depth.rows)
        metrics.outbox_bytes.set(depth.bytes)
        metrics.outbox_age.set(depth.measure_age(clock.now_us()))
