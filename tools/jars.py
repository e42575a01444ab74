"""Fetch the jars that the tests of s3a, of Hadoop streaming and of YARN need into .cache/jars: `make jars`.

They come through Maven, so that the user's own mirrors and credentials (settings.xml) count. Single jars are copied alone;
`hadoop-3.3.4/` is a class path of Hadoop's daemons and of MapReduce with all that it requires, as in Hadoop's distribution.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

JARS = Path(__file__).resolve().parents[1] / ".cache" / "jars"
# The versions that belong to the Hadoop 3.3.4 client inside pyspark 3.5.7. About 400 MB, most of it the AWS bundle.
ARTIFACTS = (
    "org.apache.hadoop:hadoop-aws:3.3.4",
    "com.amazonaws:aws-java-sdk-bundle:1.12.262",
    "org.wildfly.openssl:wildfly-openssl:1.0.7.Final",
    "org.apache.hadoop:hadoop-streaming:3.3.4",
)
HADOOP = "hadoop-3.3.4"
DAEMONS = (
    "org.apache.hadoop:hadoop-yarn-server-resourcemanager:3.3.4",
    "org.apache.hadoop:hadoop-yarn-server-nodemanager:3.3.4",
    "org.apache.hadoop:hadoop-hdfs:3.3.4",
    "org.apache.hadoop:hadoop-mapreduce-client-app:3.3.4",
    "org.apache.hadoop:hadoop-mapreduce-client-hs:3.3.4",
    "org.apache.hadoop:hadoop-mapreduce-client-jobclient:3.3.4",
    "org.apache.hadoop:hadoop-mapreduce-client-shuffle:3.3.4",
    "org.apache.hadoop:hadoop-streaming:3.3.4",
    # What the resource manager loads and its list of requirements leaves out.
    "org.apache.hadoop:hadoop-yarn-server-timelineservice:3.3.4",
    "org.bouncycastle:bcpkix-jdk15on:1.60",
    "org.bouncycastle:bcprov-jdk15on:1.60",
)
POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>trueup</groupId><artifactId>daemons</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{}
  </dependencies>
</project>
"""


def file_name(artifact: str) -> str:
    _, name, version = artifact.split(":")
    return f"{name}-{version}.jar"


def main() -> None:
    """Fetch what is not there yet."""
    missing = [artifact for artifact in ARTIFACTS if not (JARS / file_name(artifact)).is_file()]
    whole = (JARS / HADOOP).is_dir()
    if (missing or not whole) and not shutil.which("mvn"):
        sys.exit(
            "jars: they are fetched with Maven, and there is no `mvn` on the PATH. "
            "`apt-get install maven` or `brew install maven`, then `make jars` again."
        )
    for artifact in missing:
        fetch(artifact)
    if not whole:
        fetch_class_path()
    print(f"jars: {len(ARTIFACTS)} in {JARS}, {len(list((JARS / HADOOP).iterdir()))} in {HADOOP}")


def fetch(artifact: str) -> None:
    """Copy one artifact into the folder; under another name first, so that half a jar is never taken for one."""
    print(f"jars: fetching {artifact}", flush=True)
    aside = JARS / "incoming"
    _run_maven(artifact, "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={aside}")
    (aside / file_name(artifact)).replace(JARS / file_name(artifact))


def fetch_class_path() -> None:
    """Copy the daemons' class path into its folder, which is there when all of it is."""
    print(f"jars: fetching {HADOOP} with what it requires", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        pom, aside = Path(folder, "pom.xml"), JARS / f"incoming-{HADOOP}"
        pom.write_text(POM.format("\n".join(map(_write_dependency, DAEMONS))))
        shutil.rmtree(aside, ignore_errors=True)
        _run_maven(HADOOP, "--file", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={aside}")
        aside.rename(JARS / HADOOP)


def _write_dependency(artifact: str) -> str:
    group, name, version = artifact.split(":")
    return (f"    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
            f"</dependency>")


def _run_maven(what: str, *arguments: str) -> None:
    if subprocess.run(["mvn", "--batch-mode", "--quiet", *arguments]).returncode:
        sys.exit(f"jars: Maven could not fetch {what} (see above). Check its settings, then `make jars` again.")


if __name__ == "__main__":
    main()
