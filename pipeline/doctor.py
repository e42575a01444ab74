"""Checks what the commands need: Java, Spark, the root, the clock, the disk, a GPU. Writes one probe into the root.

    trueup doctor [--root R] [--json]      (python -m pipeline.doctor)

Exit code 0 when everything that is needed works, else 1. What is merely absent (no root named, no GPU) is said.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from contract import clock, java, jsonio
from contract.command import Outcome, run, stage_command
from contract.errors import DONE, ERROR, AlreadyExists, TrueupError
from contract.settings import Settings
from contract.storage import Storage, local_path, open_root, open_storage
from pipeline.tables import aligned

OK, ABSENT, BAD = "ok", "absent", "bad"
LEAST_DISK = 2 << 30  # a demo's root, Spark's scratch space and a checkpoint


@stage_command("doctor")
def command(settings: Settings) -> Outcome:
    """Check Java, Spark, the root, the clock, the disk and the GPU."""
    found = [checked(name, check, settings) for name, check in CHECKS.items()]
    code = ERROR if any(row["state"] == BAD for row in found) else DONE
    table = aligned(("check", "state", "found"), [(row["check"], row["state"], row["found"]) for row in found])
    return Outcome(code, {"checks": found, "ok": code == DONE}, table)


def checked(name: str, check: Callable[[Settings], tuple[str, str]], settings: Settings) -> dict[str, str]:
    """The result of one check; its error is the finding."""
    try:
        state, found = check(settings)
    except (TrueupError, RuntimeError, OSError) as error:
        state, found = BAD, str(error)
    return {"check": name, "state": state, "found": found}


def python(_: Settings) -> tuple[str, str]:
    """Python 3.11: Spark 3.5 and pyarrow 14 run on no newer one."""
    version = sys.version.split()[0]
    if sys.version_info[:2] != (3, 11):
        return BAD, f"expected Python 3.11, this is {version}; `make setup` says how to get it"
    return OK, f"{version}, {sys.executable}"


def java_found(_: Settings) -> tuple[str, str]:
    """The Java that Spark would run on."""
    return OK, java.java_home()


def spark(_: Settings) -> tuple[str, str]:
    """Whether pyspark imports, in a process of its own: it takes seconds, and starts nothing."""
    if find_spec("pyspark") is None:
        return ABSENT, "pyspark is not installed; the embedded engine needs none (extra: spark)"
    code = "import pyspark.sql; print(pyspark.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    return (OK, f"pyspark {done.stdout.strip()}") if done.returncode == 0 else (BAD, done.stderr.strip()[-300:])


def root_readable(settings: Settings) -> tuple[str, str]:
    """Whether the root is there and of our schema."""
    if not settings.root:
        return ABSENT, "none named; --root or TRUEUP_ROOT"
    storage = open_root(settings.root)
    return OK, f"{storage.root}, {len(storage.folders(''))} folders"


def root_writable(settings: Settings) -> tuple[str, str]:
    """Whether objects can be written, read back and removed."""
    storage = _root(settings)
    if storage is None:
        return ABSENT, "no root that can be read"
    key, body = f"doctor-{os.getpid()}.json", jsonio.dumps({"written": "by trueup doctor"})
    storage.put(key, body)
    try:
        same = storage.read(key) == body
    finally:
        storage.delete(key)
    return (OK, "a probe was written, read and removed") if same else (BAD, "a probe was read back with other bytes")


def conditional_writes(settings: Settings) -> tuple[str, str]:
    """Whether a second exclusive creation is refused; two publishers could both win otherwise."""
    storage = _root(settings)
    if storage is None:
        return ABSENT, "no root that can be read"
    key = f"doctor-{os.getpid()}.json"
    storage.put(key, b"1")
    try:
        storage.create(key, b"2")
    except AlreadyExists:
        return OK, "a second creation was refused"
    finally:
        storage.delete(key)
    return BAD, f"{storage.root} took a second creation of one object (If-None-Match: *). Publishing is refused there."


def _root(settings: Settings) -> Storage | None:
    try:
        return open_root(settings.root) if settings.root else None
    except TrueupError:
        return None


def clock_file(_: Settings) -> tuple[str, str]:
    """The moment that rows would get."""
    shifted = f", shifted by {clock.offset():g} s ({clock.CLOCK_FILE})" if os.environ.get(clock.CLOCK_FILE) else ""
    return OK, clock.iso(clock.now()) + shifted


def disk(settings: Settings) -> tuple[str, str]:
    """Free space where Spark works, and under a root that is a folder."""
    places = [Path(tempfile.gettempdir())]
    if settings.root and not settings.root.startswith("s3://"):
        open_storage(settings.root)  # another scheme than a folder is an error
        places.append(next(p for p in (local_path(settings.root), *local_path(settings.root).parents) if p.exists()))
    free = {str(place): shutil.disk_usage(place).free for place in places}
    said = ", ".join(f"{size / 2**30:.1f} GiB free in {place}" for place, size in free.items())
    return (OK, said) if min(free.values()) >= LEAST_DISK else (BAD, f"{said}; expected {LEAST_DISK >> 30} GiB or more")


def gpu(_: Settings) -> tuple[str, str]:
    """The GPUs that the driver names. torch itself is not loaded."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ABSENT, "none; training runs on the CPU"
    done = subprocess.run([tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                          timeout=30, check=False)
    return (OK, done.stdout.strip().replace("\n", ", ")) if done.returncode == 0 else (BAD, done.stdout.strip())


CHECKS: dict[str, Callable[[Settings], tuple[str, str]]] = {
    "python": python, "java": java_found, "spark": spark, "root": root_readable, "root writable": root_writable,
    "conditional writes": conditional_writes, "clock": clock_file, "disk": disk, "gpu": gpu,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup doctor")


if __name__ == "__main__":
    sys.exit(main())
