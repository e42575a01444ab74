"""The mapreduce engine on each runner that runs here, and the job as people start it by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from command.command import run
from contract.errors import Mismatch, UsageError
from jobs.engines.mapreduce import engine, splits
from jobs.engines.question import DayFiles, RawFile
from jvm import java
from tests.jobs import awkward
from tests.prerequisites import need

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("some root") / "logs")
    awkward.write(root, awkward.rows_of(3), 3)
    return root, *awkward.day_files(root)


@pytest.fixture(scope="module")
def inline(logs):
    _, storage, days = logs
    return [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION, runner="inline")]


def counted(logs, runner, *arguments):
    _, storage, days = logs
    return [awkward.as_python(c) for c in engine.count(storage, days, awkward.QUESTION, runner=runner, mrjob_args=arguments)]


def test_every_kind_of_row_occurs(inline):
    seen = {name for day in inline for name, n in day["rows"].items() if n}
    assert len(seen) >= 13 and {"duplicate", "superseded", "withdrawn", "vote", "other_model"} <= seen


def test_local_with_two_mappers_and_two_reducers_counts_the_same(logs, inline):
    assert counted(logs, "local") == inline


def test_a_task_that_reduces_imports_no_documents_settings_or_engines():
    """A job starts many tasks: what each imports is paid for as often."""
    program = ("import sys, jobs.evaluate_mapreduce\n"
               "print(*{'pydantic', 'pyarrow', 'duckdb', 'contract.settings', 'contract.documents'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
                          capture_output=True, check=True)
    assert done.stdout == "\n"


@pytest.mark.slow("spark")
def test_mrjobs_spark_runner_counts_the_same(logs, inline):
    assert counted(logs, "spark") == inline


@pytest.mark.slow("hadoop")
def test_hadoop_streaming_counts_the_same(logs, inline, tmp_path, monkeypatch):
    (jar,) = need("hadoop-streaming")
    monkeypatch.chdir(tmp_path)  # Hadoop's LocalJobRunner links the job's files into the current folder
    arguments = hadoop_arguments(tmp_path, jar)
    assert counted(logs, "hadoop", *arguments) == inline


def hadoop_arguments(folder, jar):
    """Options of mrjob for a Hadoop made of pyspark's own jars."""
    import pyspark

    conf = folder / "conf"
    conf.mkdir()
    for name in ("core", "hdfs", "mapred", "yarn"):
        (conf / f"{name}-site.xml").write_text("<configuration/>")
    classes = {"fs": "org.apache.hadoop.fs.FsShell", "jar": "org.apache.hadoop.util.RunJar",
               "version": "org.apache.hadoop.util.VersionInfo"}
    cases = "\n".join(f'{verb}) class={name};;' for verb, name in classes.items())
    hadoop = folder / "hadoop"
    hadoop.write_text(f'#!/bin/sh\nverb=$1; shift\ncase $verb in\n{cases}\nesac\nexec "{java.java_home()}/bin/java" -cp '
                      f'"{conf}:{Path(pyspark.__file__).parent}/jars/*" $class "$@"\n')
    hadoop.chmod(0o755)
    settings = {"mapreduce.framework.name": "local", "mapreduce.job.reduces": "2", "mapreduce.job.maps": "2",
                "hadoop.tmp.dir": str(folder / "tmp")}
    return ["--no-conf", "--hadoop-bin", str(hadoop), "--hadoop-streaming-jar", jar, "--python-bin", sys.executable,
            "--hadoop-tmp-dir", f"file://{folder}/mrjob", *(a for k, v in settings.items() for a in ("-D", f"{k}={v}"))]


def test_the_job_started_by_hand_from_anywhere_writes_readable_lines(logs, inline, tmp_path):
    root, storage, days = logs
    paths = splits.write(tmp_path / "splits", root, days)
    command = [sys.executable, str(ROOT / "jobs" / "evaluate_mapreduce.py"), "-r", "inline", "--no-conf", "--model", "m",
               "--as-of", "2026-11-22T00:00:00Z", *map(str, paths)]
    hidden = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=hidden, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    votes = {line["day"]: line["n"] for line in lines if line["table"] == "rows" and line.get("name") == "vote"}
    assert votes == {day["day"]: day["rows"]["vote"] for day in inline}


def test_split_lists_are_at_least_two_and_balanced(tmp_path):
    files = tuple(RawFile(f"predictions/dt=d/{n}.parquet", 40_000_000, "", 10, 4, {}) for n in range(8))
    paths = splits.write(tmp_path, "/root", [DayFiles("2026-11-20", files, ())])
    sizes = [len(path.read_text().splitlines()) for path in paths]
    assert sum(sizes) == 32 and len(paths) == 5 and max(sizes) - min(sizes) <= 1
    assert len(splits.write(tmp_path / "small", "/root", [DayFiles("2026-11-20", files[:1], ())])) == 2


def test_rows_that_the_footers_promise_must_be_read(logs):
    _, storage, (day, *_) = logs
    promised = DayFiles(day.day, (*day.predictions, RawFile("gone", 1, "", 5, 0, {})), day.labels)
    with pytest.raises(Mismatch, match="expected .* rows by the files' footers, read"):
        list(engine.count(storage, [promised], awkward.QUESTION, runner="inline"))


def test_an_unknown_runner_is_named():
    with pytest.raises(UsageError, match="runner 'yarn': expected one of inline, local"):
        engine.count(None, [], awkward.QUESTION, runner="yarn")


def test_split_lists_of_a_window_and_of_no_day(logs, tmp_path, capsys):
    root, *_ = logs
    options = ["--root", root, "--model", "m", "--splits", str(tmp_path / "splits"), "--json"]
    assert run(engine.main, [*options, "--from", "2026-11-20", "--to", "2026-11-20"]) == 0
    document = json.loads(capsys.readouterr().out)
    lines = [json.loads(line) for path in document["splits"] for line in Path(path).read_text().splitlines()]
    assert {line["day"] for line in lines} == {"2026-11-20"}
    assert run(engine.main, [*options, "--from", "2026-11-2"]) == 2  # as text it comes after 2026-11-20
    assert "expected YYYY-MM-DD" in capsys.readouterr().out
