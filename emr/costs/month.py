"""The bill of a month, part by part, each between a lower and an upper bound."""

from collections import Counter
from collections.abc import Mapping

from contract.settings import Settings
from emr.costs import standing, stored
from emr.costs.prices import Prices
from emr.costs.rates import Load
from emr.costs.span import NOTHING, Span
from emr.costs.stages import StageCost, price_driver
from emr.costs.starts import DAYS, count_starts

IDLE_START = Span(1 / 60, 3 / 60)  # hours of the driver at a start that finds little; Fargate's least is a minute
TRANSITIONS = 4  # of the machine, for each start
GIB = 1.073741824  # GB
PARTS = ("driver", "clusters", "serverless", "disks")


def count_turns(settings: Settings) -> Span:
    """Counts the retrainings of a month, from none to what the gate allows."""
    return Span(0.0, settings.gates.retrainings * DAYS / settings.gates.retraining_days)


def count_evaluations(settings: Settings) -> Span:
    """Counts the whole days that are counted in a month: each once, or one at every start (new files, late labels)."""
    return Span(float(DAYS), max(float(DAYS), count_starts(settings.emr.schedule)))


def estimate_parts(settings: Settings, load: Load, stages: Mapping[str, StageCost], resources: Counter[str],
                   prices: Prices) -> dict[str, Span]:
    """Estimates each part of a month's bill, dollars."""
    starts, turns = count_starts(settings.emr.schedule), count_turns(settings)
    times = {name: count_evaluations(settings) if name == "evaluate" else turns for name in stages}
    parts = {part: sum((cost.parts.get(part, NOTHING) * times[name] for name, cost in stages.items()), NOTHING)
             for part in PARTS}
    parts["driver"] += price_driver(IDLE_START * starts, prices)
    parts |= {"network": standing.price_network(resources, settings, prices),
              "transfer": price_transfer(settings, load, stages, times, prices),
              "storage": stored.price_storage(settings, load, prices),
              "requests": stored.price_requests(settings, load, starts, turns, prices),
              "logs": stored.price_logs(starts, prices),
              "alarms": standing.price_watching(resources, prices)}
    if settings.emr.start == "machine":
        parts["machine"] = Span.of(starts * TRANSITIONS * prices.price("state_transition"))
    return parts | standing.price_others(resources, prices)


def price_transfer(settings: Settings, load: Load, stages: Mapping[str, StageCost], times: Mapping[str, Span],
                   prices: Prices) -> Span:
    """Prices packages and the driver's image through a NAT gateway; nothing where S3 has a gateway endpoint."""
    if standing.makes_network(settings):
        return NOTHING
    archives = sum((times[name] * (cost.downloads * stored.PACKAGES_GB) for name, cost in stages.items()), NOTHING)
    images = count_starts(settings.emr.schedule) * load.image_gib * GIB
    return Span(0.0, (archives.high + images) * prices.price("nat_gb"))
