"""The one place of our code that makes or gets a SparkSession.

Under `spark-submit` (and in a process that has a Spark already) the master and all static settings are the user's.
Elsewhere Spark runs in this process's own JVM on `local[n]`, n >= 2. `get` sets the SQL options that counting rests on
in a session of our own, so nobody else's session changes; `get_or_start` is for a program that only hands out tasks and
has options of its own (training/fit/launch.py).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from command.spans import JAVA, span
from contract.errors import UsageError
from contract.settings import is_submitted
from jvm import java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What must hold for right counts; no setting overrides these.
MUST = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",  # `Role` beside `role` is another column
    "spark.sql.ansi.enabled": "false",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # Spark has no type for nanoseconds
    "spark.sql.parquet.int96TimestampConversion": "false",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
}
# What pays on one machine; `--spark-conf` and spark-submit's own settings go first.
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.debug.maxToStringFields": "1000",  # no warning about wide plans
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.task.maxDirectResultSize": "32m",  # counts come as they are, not by way of Netty and its buffers
}
# For a program in which Java does little more than schedule tasks: it starts in two thirds of the time.
HANDS_OUT = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
MOST_DRIVER_MB = 4096


def get_session(conf: Mapping[str, str] | None = None, hands_out: bool = False) -> SparkSession:
    """A session of our own with `conf` passed through; UsageError for a setting that comes too late.

    `hands_out`: the work is done in Python workers, so a Java that is started on this machine is tuned to start fast.
    """
    conf = dict(conf or {})
    running = _find_running()
    if running is None:
        running = _start("trueup", conf, _local_settings() | (HANDS_OUT if hands_out else {}))
        conf = conf if is_submitted() else {k: v for k, v in conf.items() if k.startswith(("spark.sql.", "fs."))}
    ours = running.newSession()
    for key, value in _sql_options(conf, running).items():
        ours.conf.set(key, value)
    return ours


def get_or_start(name: str, conf: Mapping[str, str], local: Mapping[str, str]) -> SparkSession:
    """Returns the running session as it is, or starts Spark as the application `name` with `conf`.

    `local` are settings below `conf` for a Spark on this machine, `spark.master` among them; under spark-submit they are
    left out.
    """
    return _find_running() or _start(name, conf, local)


def is_running() -> bool:
    """Says whether this process has a Spark."""
    return "pyspark" in sys.modules and _find_running() is not None


def _find_running() -> SparkSession | None:
    """The session of this process, unless its Java has been stopped."""
    from pyspark.sql import SparkSession

    found = SparkSession.getActiveSession() or SparkSession._instantiatedSession
    return None if found is None or found.sparkContext._jsc is None else found


def _start(name: str, conf: Mapping[str, str], local: Mapping[str, str]) -> SparkSession:
    from pyspark.sql import SparkSession

    settings = dict(conf) if is_submitted() else {**local, **conf}
    if not is_submitted():
        java.prepare(settings["spark.master"])
    builder = SparkSession.builder.appName(name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    if is_submitted():
        return builder.getOrCreate()
    with _keep_handler(), span(JAVA):
        return builder.getOrCreate()


@contextmanager
def _keep_handler() -> Iterator[None]:
    """Restores the SIGINT handler that starting Spark replaces: its own asks Java to cancel the jobs, in the middle of a call."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _local_settings() -> dict[str, str]:
    cores = max(2, len(os.sched_getaffinity(0)))
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**21
    return LOCAL | {"spark.master": f"local[{cores}]", "spark.driver.memory": f"{min(MOST_DRIVER_MB, half)}m",
                    "spark.sql.shuffle.partitions": str(2 * cores)}


def _sql_options(conf: dict[str, str], running: SparkSession) -> dict[str, str]:
    """The options of our own session: the user's, then what must hold."""
    from pyspark.errors import AnalysisException

    static = running.sparkContext.getConf()
    wanted = {}
    for key, value in conf.items():
        if static.get(key) == value:
            continue
        try:
            modifiable = running.conf.isModifiable(key)
        except AnalysisException:
            modifiable = False
        if not (modifiable or key.startswith("fs.")):
            raise UsageError(f"--spark-conf {key}={value}: Spark runs already with {static.get(key)!r}, and this setting "
                             f"cannot change then. Give it to spark-submit, or start a process of its own.")
        wanted[key] = value
    return wanted | MUST | _s3a()


def _s3a() -> dict[str, str]:
    """How Spark's s3a reaches the store that boto3 reaches by the standard AWS variables; nothing for AWS itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return {}
    return {"fs.s3a.endpoint": endpoint, "fs.s3a.path.style.access": "true",
            "fs.s3a.connection.ssl.enabled": str(endpoint.startswith("https")).lower()}
