"""A cluster of EMR, from the request that asks for it: its nodes unpack, are configured and run the step, on a real YARN.

Real are the bootstrap script, the archive, the command line, Spark's own scripts and classes, spark-env.sh and
spark-defaults.conf as the request's classifications ask for them, and an environment that has nothing of ours. What stands
in, because the machine is no node of EMR:

- `/opt/trueup` and `/usr/bin/python3.11` lie elsewhere, and the GPUs' discovery script is the test's own (`paths`);
- all nodes are this machine, so the bootstrap action runs once for all of them;
- `sudo` and `aws s3 cp` are scripts of a line or two; this machine's cgroups are left alone;
- Spark is pyspark's, with the jars of s3a on its class path, as EMR's own has them;
- credentials are variables, where EMR asks the instance; no variable names a region;
- torch and what it needs of CUDA are linked into place, and not packed: they are 2.8 GB (`is_linked`).
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlparse

import pyspark

from emr import cluster, requirements
from jvm import java
from tests.yarn.cluster import Yarn

PYSPARK_JARS = Path(pyspark.__file__).parent / "jars"
# EMR's own settings that matter here; without its shuffle service Spark itself keeps executors whose files are needed.
EMR_DEFAULTS = {"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.shuffleTracking.enabled": "true",
                "spark.executor.memory": "1200m", "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false", "spark.executor.cores": "2",
                "spark.dynamicAllocation.maxExecutors": "2", "spark.yarn.am.memory": "512m"}
SUDO = f"""#!/bin/sh
case "$*" in *{cluster.CGROUP}*) exit 0;; esac
exec "$@"
"""
GPUS = """#!/bin/sh
echo '{"name": "gpu", "addresses": ["0"]}'
"""
AWS = """#!{python}
import sys, urllib.parse
sys.path[:] = {path!r}
import boto3
source, target = [word for word in sys.argv[3:] if not word.startswith("--")]
place = urllib.parse.urlparse(source)
assert sys.argv[1:3] == ["s3", "cp"], sys.argv
boto3.client("s3").download_file(place.netloc, place.path[1:], target)
"""


def is_linked(name: str) -> bool:
    """Whether a package is linked from `.venv` instead of packed."""
    return name in ("torch", "torchvision", "triton") or name.startswith(("nvidia-", "cuda-"))


def list_packed(environment: str, source: Path) -> list[tuple[str, str]]:
    """What the test's archives hold: emr.requirements without torch and CUDA."""
    return [(name, pin) for name, pin in requirements.list_requirements(environment, source) if not is_linked(name)]


class EmrNode:
    """The primary node of one cluster after the other."""

    def __init__(self, folder: Path, yarn: Yarn, jars: list[str], commands: Path | None = None) -> None:
        """`commands`: a folder of more commands on the node's PATH."""
        self.folder, self.yarn, self.clusters, self.commands = folder, yarn, 0, commands
        self.spark = _lay_out_spark(folder / "spark", jars)
        self.bin = folder / "bin"
        self.bin.mkdir()
        _write_script(self.bin / "sudo", SUDO)
        _write_script(self.bin / "gpus", GPUS)
        _write_script(self.bin / "aws", AWS.format(python=sys.executable, path=sys.path))

    def carry_out(self, request: dict) -> int:
        """Does what EMR does with RunJobFlow: a place that is empty, the bootstrap action, configuration, the step."""
        self.clusters += 1
        place = self.folder / f"cluster-{self.clusters}"
        place.mkdir()
        request = json.loads(self.replace_paths(json.dumps(request), place))
        for action in request["BootstrapActions"]:
            self._bootstrap(place, **action["ScriptBootstrapAction"])
        hadoop = _write_hadoop_conf(place / "hadoop-conf", request["Configurations"], self.yarn.conf)
        environ = self.environ | {"SPARK_CONF_DIR": str(_write_conf(place / "conf", request["Configurations"], self.spark)),
                                  "HADOOP_CONF_DIR": hadoop, "YARN_CONF_DIR": hadoop}
        (step,) = request["Steps"]
        return self._run(step["HadoopJarStep"]["Args"], environ, place, "step")

    def replace_paths(self, text: str, place: Path) -> str:
        """The request with the paths that are other ones on this machine."""
        for path, here in self.paths(place).items():
            text = text.replace(path, here)
        return text

    def paths(self, place: Path) -> dict[str, str]:
        """Path on a node of EMR -> path here."""
        return {cluster.HOME: str(place / "opt"), cluster.PYTHON: sys._base_executable,
                cluster.GPU_SCRIPT: str(self.bin / "gpus")}

    def said(self, number: int = 0) -> str:
        """What the last cluster's step (or cluster `number`'s) wrote."""
        return (self.folder / f"cluster-{number or self.clusters}" / "step").read_text(errors="replace")

    @property
    def environ(self) -> dict[str, str]:
        """All that a process on a node finds: nothing of the environment of the tests but how to reach their S3."""
        return self.yarn.environ | {
            "PATH": ":".join(map(str, filter(None, (self.bin, self.commands, f"{self.spark}/bin", "/usr/bin", "/bin")))),
            "SPARK_HOME": str(self.spark)}

    def _bootstrap(self, place: Path, Path: str, Args: list[str]) -> None:
        script = place / "bootstrap.sh"
        self._must(["aws", "s3", "cp", Path, str(script)], place)
        self._must(["bash", str(script), *Args], place)
        if "/train-" in urlparse(Args[0]).path:
            _link_torch(place / "opt")

    def _must(self, command: list[str], place: Path) -> None:
        code = self._run(command, self.environ, place, "bootstrap")
        assert code == 0, (place / "bootstrap").read_text()[-3000:]

    def _run(self, command: list[str], environ: dict[str, str], place: Path, log: str) -> int:
        with open(place / log, "a") as file:
            # Under `env`, which looks for the command on the PATH of the node and not on that of the tests.
            return subprocess.run(["/usr/bin/env", *command], env=environ, cwd=place, stdout=file, stderr=file).returncode


