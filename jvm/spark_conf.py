"""Spark's configuration by the user: the `spark:` settings, `--spark-conf`, and the jars of s3a.

Hadoop refuses an s3a of another version in obscure ways, so the jars must be those of the Hadoop inside the installed
pyspark; a folder that holds others is an error that names both versions.
"""

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contract.errors import UsageError
from contract.settings import Settings, is_submitted

# Where `make jars` puts them in a checkout; the setting spark.jars names another folder.
DEFAULT_JARS = Path(__file__).resolve().parents[1] / ".cache" / "jars"
# hadoop-aws carries Hadoop's version; what it needs beside it has versions of its own.
BESIDE = ("aws-java-sdk-bundle-*.jar", "bundle-2.*.jar", "wildfly-openssl-*.jar")
BROUGHT = ("spark.jars", "spark.jars.packages", "spark.driver.extraClassPath")  # the user's own way to bring s3a


def collect_conf(settings: Settings, given: Sequence[str] = ()) -> dict[str, str]:
    """Spark's settings: `spark.conf`, then those of `--spark-conf KEY=VALUE`. Under spark-submit the master is its own."""
    made = {key: text(value) for key, value in settings.spark.conf.items()}
    if is_submitted():
        made.pop("spark.master", None)
    for pair in given:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError(f"--spark-conf {pair!r}: expected KEY=VALUE, for example spark.executor.memory=4g.")
        made[key] = value
    return made


def text(value: Any) -> str:
    """A setting as Spark reads it; YAML makes `true` of its words."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def add_s3a(root: str, wanted: Mapping[str, str], folder: str | None = None) -> dict[str, str]:
    """`wanted` with the jars of s3a, where Spark itself reads an s3:// root and no setting brings them."""
    if not root.startswith("s3://") or is_submitted() or any(name in wanted for name in BROUGHT):
        return dict(wanted)
    return {**wanted, "spark.jars": ",".join(str(path) for path in s3a_jars(folder))}


def s3a_jars(folder: str | None = None) -> list[Path]:
    """The jars in `folder` (default: where `make jars` puts them); UsageError when some lack, or are of another Hadoop."""
    place, version = Path(folder or DEFAULT_JARS), hadoop_version()
    cure = ("Spark reads s3:// roots through s3a: get its jars with `make jars`, name a folder that has them (spark.jars), "
            "or let Spark fetch them: --spark-conf spark.jars.packages=org.apache.hadoop:hadoop-aws:" + str(version))
    ours = place / f"hadoop-aws-{version}.jar"
    if not ours.is_file():
        there = ", ".join(path.name for path in sorted(place.glob("hadoop-aws-*.jar"))) or "none"
        raise UsageError(f"{place}: expected hadoop-aws-{version}.jar, of the Hadoop in the installed pyspark, found {there}. "
                         f"{cure}")
    beside = [path for pattern in BESIDE for path in sorted(place.glob(pattern))]
    if not any("bundle" in path.name for path in beside):
        raise UsageError(f"{place}: expected the AWS bundle (aws-java-sdk-bundle-….jar) beside {ours.name}, found none. {cure}")
    return [ours, *beside]


def hadoop_version() -> str | None:
    """The Hadoop inside the installed pyspark, from its jars' names; None without pyspark or with another Hadoop."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        return None
    home = Path(os.environ.get("SPARK_HOME") or Path(found.origin).parent)
    names = (re.fullmatch(r"hadoop-client-api-(.+)\.jar", path.name) for path in home.glob("jars/hadoop-client-api-*.jar"))
    return next((match[1] for match in names if match), None)
