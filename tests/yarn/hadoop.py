"""Hadoop with the parts that a MapReduce job needs beside YARN: HDFS, the shuffle in the node managers, the job history."""

import os
import stat
from pathlib import Path

from jvm import java
from tests.daemons import find_port
from tests.yarn.cluster import JAVA_OPTIONS, Yarn

HADOOP = """#!/bin/sh
# As Hadoop's own script, for what mrjob asks of it.
. "$HADOOP_CONF_DIR/hadoop-env.sh"
verb=$1; shift
case $verb in
{cases}
*) echo "hadoop $verb: not in this stand-in" >&2; exit 64;;
esac
exec "{java}" {options} -cp "$HADOOP_CONF_DIR:{jars}" $class "$@"
"""
CLASSES = {"fs": "org.apache.hadoop.fs.FsShell", "jar": "org.apache.hadoop.util.RunJar",
           "version": "org.apache.hadoop.util.VersionInfo"}


class Hadoop(Yarn):
    """YARN whose nodes hand map outputs over, on an HDFS of one data node."""

    def __init__(self, folder: Path, jars: list[str], environ: dict[str, str]) -> None:
        shuffle = {"yarn.nodemanager.aux-services": "mapreduce_shuffle",
                   "yarn.nodemanager.aux-services.mapreduce_shuffle.class": "org.apache.hadoop.mapred.ShuffleHandler"}
        super().__init__(folder, jars, environ, site=shuffle)
        self.file_system, self.history = f"hdfs://127.0.0.1:{find_port()}", f"127.0.0.1:{find_port()}"

    def files(self) -> dict[str, dict[str, str]]:
        found = super().files()
        here = {"fs.defaultFS": self.file_system, "hadoop.tmp.dir": str(self.folder / "tmp")}
        return found | {"core-site.xml": found["core-site.xml"] | here, "hdfs-site.xml": _hdfs(self.folder),
                        "mapred-site.xml": _mapreduce(self.jars, self.history)}

    def start_storage(self) -> None:
        """HDFS and the job history, which asks for it."""
        for web in ("hdfs", "datanode"):
            (self.conf / "webapps" / web).mkdir(parents=True)  # their pages are in Hadoop's distribution, not in its jars
        self._start("namenode", None, "-format", "-nonInteractive")
        assert self.managers["namenode"].wait(300) == 0, (self.logs / "namenode").read_text()[-4000:]
        for name, ready in (("namenode", "Starting CacheReplicationMonitor"), ("datanode", "successfully registered with NN"),
                            ("historyserver", "IPC Server listener on")):
            self._start(name)
            self._said(name, ready)


def _hdfs(folder: Path) -> dict[str, str]:
    anywhere = ("dfs.namenode.http-address", "dfs.datanode.address", "dfs.datanode.http.address", "dfs.datanode.ipc.address",
                "dfs.namenode.secondary.http-address")
    return {"dfs.replication": "1", "dfs.permissions.enabled": "false",
            "dfs.namenode.name.dir": f"file://{folder}/hdfs/name", "dfs.datanode.data.dir": f"file://{folder}/hdfs/data",
            **dict.fromkeys(anywhere, "127.0.0.1:0")}


def _mapreduce(jars: list[str], history: str) -> dict[str, str]:
    """What EMR's mapred-site says in other numbers: on YARN, so much memory a task, two reducers."""
    opens = " ".join(JAVA_OPTIONS)
    tasks = {f"mapreduce.{kind}.{name}": value for kind in ("map", "reduce")
             for name, value in (("memory.mb", "512"), ("java.opts", f"-Xmx256m {opens}"))}
    return tasks | {
        "mapreduce.framework.name": "yarn", "mapreduce.application.classpath": ",".join(jars),
        "yarn.app.mapreduce.am.resource.mb": "768", "yarn.app.mapreduce.am.command-opts": f"-Xmx400m {opens}",
        "mapreduce.job.reduces": "2", "mapreduce.task.io.sort.mb": "32", "mapreduce.shuffle.port": "0",
        "mapreduce.jobhistory.address": history, "mapreduce.jobhistory.webapp.address": "127.0.0.1:0",
        "mapreduce.jobhistory.admin.address": f"127.0.0.1:{find_port()}"}


def write_client(home: Path, jars: list[str], streaming: str) -> Path:
    """Writes `bin/hadoop` below a home of Hadoop that has the jar of streaming; returns the folder of commands."""
    (home / "bin").mkdir(parents=True)
    (home / Path(streaming).name).symlink_to(streaming)
    script = home / "bin" / "hadoop"
    cases = "\n".join(f"{verb}) class={name};;" for verb, name in CLASSES.items())
    script.write_text(HADOOP.format(cases=cases, java=f"{java.java_home()}/bin/java", jars=os.pathsep.join(jars),
                                    options=" ".join(JAVA_OPTIONS)))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return home / "bin"
