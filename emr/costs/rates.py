"""What is known of a load and of the speed of machines: the rates that `make bench` recorded, and how they carry over."""

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from contract import jsonio
from contract.documents.document import Document
from contract.errors import NotFound
from emr.costs.span import Span

RECORDED = Path(__file__).resolve().parents[2] / "benchmarks" / "recorded.json"
START_MINUTES = 10.0  # what a cluster is paid for beside its work; --start-minutes


class Recorded(Document):
    """`benchmarks/recorded.json`: the rates of one machine, written by `make bench`."""

    machine: str
    date: str
    cores: int | None = Field(default=None, ge=1)  # of the machine; older records say it in `machine` only
    evaluation_rows_per_s: float = Field(gt=0)  # predictions and labels counted
    training_rows_per_s: float = Field(gt=0)  # pictures of one rank, with their reading
    gpu_training_rows_per_s: float | None = Field(default=None, gt=0)  # the same of one node of emr.gpu_types
    upload_mb_per_s: float | None = Field(default=None, gt=0)

    def count_cores(self) -> int | None:
        """Returns the cores of the machine, or None when the record does not say."""
        found = re.match(r"(\d+) cores", self.machine)
        return self.cores or (int(found[1]) if found else None)


@dataclass(frozen=True)
class Load:
    """What a day brings, what it weighs, and what a cluster costs beside its work. None of it is measured."""

    predictions_per_day: int
    labels_per_day: int
    start_minutes: float = START_MINUTES
    picture_kib: float = 100.0  # a stored picture
    row_bytes: float = 300.0  # a prediction or a label in Parquet
    image_gib: float = 1.0  # the driver's container, pulled at every start


def read_recorded(path: Path = RECORDED) -> Recorded:
    """Reads the recorded rates; NotFound names the command that records them."""
    if not path.exists():
        raise NotFound(f"{path}: expected rates that were measured, found no such file. Record them on this machine: "
                       f"make bench.")
    return Recorded.parse(jsonio.loads(path.read_bytes()), str(path))


def compute_hours(rows: float, rate: float, vcpus: int, cores: int | None) -> Span:
    """Computes the hours of one machine of so many vCPUs for `rows`, from the `rate` (rows a second) of one of `cores`.

    Between a machine that is as fast as that of the record, and one whose speed goes with its vCPUs; which of the two is
    the faster depends on their number.
    """
    scale = vcpus / cores if cores else 1.0
    hours = [rows / rate / 3600, rows / (rate * scale) / 3600]
    return Span(min(hours), max(hours))
