"""Fetch the jars that the tests of s3a, of Hadoop streaming and of YARN need into .cache/jars: `make jars`.

They come through Maven, so that the user's own mirrors and credentials (settings.xml) count.
"""

import shutil
import subprocess
import sys
from pathlib import Path

JARS = Path(__file__).resolve().parents[1] / ".cache" / "jars"
# The versions that belong to the Hadoop 3.3.4 client inside pyspark 3.5.7. About 360 MB, most of it the AWS bundle.
ARTIFACTS = (
    "org.apache.hadoop:hadoop-aws:3.3.4",
    "com.amazonaws:aws-java-sdk-bundle:1.12.262",
    "org.wildfly.openssl:wildfly-openssl:1.0.7.Final",
    "org.apache.hadoop:hadoop-streaming:3.3.4",
    # A resource manager and node managers in one process, and what their class loads.
    "org.apache.hadoop:hadoop-client-minicluster:3.3.4",
    "org.mockito:mockito-core:2.28.2",
    "junit:junit:4.13.2",
    "org.bouncycastle:bcpkix-jdk15on:1.60",
    "org.bouncycastle:bcprov-jdk15on:1.60",
)


def file_name(artifact: str) -> str:
    _, name, version = artifact.split(":")
    return f"{name}-{version}.jar"


def main() -> None:
    """Fetch what is not there yet."""
    missing = [artifact for artifact in ARTIFACTS if not (JARS / file_name(artifact)).is_file()]
    if missing and not shutil.which("mvn"):
        sys.exit(
            "jars: they are fetched with Maven, and there is no `mvn` on the PATH. "
            "`apt-get install maven` or `brew install maven`, then `make jars` again."
        )
    for artifact in missing:
        fetch(artifact)
    print(f"jars: {len(ARTIFACTS)} in {JARS}")


def fetch(artifact: str) -> None:
    """Copy one artifact into the folder; under another name first, so that half a jar is never taken for one."""
    print(f"jars: fetching {artifact}", flush=True)
    aside = JARS / "incoming"
    copy = ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={aside}"]
    done = subprocess.run(["mvn", "--batch-mode", "--quiet", *copy])
    if done.returncode:
        sys.exit(f"jars: Maven could not fetch {artifact} (see above). Check its settings, then `make jars` again.")
    (aside / file_name(artifact)).replace(JARS / file_name(artifact))


if __name__ == "__main__":
    main()
