"""What a slow test may need beyond `.venv`, how to find it, and how to get it.

    jars = need("s3a")        # the paths, or the test is reported as NOT RUN with the cure; under CI=true it fails
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
JARS = ROOT / ".cache" / "jars"
NOT_RUN = "NOT RUN: "


@dataclass(frozen=True)
class Prerequisite:
    """Something outside `.venv`: commands of which one is enough, jars of which all are needed, a folder of
    jars, or the path in a variable."""

    cure: str
    commands: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    folder: str = ""
    variable: str = ""

    def find(self) -> list[str]:
        """The paths found; empty when something is missing."""
        if self.variable:
            return [path for path in (os.environ.get(self.variable, ""),) if os.access(path, os.X_OK)]
        if self.folder:
            return sorted(map(str, (JARS / self.folder).glob("*.jar")))
        if self.jars:
            paths = [JARS / name for name in self.jars]
            return [str(path) for path in paths] if all(path.is_file() for path in paths) else []
        return [found for found in map(shutil.which, self.commands) if found][:1]


PREREQUISITES = {
    "chromium": Prerequisite(
        "apt-get install chromium (or any Chrome whose command is on the PATH)",
        commands=("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    ),
    # The versions that belong to the Hadoop 3.3.4 client inside pyspark 3.5.7; tools/jars.py fetches these.
    "s3a": Prerequisite(
        "make jars",
        jars=("hadoop-aws-3.3.4.jar", "aws-java-sdk-bundle-1.12.262.jar", "wildfly-openssl-1.0.7.Final.jar"),
    ),
    "hadoop-streaming": Prerequisite("make jars", jars=("hadoop-streaming-3.3.4.jar",)),
    "hadoop": Prerequisite("make jars", folder="hadoop-3.3.4"),
    "mvn": Prerequisite("apt-get install maven", commands=("mvn",)),
    "python312": Prerequisite(
        "set PYTHON312 to a Python 3.12 that has torch, torchvision, numpy 2, pillow, pydantic, click, rich, pyyaml, "
        "safetensors and scikit-learn",
        variable="PYTHON312",
    ),
    "git": Prerequisite("apt-get install git", commands=("git",)),
    "buildah": Prerequisite("apt-get install buildah", commands=("buildah",)),
    "prometheus": Prerequisite("apt-get install prometheus", commands=("prometheus",)),
    "promtool": Prerequisite("apt-get install prometheus", commands=("promtool",)),
    "mmdebstrap": Prerequisite("apt-get install mmdebstrap", commands=("mmdebstrap",)),
}


def need(name: str) -> list[str]:
    """The paths of prerequisite `name`. Without it the test ends as NOT RUN, and in CI as failed."""
    found = PREREQUISITES[name].find()
    if not found:
        not_run(f"{name} is missing", PREREQUISITES[name].cure)
    return found


def not_run(reason: str, cure: str) -> NoReturn:
    """End the test without a verdict: it is listed at the end of the run with its cure; in CI it is a failure."""
    said = f"{NOT_RUN}{reason}; to cure it: {cure}"
    if os.environ.get("CI") == "true":
        pytest.fail(said, pytrace=False)
    pytest.skip(said)
