"""Write `.venv/bin/spark-submit` and its sisters so that they work with no Java on the machine and no activation.

pip's own scripts find Spark through whatever `python3` is first on the PATH. Ours name this environment's Python.
"""

import shlex
from pathlib import Path

NAMES = ("spark-submit", "pyspark", "spark-shell", "spark-sql")


def write(venv: Path) -> None:
    """Replace Spark's scripts in `venv`.

    By renaming a new file over the old one: the old one may be a hard link into uv's cache, and writing into it would
    change it in every other environment of this machine.
    """
    command = Path(__file__).resolve().with_name("spark_command.py")
    for name in NAMES:
        new = venv / "bin" / f".{name}.new"
        words = map(shlex.quote, (str(venv / "bin" / "python"), str(command), name))
        new.write_text(f'#!/bin/sh\n# Written by `make setup` (tools/spark_scripts.py).\nexec {" ".join(words)} "$@"\n')
        new.chmod(0o755)
        new.replace(venv / "bin" / name)
