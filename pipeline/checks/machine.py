"""What `trueup doctor` looks at on this machine. A check is a function of the settings that gives (state, what was found)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from contract import clock, jsonio
from contract.errors import AlreadyExists, TrueupError, UsageError
from contract.settings import Settings
from contract.storage import local_path, open_root, open_storage
from contract.stores.store import Storage
from jvm import java, spark_conf

OK, ABSENT, BAD = "ok", "absent", "bad"
UNASKED = "not asked"  # whoever looks may not; nothing is wrong with that
LEAST_DISK = 2 << 30  # a demo's root, Spark's scratch space and a checkpoint
MOST_SKEW = 60.0  # seconds; S3 refuses requests at 15 minutes, ids and days are wrong long before
Finding = tuple[str, str]
Row = tuple[str, str, str, str]  # check, state, what was found, what to do


@dataclass(frozen=True)
class Check:
    """A check, and what to do when it finds something wrong."""

    look: Callable[[Settings], Finding]
    do: str


def check_python(_: Settings) -> Finding:
    """Checks for Python 3.11: Spark 3.5 and pyarrow 14 run on no newer one."""
    version = sys.version.split()[0]
    return (OK if sys.version_info[:2] == (3, 11) else BAD), f"{version}, {sys.executable}"


def check_java(_: Settings) -> Finding:
    """Finds the Java that Spark would run on."""
    return OK, java.java_home()


def check_spark(_: Settings) -> Finding:
    """Checks whether pyspark imports, in a process of its own (it takes seconds), and is the Spark of SPARK_HOME."""
    if find_spec("pyspark") is None:
        return ABSENT, "pyspark is not installed; the embedded engine needs none"
    code = "import pyspark.sql; print(pyspark.__version__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        return BAD, done.stderr.strip()[-300:]
    version, home = done.stdout.strip(), os.environ.get("SPARK_HOME")
    if home and not list(Path(home).glob(f"jars/spark-core_*-{version}.jar")):
        return BAD, f"pyspark {version}, but SPARK_HOME ({home}) has another Spark"
    return OK, f"pyspark {version}, Hadoop {spark_conf.hadoop_version()}"


def check_s3a(settings: Settings) -> Finding:
    """Checks whether the jars with which Spark reads s3:// are there and of Spark's Hadoop."""
    given = [name for name in spark_conf.BROUGHT if name in settings.spark.conf]
    if given:
        return OK, f"brought by {', '.join(given)} of spark.conf, not looked at"
    try:
        return OK, ", ".join(path.name for path in spark_conf.s3a_jars(settings.spark.jars))
    except UsageError as error:
        needed = (settings.root or "").startswith("s3://") and settings.evaluate.engine == "spark"
        return (BAD if needed else ABSENT), str(error)


def check_root(settings: Settings) -> Finding:
    """Checks whether the root is there and of our schema."""
    if not settings.root:
        return ABSENT, "none named; --root or TRUEUP_ROOT"
    storage = open_root(settings.root)
    return OK, f"{storage.root}, {len(storage.folders(''))} folders"


def check_writing(settings: Settings) -> Finding:
    """Checks whether objects can be written, read back and removed."""
    storage = find_root(settings)
    if storage is None:
        return ABSENT, "no root that can be read"
    key, body = f"doctor-{os.getpid()}.json", jsonio.dumps({"written": "by trueup doctor"})
    storage.put(key, body)
    try:
        same = storage.read(key) == body
    finally:
        storage.delete(key)
    return (OK, "a probe was written, read and removed") if same else (BAD, "a probe was read back with other bytes")


def check_conditional_writes(settings: Settings) -> Finding:
    """Checks whether a second exclusive creation is refused; two publishers could both win otherwise."""
    storage = find_root(settings)
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


def find_root(settings: Settings) -> Storage | None:
    """Opens the root; None where none is named, or it cannot be read: the check of the root says why."""
    try:
        return open_root(settings.root) if settings.root else None
    except TrueupError:
        return None


def check_clock(settings: Settings) -> Finding:
    """Says which moment rows would get, and how far the store's clock is from it."""
    shifted = f", shifted by {clock.offset():g} s ({clock.CLOCK_FILE})" if os.environ.get(clock.CLOCK_FILE) else ""
    moment = clock.iso(clock.now()) + shifted
    storage = find_root(settings)
    if storage is None:
        return OK, moment
    skew = clock.machine() - storage.now()
    return (OK if abs(skew) <= MOST_SKEW else BAD), f"{moment}; {skew:+.0f} s from the store's"


def check_disk(settings: Settings) -> Finding:
    """Measures free space where Spark works, and under a root that is a folder."""
    places = [Path(tempfile.gettempdir())]
    if settings.root and not settings.root.startswith("s3://"):
        open_storage(settings.root)  # another scheme than a folder is an error
        places.append(next(p for p in (local_path(settings.root), *local_path(settings.root).parents) if p.exists()))
    free = {str(place): shutil.disk_usage(place).free for place in places}
    free_text = ", ".join(f"{size / 2**30:.1f} GiB free in {place}" for place, size in free.items())
    return (OK, free_text) if min(free.values()) >= LEAST_DISK else (BAD, f"{free_text}; expected {LEAST_DISK >> 30} GiB or more")


def check_gpu(_: Settings) -> Finding:
    """Asks the driver for its GPUs. torch itself is not loaded."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ABSENT, "none; training runs on the CPU"
    done = subprocess.run([tool, "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True,
                          timeout=30, check=False)
    return (OK, done.stdout.strip().replace("\n", ", ")) if done.returncode == 0 else (BAD, done.stdout.strip())


CHECKS = {
    "python": Check(check_python, "`make setup` finds a Python 3.11 or says how to get one"),
    "java": Check(check_java, "install Java 17, or `make setup`, which brings one"),
    "spark": Check(check_spark, "`make setup`, and unset SPARK_HOME"),
    "s3a": Check(check_s3a, "`make jars`, or name a folder that has them: spark.jars"),
    "root": Check(check_root, "check the name and the rights; `trueup emr deploy`, `trueup publish` and imports make a root"),
    "root writable": Check(check_writing, "give the caller s3:PutObject, s3:GetObject and s3:DeleteObject under the root"),
    "conditional writes": Check(check_conditional_writes,
                                "use a store that honours If-None-Match, or a newer version of this one"),
    "clock": Check(check_clock, "let NTP set this machine's clock (chronyc tracking)"),
    "disk": Check(check_disk, "make room, or let TMPDIR name a larger disk"),
    "gpu": Check(check_gpu, "reinstall the NVIDIA driver, until `nvidia-smi` answers"),
}
