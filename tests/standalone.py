"""A real Spark cluster on this machine: a standalone master and two workers, whose executors are processes of their own.

The pip package has no start-master.sh, so the classes are started by `spark-class`. What the workers' environment has
(credentials, the Python with our packages) is what nodes of a cluster would have.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pyspark

from jvm import java
from tests.daemons import Daemons, below, command_line, kill

REPO = Path(__file__).resolve().parents[1]
HOME = Path(pyspark.__file__).parent
EXECUTOR = "CoarseGrainedExecutorBackend"


class Standalone(Daemons):
    """The master's address, the settings of an application on it, its executors."""

    def __init__(self, folder: Path) -> None:
        self.work, self.logs = folder / "work", folder / "logs"
        self.logs.mkdir(parents=True)
        self.processes: list[subprocess.Popen] = []
        self.environ = os.environ | {
            "SPARK_HOME": str(HOME), "JAVA_HOME": java.java_home(), "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "localhost", "SPARK_DAEMON_MEMORY": "256m", "PYTHONPATH": str(REPO),
            "PYSPARK_PYTHON": sys.executable}
        self.master = ""

    def _up(self) -> None:
        self._start("master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        self.master = self._said("master.Master", r"spark://127\.0\.0\.1:[1-9]\d*")
        for n in range(2):
            place = ["--work-dir", str(self.work / str(n)), "--host", "127.0.0.1", "--webui-port", "0"]
            self._start("worker.Worker", "-c", "1", "-m", "2g", *place, self.master, log=f"worker-{n}")
        for n in range(2):
            self._said(f"worker-{n}", "Successfully registered with master")

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            for pid in [process.pid, *below(process.pid)]:
                kill(pid)
            process.wait()

    def conf(self, **more: str) -> dict[str, str]:
        """The `spark.conf` setting of a stage that runs here."""
        return {"spark.master": self.master, "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
                "spark.executor.memory": "1g", **more}

    def applications(self) -> list[str]:
        """Ids of the applications that had executors, oldest first."""
        return sorted({path.name for path in self.work.glob("*/app-*")}, key=lambda name: name.split("-")[1:])

    def executors(self, application: str) -> dict[int, str]:
        """Executor number -> what it logged so far."""
        return {int(path.parent.name): path.read_text(errors="replace")
                for path in self.work.glob(f"*/{application}/*/stderr")}

    def kill_an_executor(self, application: str) -> int:
        """SIGKILL to one executor and all that runs in it, as if its machine went; returns its number."""
        for process in self.processes:
            for pid in below(process.pid):
                said = command_line(pid)
                if EXECUTOR in said and application in said:
                    for one in [*below(pid), pid]:
                        kill(one)
                    return int(re.search(r"--executor-id\0(\d+)", said)[1])
        raise AssertionError(f"{application} has no executor")

    def _start(self, name: str, *arguments: str, log: str | None = None) -> None:
        command = [str(HOME / "bin/spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
        with open(self.logs / (log or name), "w") as file:
            self.processes.append(subprocess.Popen(command, env=self.environ, stdout=file, stderr=file))

    def _said(self, log: str, pattern: str, seconds: float = 300) -> str:
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, (self.logs / log).read_text(errors="replace"))):
            assert time.monotonic() < until, (self.logs / log).read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        return found[0]
