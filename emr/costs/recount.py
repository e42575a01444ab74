"""What counting again costs after an upgrade with other rules: once, for the days of the default window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract import clock
from contract.counts import RULES
from contract.days import default_window
from contract.errors import NotFound, RootError
from contract.rows.uncounted import Uncounted, list_uncounted
from contract.settings import Settings
from contract.stores.store import Storage
from emr.costs.prices import Prices
from emr.costs.rates import Load, Recorded, read_recorded
from emr.costs.span import Span
from emr.costs.stages import estimate_stage


def describe_recount(storage: Storage, settings: Settings, model: str, prices: Prices, recorded: Path) -> dict[str, Any] | None:
    """Describes what the next evaluation counts again because of other rules; None for a root that cannot be listed.

    `rows` are the model's, as they were counted then. Hours and dollars are null without recorded rates.
    """
    try:
        first, last = default_window(storage, None, None, clock.day_of(clock.now()), settings.evaluate.days)
        days = [found for found in list_uncounted(storage, model, first, last) if found.rules is not None]
    except RootError:
        return None
    found: dict[str, Any] = {"rules": RULES, "counted_by": sorted({str(day.rules) for day in days}),
                             "window": {"from": first, "to": last}, "days": [day.day for day in days],
                             "rows": sum(day.rows or 0 for day in days), "bytes": sum(day.bytes for day in days),
                             "where": None, "hours": None, "dollars": None}
    try:
        return found | _price(days, settings, read_recorded(recorded), prices)
    except NotFound:
        return found


def _price(days: list[Uncounted], settings: Settings, recorded: Recorded, prices: Prices) -> dict[str, Any]:
    """Prices one evaluation that counts these rows, where the driver would run it."""
    rows = sum(day.rows or 0 for day in days)
    if not rows:
        return {}
    load = Load(rows, 0, row_bytes=sum(day.bytes for day in days) / rows)
    cost = estimate_stage("evaluate", settings, load, recorded, prices)
    return {"where": cost.where, "hours": cost.work and cost.work.to_dict(6), "dollars": cost.dollars.to_dict()}


def write_recount(recount: dict[str, Any] | None) -> list[str]:
    """Writes it for people: nothing where nothing is counted again."""
    if recount is None or not recount["days"]:
        return []
    days = recount["days"]
    cost = "hours and dollars: no rates are recorded (make bench)"
    if recount["hours"]:
        cost = (f"{recount['where']}: {recount['hours']['low']:.3f} to {recount['hours']['high']:.3f} h of work, "
                f"{Span(**recount['dollars']).to_text()}")
    return [f"counted by rules {', '.join(recount['counted_by'])}, this release counts by {recount['rules']}: {len(days)} of the "
            f"window's days ({days[0]} to {days[-1]}), {recount['rows']:,} rows, {recount['bytes']:,} bytes, are counted again "
            f"by the next evaluation, once; {cost}. Older days when somebody asks for them (evaluate --from)."]
