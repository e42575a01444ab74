"""All that a GPU has to show, in ten minutes at most, each part with its own time limit.

    python -m benchmarks.gpu [--json] [--out FILE] [--only a,b] [--device auto|cpu|cuda] [--seconds 590]

    a  fine-tuning ends where the CPU's does; checkpoints go from one to the other     c  ranks: Gloo, NCCL
    b  rows a second against noise in memory and torchvision's loader                  d  the service; labels on GPU and CPU
    e  a GPU that was asked for and cannot be used is an error

Results are printed as they come; --out writes them as lines of JSON as they come, so that a run that is cut off keeps what it
had. Without a GPU the sizes are tiny, and each part says what it could not show. The exit code is 1 when something that was
expected did not hold, or a part did not end. It needs torch and torchvision, and no Petastorm or Spark.
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from benchmarks.gpu.result import count_cores

CHECKOUT = Path(__file__).resolve().parents[2]
LAST_WORDS = 1200  # characters of a failed part's standard error


@dataclass(frozen=True)
class Part:
    """A part: its letter, its module, and the seconds after which it is ended."""

    letter: str
    module: str
    limit: float


# The cheap ones first: together at most nine and a half minutes.
PARTS = (Part("e", "refusal", 50), Part("c", "ranks", 90), Part("a", "digits", 180), Part("d", "service", 125),
         Part("b", "rates", 125))


class Sink:
    """Where results go: to standard output as text or JSON, and to a file as JSON."""

    def __init__(self, as_json: bool, out: Path | None) -> None:
        self.as_json, self.failed, self.turn = as_json, False, threading.Lock()
        self.file: IO[str] | None = open(out, "w", encoding="utf-8") if out else None  # noqa: SIM115  (till the end)

    def add(self, result: dict[str, Any]) -> None:
        """Prints and keeps one result."""
        with self.turn:
            self.failed = self.failed or result.get("holds") is False or "ended" in result
            print(json.dumps(result) if self.as_json else format_result(result), flush=True)
            if self.file:
                self.file.write(json.dumps(result) + "\n")
                self.file.flush()
                os.fsync(self.file.fileno())

    def close(self) -> None:
        """Closes the file."""
        if self.file:
            self.file.close()


def format_result(result: dict[str, Any]) -> str:
    """Returns a line for people."""
    part, rest = result.get("part", " "), {k: v for k, v in result.items() if k not in ("part", "what", "holds", "not_shown")}
    if "not_shown" in result:
        return f"{part}  NOT SHOWN  {result['not_shown']}"
    verdict = {True: "holds", False: "DOES NOT HOLD"}.get(result.get("holds"), "")
    return f"{part}  {result.get('what', '')}: {', '.join(f'{k} {v}' for k, v in rest.items())}{'  ' * bool(verdict)}{verdict}"


def run_part(part: Part, limit: float, device: str, sink: Sink) -> None:
    """Runs a part in a process group of its own, which is killed when the time is over."""
    tiny = ["--tiny"] if device == "cpu" else []
    command = [sys.executable, "-m", f"benchmarks.gpu.{part.module}", "--device", device, *tiny]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
                        "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # as `trueup train` sets it
    began = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        timer = threading.Timer(limit, end_group, [process.pid])
        timer.start()
        with process:
            for line in process.stdout or ():
                if line.startswith("{"):
                    sink.add({"part": part.letter} | json.loads(line))
        code = process.returncode
        timer.cancel()
        end_group(process.pid)  # whatever a failed part left running
        seconds = round(time.monotonic() - began, 1)
        errors.seek(0)
        last = errors.read()[-LAST_WORDS:]
    if code:
        why = f"its {limit:g} s were over" if seconds >= limit else f"exit code {code}: {last}"
        sink.add({"part": part.letter, "what": "the part did not end", "ended": why, "seconds": seconds})
    else:
        sink.add({"part": part.letter, "what": "done", "seconds": seconds, "limit": round(limit)})


def end_group(group: int) -> None:
    """Kills all processes of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def describe_machine(device: str) -> dict[str, Any]:
    """Returns the first result: what it runs on."""
    import numpy
    import torch
    import torchvision

    from inference.model import devices

    return {"what": "the machine", "at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": find_commit(),
            "device": device, "gpu": torch.cuda.get_device_name(0) if device == "cuda" else None, "cores": count_cores(),
            "load": round(os.getloadavg()[0], 1), "versions": f"{devices.describe()}, torchvision {torchvision.__version__}, "
            f"numpy {numpy.__version__}, Python {platform.python_version()}"}


def find_commit() -> str | None:
    """Returns the commit of this tree; None where git or its folder is missing."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def find_device(asked: str) -> str:
    """Returns cuda or cpu. GpuUnusable: cuda was asked for."""
    from inference.model import devices

    return devices.choose(asked).type


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the parts one after another."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="abcde")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--seconds", type=float, default=590)
    asked = parser.parse_args(argv)
    until, sink = time.monotonic() + asked.seconds, Sink(asked.json, asked.out)
    device = find_device(asked.device)
    sink.add(describe_machine(device))

    def run(part: Part) -> None:
        run_part(part, min(part.limit, max(until - time.monotonic(), 1)), device, sink)

    # On a CPU no rate means anything, so two parts may run side by side.
    with contextlib.closing(sink), ThreadPoolExecutor(2 if device == "cpu" else 1) as pool:
        list(pool.map(run, [part for part in PARTS if part.letter in asked.only]))
    return int(sink.failed)


if __name__ == "__main__":
    sys.exit(main())
