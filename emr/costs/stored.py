"""What pictures, rows, packages, requests and logs cost in a month."""

from contract.settings import Settings
from emr.costs.prices import Prices
from emr.costs.rates import Load
from emr.costs.span import Span
from emr.costs.starts import DAYS

GB = 1e9
PACKAGES_GB = 2.93  # the larger archive: `train` with CUDA had 2,791 MiB (docs/decisions/0008-emr.md)
LOG_KB = 100.0  # of the driver at each start: declared, not measured
LISTS_A_DAY = 3.0  # requests that a start sends for each day of the window, to see what is new: declared, not measured


def measure_month_gb(settings: Settings, load: Load) -> float:
    """Computes the GB that a month of the load adds: pictures where they are stored, rows."""
    picture = load.picture_kib * 1024 if settings.serve.store_images else 0.0
    rows = (load.predictions_per_day + load.labels_per_day) * load.row_bytes
    return DAYS * (load.predictions_per_day * picture + rows) / GB


def price_storage(settings: Settings, load: Load, prices: Prices) -> Span:
    """Prices the first month, from half of what it adds (as it grows) to all of it; what is kept is paid again each month."""
    added = measure_month_gb(settings, load) * prices.price("s3_gb_month")
    packages = PACKAGES_GB * prices.price("s3_gb_month") + load.image_gib * prices.price("ecr_gb_month")
    return Span(packages + added / 2, packages + added)


def price_requests(settings: Settings, load: Load, starts: float, turns: Span, prices: Prices) -> Span:
    """Prices writing pictures and files, listing the window at each start, reading a labelled picture for each dataset."""
    pictures = DAYS * load.predictions_per_day if settings.serve.store_images else 0
    files = DAYS * 86400 / settings.serve.ship_seconds
    listed = starts * settings.evaluate.days * LISTS_A_DAY
    read = Span.of(files) + turns * (load.labels_per_day * settings.evaluate.days)
    return Span.of((pictures + files + listed) * prices.price("s3_put")) + read * prices.price("s3_get")


def price_logs(starts: float, prices: Prices) -> Span:
    """Prices the driver's log: taken in, and kept for a month. Those of clusters lie in the bucket."""
    return Span.of(starts * LOG_KB * 1000 / GB * (prices.price("logs_gb") + prices.price("logs_gb_month")))