def node_environ(home: Path) -> dict[str, str]:
    """The variables of a node's daemons: the credentials stand for those of the instance."""
    aws = {key: os.environ[key] for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")}
    return aws | {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
                  "JAVA_HOME": java.java_home(), "USER": "hadoop", "HADOOP_USER_NAME": "hadoop"}


def _lay_out_spark(home: Path, jars: list[str]) -> Path:
    """A Spark outside `.venv`: pyspark's scripts, its jars by symlink, those of s3a beside them."""
    (home / "jars").mkdir(parents=True)
    for jar in [*PYSPARK_JARS.glob("*.jar"), *map(Path, jars)]:
        (home / "jars" / jar.name).symlink_to(jar)
    for name in ("bin", "python"):
        subprocess.run(["cp", "-r", str(PYSPARK_JARS.parent / name), str(home / name)], check=True)
    return home


def _write_conf(folder: Path, configurations: list[dict], spark: Path) -> Path:
    """Spark's configuration as EMR writes it from the classifications `spark-env` and `spark-defaults`."""
    folder.mkdir()
    found = {one["Classification"]: one for one in configurations}
    defaults = EMR_DEFAULTS | {"spark.yarn.jars": f"local:{spark}/jars/*"}
    defaults |= found.get("spark-defaults", {}).get("Properties", {})
    (folder / "spark-defaults.conf").write_text("".join(f"{key} {value}\n" for key, value in defaults.items()))
    (folder / "spark-env.sh").write_text("".join(_write_exports(configurations, "spark-env")))
    return folder


def _write_hadoop_conf(folder: Path, configurations: list[dict], common: Path) -> str:
    """Hadoop's configuration as the daemons have it, with the variables of the classification `hadoop-env`."""
    shutil.copytree(common, folder)
    (folder / "hadoop-env.sh").write_text("".join(_write_exports(configurations, "hadoop-env")))
    return str(folder)


def _write_exports(configurations: list[dict], classification: str) -> list[str]:
    """The lines by which EMR exports a classification's variables."""
    found = next((c for c in configurations if c["Classification"] == classification), {})
    return [f"export {key}={value}\n" for inner in found.get("Configurations", ()) for key, value in inner["Properties"].items()]


def _link_torch(home: Path) -> None:
    """Links what `list_packed` leaves out, from where the tests' own interpreter has it."""
    for name, _ in requirements.list_requirements("train", cluster_source()):
        if is_linked(name):
            found = distribution(name)
            for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__", "bin")}:
                if not (home / top).exists():
                    (home / top).symlink_to(Path(found.locate_file(top)).resolve())


def cluster_source() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[2]


def _write_script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
