"""`trueup doctor` beyond the happy case: s3a's jars, the clock; and what Spark is told by settings."""

import json

import pytest

from command.load_settings import load
from contract.errors import UsageError
from contract.layout import MARKER
from contract.storage import open_storage
from jvm import spark_conf
from pipeline import doctor
from pipeline.checks import machine


@pytest.fixture(autouse=True)
def without_starting_spark(monkeypatch):
    """tests/pipeline/test_looking.py has that check."""
    monkeypatch.setitem(machine.CHECKS, "spark", machine.Check(lambda _: ("ok", ""), ""))


def checks(capsys, *arguments, code=0):
    """The rows of `trueup doctor`, by the name of the check."""
    assert doctor.main([*arguments, "--json"]) == code
    return {row["check"]: row for row in json.loads(capsys.readouterr().out)["checks"]}


def jars(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return str(folder)


def test_the_jars_of_s3a_must_be_those_of_sparks_hadoop(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("contract.stores.s3.ATTEMPTS", 1)  # the root is not there, and six attempts take seconds
    folder = jars(tmp_path, "hadoop-aws-3.3.6.jar", "aws-java-sdk-bundle-1.12.262.jar")
    with pytest.raises(UsageError, match=r"expected hadoop-aws-3\.3\.4\.jar.*found hadoop-aws-3\.3\.6\.jar.*make jars"):
        spark_conf.s3a_jars(folder)
    needed = ["--root", "s3://not-there/p", "--set", "evaluate.engine=spark", "--set", f"spark.jars={folder}"]
    found = checks(capsys, *needed, code=1)["s3a"]
    assert found["state"] == "bad" and found["do"].startswith("`make jars`")
    jars(tmp_path, "hadoop-aws-3.3.4.jar")
    assert checks(capsys, *needed, code=1)["s3a"]["state"] == "ok"  # the root is still bad


def test_jars_are_only_brought_where_spark_itself_reads_s3(tmp_path, monkeypatch):
    folder = jars(tmp_path, "hadoop-aws-3.3.4.jar", "aws-java-sdk-bundle-1.12.262.jar")
    assert spark_conf.add_s3a("/a/folder", {"a": "b"}, folder) == {"a": "b"}
    assert spark_conf.add_s3a("s3://b/p", {"a": "b"}, folder)["spark.jars"].count(",") == 1
    own = {"spark.jars.packages": "org.apache.hadoop:hadoop-aws:3.3.4"}
    assert spark_conf.add_s3a("s3://b/p", own, folder) == own
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")  # under spark-submit
    assert spark_conf.add_s3a("s3://b/p", {}, folder) == {}


def test_spark_conf_comes_from_the_settings_and_the_option_goes_before(monkeypatch):
    settings = load(env={}, overrides=["spark.conf={spark.master: 'local[2]', spark.executor.memory: 1g, a: true}"])
    made = spark_conf.collect_conf(settings, ["spark.executor.memory=2g"])
    assert made == {"spark.master": "local[2]", "spark.executor.memory": "2g", "a": "true"}
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert "spark.master" not in spark_conf.collect_conf(settings)
    with pytest.raises(UsageError, match="--spark-conf 'x': expected KEY=VALUE"):
        spark_conf.collect_conf(settings, ["x"])


def test_a_clock_that_is_wrong_is_found(capsys, tmp_root, monkeypatch):
    open_storage(tmp_root).put(MARKER, b'{"schema": "1"}')
    monkeypatch.setattr(machine.clock, "machine", lambda: 0.0)
    found = checks(capsys, "--root", tmp_root, code=1)["clock"]
    assert "s from the store's" in found["found"] and "NTP" in found["do"]


def test_a_root_that_is_not_there_is_the_fault_of_one_check(capsys, tmp_path):
    found = checks(capsys, "--root", str(tmp_path / "none"), code=1)
    assert [name for name, row in found.items() if row["state"] == "bad"] == ["root"]
    assert (found["formats"]["state"], found["formats"]["found"]) == ("absent", "no root that can be read")
