"""Hours and dollars of a load, from the rates that `make bench` recorded and a price table.

What it assumes is said in its answer, because it was not measured; where two assumptions are possible, both bounds are given.
The parts: emr/costs/.
"""

from typing import Any

from contract.settings import Settings
from emr.costs import month, standing
from emr.costs.prices import PRICES, Prices, read_prices
from emr.costs.rates import RECORDED, START_MINUTES, Load, Recorded, read_recorded
from emr.costs.span import NOTHING, Span
from emr.costs.stages import DRIVER_GB, DRIVER_VCPUS, SERVERLESS_START, estimate_stage
from emr.costs.starts import DAYS, count_starts
from emr.costs.stored import LISTS_A_DAY, LOG_KB, PACKAGES_GB, measure_month_gb
from emr.needs import TURN
from emr.template.whole import make_template

__all__ = ["PRICES", "RECORDED", "START_MINUTES", "Load", "Prices", "Recorded", "estimate", "read_prices", "read_recorded"]

NOT_IN_IT = ("the service itself (its instances, or your own)", "transfer to the internet and between zones", "free tiers, "
             "savings plans, spot prices", "what is run by hand: batches, replays, searches")


def estimate(settings: Settings, load: Load, recorded: Recorded, prices: Prices) -> dict[str, Any]:
    """Estimates hours of work and dollars of each stage, and of each part of a month's bill."""
    stages = {name: estimate_stage(name, settings, load, recorded, prices) for name in TURN}
    resources = standing.count_resources(make_template(settings.need_root(), settings))
    parts = month.estimate_parts(settings, load, stages, resources, prices)
    total = sum(parts.values(), NOTHING)
    return {
        "load": {"predictions_per_day": load.predictions_per_day, "labels_per_day": load.labels_per_day},
        "recorded": recorded.to_dict(),
        "prices": {"source": prices.source, "as_of": prices.as_of, "region": prices.region},
        "stages": {name: cost.to_dict() for name, cost in stages.items()},
        "month": {"starts": count_starts(settings.emr.schedule), "days_counted": month.count_evaluations(settings).to_dict(),
                  "retrainings": month.count_turns(settings).to_dict(),
                  "parts": {name: part.to_dict(2) for name, part in parts.items()}, "dollars": total.to_dict(2),
                  "dollars_per_100000_predictions": _compute_share(total, load).to_dict()},
        "assumed": list_assumptions(settings, load, recorded, prices), "not_in_it": list(NOT_IN_IT)}


def _compute_share(total: Span, load: Load) -> Span:
    return total * (1e5 / (DAYS * load.predictions_per_day))


def list_assumptions(settings: Settings, load: Load, recorded: Recorded, prices: Prices) -> list[str]:
    """Lists what was not measured and yet computed with."""
    own = standing.makes_network(settings)
    cores = recorded.count_cores()
    return [
        "low: every machine as fast as the better of the record's and one whose speed goes with its vCPUs; high: the other"
        if cores else "every machine is as fast as that of the record, which does not say its cores",
        "nodes and workers add up",
        _describe_training(settings, recorded, prices),
        f"a cluster is paid for {load.start_minutes:g} minutes beside its work, a job on EMR Serverless "
        f"{SERVERLESS_START.low * 60:g} to {SERVERLESS_START.high * 60:g}, a start that finds little "
        f"{month.IDLE_START.low * 60:g} to {month.IDLE_START.high * 60:g}: not measured",
        f"the driver is the schedule's Fargate task ({DRIVER_VCPUS:g} vCPU, {DRIVER_GB:g} GB), and waits while clusters run"
        + ("" if settings.emr.driver_image else "; emr.driver_image is not set, so nothing of it is made yet"),
        f"low: each day is counted once; high: a whole day at each of the {count_starts(settings.emr.schedule):g} starts a month",
        "low: no retraining; high: as many as the gate allows, each reads the labels of all days of the window once an epoch",
        "stages without a recorded rate (dataset, assess) are counted with their start only",
        f"a picture has {load.picture_kib:g} KiB" + ("" if settings.serve.store_images else ", and is not stored")
        + f", a row {load.row_bytes:g} bytes: {measure_month_gb(settings, load):,.1f} GB a month, which are paid again in each "
        "month that they are kept; low: the first month's average, high: its end",
        f"a start sends {LISTS_A_DAY:g} requests for each day of the window and logs {LOG_KB:g} kB; every dataset reads each "
        "labelled picture once",
        "the network is the stack's own, with a gateway endpoint for S3" if own else
        f"low: your network has endpoints for S3 and the rest; high: one NAT gateway, through which {PACKAGES_GB:g} GB of "
        f"packages a node and {load.image_gib:g} GiB of the driver's image a start go",
        f"prices of {prices.region}, whatever region is used",
    ]


def _describe_training(settings: Settings, recorded: Recorded, prices: Prices) -> str:
    kinds = settings.emr.gpu_types
    if not kinds:
        return "training without GPUs: a rank has the recorded rate, or that of emr.executor_cores"
    if recorded.gpu_training_rows_per_s:
        return f"a GPU node trains on {recorded.gpu_training_rows_per_s:g} pictures a second (recorded)"
    rate = prices.find_gpu_rate(kinds)
    sources = sorted({f"{found.gpu}: {found.source}" for found in (prices.gpu_rows_per_s[k.partition(".")[0]] for k in kinds)})
    return (f"a GPU node trains on {rate.low:g} to {rate.high:g} pictures a second: not measured, and not bound by reading "
            f"({'; '.join(sources)})")
