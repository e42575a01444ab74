"""The price table (emr/prices.json, or one of yours) and what an instance type's name says about the machine."""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from contract import jsonio
from contract.documents.document import Document
from contract.errors import UsageError
from emr.costs.span import Span

PRICES = Path(__file__).resolve().parents[1] / "prices.json"
SIZES = {"large": 2, "xlarge": 4}  # vCPUs; `Nxlarge` has N times as many as xlarge, in all families named here


class GpuRate(Document):
    """Pictures a second that one GPU of a family trains on, between two figures of `source`."""

    gpu: str
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    source: str


class Prices(Document):
    """A price table: dollars per hour by instance type, for the machine and for EMR on it; dollars of services by unit."""

    source: str
    as_of: str
    region: str = "unknown"
    ec2: dict[str, float]
    emr: dict[str, float]
    services: dict[str, float] = {}
    gpu_rows_per_s: dict[str, GpuRate] = {}  # by family: g5

    def price_hour(self, kinds: Sequence[str], emr: bool = True) -> float:
        """Prices the dearest type that a fleet may start, with EMR on it; UsageError when the table lacks one."""
        return self.price_span(kinds, emr).high

    def price_span(self, kinds: Sequence[str], emr: bool = True) -> Span:
        """Prices the cheapest and the dearest type of a fleet, dollars an hour; UsageError when the table lacks one."""
        missing = [kind for kind in kinds if kind not in self.ec2 or (emr and kind not in self.emr)]
        if missing:
            what = ", ".join(missing) + (" with EMR" if emr else "")
            raise UsageError(f"price table of {self.as_of}: expected a price of {what}, found none. Add it, or "
                             f"name another table with --prices.")
        hours = [self.ec2[kind] + (self.emr[kind] if emr else 0.0) for kind in kinds]
        return Span(min(hours), max(hours))

    def price(self, unit: str) -> float:
        """Returns the dollars of one unit of a service, e.g. `nat_hour`; UsageError when the table lacks it."""
        if unit not in self.services:
            raise UsageError(f"price table of {self.as_of}: expected services.{unit}, found none. Add it as emr/prices.json has "
                             f"it, or name another table with --prices.")
        return self.services[unit]

    def find_gpu_rate(self, kinds: Sequence[str]) -> Span:
        """Finds the pictures a second of the slowest and the fastest GPU of a fleet; UsageError for a family without any."""
        missing = sorted({read_family(kind) for kind in kinds} - set(self.gpu_rows_per_s))
        if missing:
            raise UsageError(f"price table of {self.as_of}: expected gpu_rows_per_s of {', '.join(missing)}, found none. Add it, "
                             f"or measure a node and set gpu_training_rows_per_s in the file of --recorded.")
        rates = [self.gpu_rows_per_s[read_family(kind)] for kind in kinds]
        return Span(min(rate.low for rate in rates), max(rate.high for rate in rates))


def read_prices(path: Path = PRICES) -> Prices:
    """Reads the price table."""
    return Prices.parse(jsonio.loads(path.read_bytes()), str(path))


def read_family(kind: str) -> str:
    """Reads the family of an instance type: g5 of g5.xlarge."""
    return kind.partition(".")[0]


def count_vcpus(kind: str) -> int:
    """Counts the vCPUs of an instance type by its size; UsageError for a size that does not say it."""
    size = kind.partition(".")[2]
    if size in SIZES:
        return SIZES[size]
    if found := re.fullmatch(r"([1-9]\d*)xlarge", size):
        return int(found[1]) * SIZES["xlarge"]
    raise UsageError(f"instance type {kind!r}: expected a size that says its vCPUs (large, xlarge, 2xlarge, …), got "
                     f"{size or 'none'!r}.")
