"""How a part says what it found: a line of JSON each, at once, so that a run that is cut off keeps what it had."""

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SMALL_NETWORK = "shufflenet_v2_x0_5"


@dataclass(frozen=True)
class Asked:
    """What a part was asked: the device, and whether with sizes that a CPU computes in seconds."""

    device: str
    tiny: bool

    @property
    def gpu(self) -> bool:
        """Whether a GPU computes."""
        return self.device == "cuda"

    def choose_network(self, name: str) -> str:
        """Returns the name, or that of a network of a hundredth of its work."""
        return SMALL_NETWORK if self.tiny else name


def parse(argv: Sequence[str] | None, parser: argparse.ArgumentParser | None = None) -> Asked:
    """Reads a part's options."""
    parser = parser or argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tiny", action="store_true")
    given, _ = parser.parse_known_args(argv)
    return Asked(given.device, given.tiny)


def show(what: str, **figures: Any) -> None:
    """Prints one result, without figures that are None; `holds` among them says whether what was expected came true."""
    print(json.dumps({"what": what} | {k: shorten(v) for k, v in figures.items() if v is not None}), flush=True)


def show_missing(what: str) -> None:
    """Prints what could not be shown on this machine."""
    print(json.dumps({"not_shown": what}), flush=True)


def shorten(value: Any) -> Any:
    """Rounds a float to four digits."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def count_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
