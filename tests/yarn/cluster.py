"""A real YARN on this machine: Hadoop's own resource manager and node managers, each a process that can be killed.

The jars are Hadoop's own with what they require, as in its distribution (`make jars`); `java` starts the daemons' classes
as Hadoop's scripts do. What has to stand in for a node of EMR is in tests/yarn/emr_node.py.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from xml.sax.saxutils import escape

from jvm import java
from tests.daemons import Daemons, below, command_line, find_port, kill

DAEMONS = {"resourcemanager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
           "nodemanager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
           "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
           "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
           "historyserver": "org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer"}
# Java 17 hides what Hadoop's class loaders look into. The rest makes a Java start sooner that has little to do.
JAVA_OPTIONS = [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "util", "net", "io")] + [
    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
LOG = """log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
"""
REGISTERED = "Registered with ResourceManager as"
EXECUTOR = "CoarseGrainedExecutorBackend"  # or YarnCoarseGrainedExecutorBackend


class Yarn(Daemons):
    """The daemons, the folder with the clients' configuration (`conf`), the containers' processes and logs."""

    def __init__(self, folder: Path, jars: list[str], environ: dict[str, str], nodes: int = 2,
                 site: dict[str, str] | None = None) -> None:
        self.folder, self.jars, self.nodes, self.environ = folder, jars, nodes, environ
        self.conf, self.logs = folder / "conf", folder / "logs"
        self.managers: dict[str, subprocess.Popen] = {}
        self.site = _common(environ) | (site or {})
        for place in (self.conf, self.logs):
            place.mkdir(parents=True)

    def _up(self) -> None:
        for name, settings in self.files().items():
            write_site(self.conf / name, settings)
        self.start_storage()
        self._start("resourcemanager")
        self._said("resourcemanager", "Transitioned to active state")
        for name in [self.start_node() for _ in range(self.nodes)]:
            self._said(name, REGISTERED)

    def start_storage(self) -> None:
        """What has to run before YARN does: nothing."""

    def files(self) -> dict[str, dict[str, str]]:
        """The configuration of daemons and clients: file -> settings."""
        return {"yarn-site.xml": self.site, "core-site.xml": _core(self.environ), "capacity-scheduler.xml": _scheduler(self.site)}

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.managers.values()):
            _end(process)

    def start_node(self) -> str:
        """Starts one more node manager, and returns its name."""
        name = f"nodemanager-{len(self.managers)}"
        work = self.folder / name
        own = {"yarn.nodemanager.local-dirs": str(work / "local"), "yarn.nodemanager.log-dirs": str(work / "logs"),
               "yarn.nodemanager.recovery.dir": str(work / "recovery")}
        self._start(name, own)
        return name

    def kill_node(self, name: str) -> None:
        """SIGKILL to a node manager and all that runs under it, as if the machine went."""
        _end(self.managers[name])

    def executors(self) -> dict[str, str]:
        """Node -> the application of an executor that runs there now."""
        found = {}
        for name, process in self.managers.items():
            if process.poll() is None:
                for pid in below(process.pid):
                    said = command_line(pid)
                    if EXECUTOR in said and "java" in said and (app := re.search(r"application_\d+_\d+", said)):
                        found[name] = app[0]
        return found

    def read_logs(self) -> str:
        """What containers wrote to stderr, each cut to its end."""
        files = sorted(self.folder.glob("nodemanager-*/logs/application_*/container_*/stderr"))
        return "\n".join(f"--- {path.relative_to(self.folder)}\n{path.read_text(errors='replace')[-3000:]}" for path in files)

    def read_log(self, name: str) -> str:
        """What a daemon wrote."""
        return (self.logs / name).read_text(errors="replace")

    def count_containers(self, application: str) -> int:
        """How many containers of an application there have been, its master among them."""
        return len({path.name for path in self.folder.glob(f"nodemanager-*/logs/{application}/container_*")})

    def applications(self) -> list[str]:
        """Ids of all applications that had containers, oldest first."""
        return sorted({path.name for path in self.folder.glob("nodemanager-*/logs/application_*")})

    def _start(self, name: str, own: dict[str, str] | None = None, *arguments: str) -> None:
        conf = self.folder / f"{name}-conf"
        if not conf.is_dir():
            shutil.copytree(self.conf, conf)
        write_site(conf / "yarn-site.xml", self.site | (own or {}))
        (conf / "log4j.properties").write_text(LOG)
        command = [f"{java.java_home()}/bin/java", "-Xmx400m", *JAVA_OPTIONS, f"-Dyarn.id={name}", "-cp",
                   os.pathsep.join([str(conf), *self.jars]), DAEMONS[name.split("-")[0]], *arguments]
        with open(self.logs / name, "a") as file:
            self.managers[name] = subprocess.Popen(command, env=self.environ | {"YARN_CONF_DIR": str(conf)},
                                                   cwd=self.folder, stdout=file, stderr=file)

    def _said(self, name: str, pattern: str, seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while not re.search(pattern, text := self.read_log(name)):
            assert self.managers[name].poll() is None and time.monotonic() < until, text[-4000:]
            time.sleep(0.1)


def _common(environ: dict[str, str]) -> dict[str, str]:
    """What all daemons and clients read. A node has room for one rank of 2 GB and an application's master and not for
    two ranks, so that these are on different nodes; no limit of memory and of a full disk, which is the machine's."""
    ports = {name: f"127.0.0.1:{find_port()}" for name in ("", "scheduler.", "resource-tracker.", "admin.", "webapp.")}
    node = {"hostname": "localhost", "address": "localhost:0", "localizer.address": "localhost:0",
            "webapp.address": "localhost:0", "resource.memory-mb": "3200", "resource.cpu-vcores": "4",
            "vmem-check-enabled": "false", "pmem-check-enabled": "false", "delete.debug-delay-sec": "3600",
            "disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
            "admin-env": ",".join(f"{key}={value}" for key, value in environ.items() if key.startswith("AWS_"))}
    return {"yarn.resourcemanager.hostname": "localhost", "yarn.scheduler.minimum-allocation-mb": "256",
            "yarn.resourcemanager.nm.liveness-monitor.expiry-interval-ms": "8000",
            "yarn.nm.liveness-monitor.expiry-interval-ms": "8000", "yarn.am.liveness-monitor.expiry-interval-ms": "60000",
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
            **{f"yarn.resourcemanager.{name}address": place for name, place in ports.items()},
            **{f"yarn.nodemanager.{name}": value for name, value in node.items()}}


