"""What `.venv/bin/spark-submit` and `pyspark` run: find Java and Python for Spark, then become Spark's own script.

    .venv/bin/python tools/spark_command.py spark-submit --master 'local[2]' jobs/evaluate.py --help
"""

import os
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from jvm import java

# spark-submit's options that take no value; behind any other one stands a value, which is not the program's name.
FLAGS = {"--help", "-h", "--verbose", "-v", "--version", "--supervise", "--usage-error"}


def master(arguments: list[str], environ: dict[str, str], spark_home: Path) -> str:
    """Find the master that spark-submit will take, in its own order: options, --conf, properties file, $MASTER."""
    given = list(options(arguments))
    named = [value for name, value in given if name in ("--master", "--remote")]
    for name, value in given:
        if name in ("--conf", "-c") and value.startswith("spark.master="):
            named.append(value.partition("=")[2])
    files = [Path(value) for name, value in given if name == "--properties-file"]
    files = files or [Path(environ.get("SPARK_CONF_DIR", spark_home / "conf")) / "spark-defaults.conf"]
    named += [found for file in files for found in masters_in(file)]
    return [*named, environ.get("MASTER") or "local[*]"][0]


def options(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Yield spark-submit's own options as (name, value), up to where the program's arguments begin."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            return
        name, equals, value = argument.partition("=")
        if name not in FLAGS:
            yield name, value if equals else next(rest, "")


def masters_in(file: Path) -> list[str]:
    """Find what a Spark properties file says about the master: `spark.master yarn`, or with `=` or `:`."""
    try:
        return re.findall(r"^\s*spark\.master(?:\s*[=:]\s*|\s+)(\S+)", file.read_text(), re.M)[-1:]
    except OSError:
        return []


def main(name: str, arguments: list[str]) -> None:
    """Become Spark's script `name`, in an environment in which it finds what it needs."""
    environ = dict(os.environ)
    # A SPARK_HOME of the user's own stays, as with pip's script.
    home = Path(environ.setdefault("SPARK_HOME", str(Path(find_spec("pyspark").origin).parent)))
    try:
        java.prepare(master(arguments, environ, home), environ)
    except RuntimeError as error:
        sys.exit(f"{name}: {error}")
    script = str(home / "bin" / name)
    os.execve(script, [script, *arguments], environ)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