def _core(environ: dict[str, str]) -> dict[str, str]:
    """The default file system, and how s3a reaches the S3 of the test; on EMR it is HDFS and AWS's own address."""
    endpoint = environ.get("AWS_ENDPOINT_URL")
    s3a = {"fs.s3a.endpoint": endpoint, "fs.s3a.path.style.access": "true", "fs.s3a.connection.ssl.enabled": "false"}
    return {"fs.defaultFS": "file:///", "hadoop.security.authentication": "simple", **(s3a if endpoint else {})}


def _scheduler(site: dict[str, str]) -> dict[str, str]:
    root = "yarn.scheduler.capacity"
    return {f"{root}.root.queues": "default", f"{root}.root.default.capacity": "100",
            f"{root}.maximum-am-resource-percent": "0.5",
            f"{root}.resource-calculator": site.get(f"{root}.resource-calculator",
                                                    "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator")}


def write_site(path: Path, settings: dict[str, str]) -> None:
    lines = (f"<property><name>{escape(k)}</name><value>{escape(v)}</value></property>" for k, v in settings.items())
    path.write_text("<configuration>\n" + "\n".join(lines) + "\n</configuration>\n")


def _end(process: subprocess.Popen) -> None:
    for pid in [*below(process.pid), process.pid]:
        kill(pid)
    process.wait()
