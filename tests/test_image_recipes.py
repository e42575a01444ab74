"""What the Dockerfiles say and what installs in them, without building one; tests/test_images.py builds them."""

import re
import sys

import pytest

from contract.settings import Settings
from emr import package
from emr.template import service, service_instances
from tests.prerequisites import ROOT
from tests.test_setup import setup_arguments

sys.path.append(str(ROOT / "tools"))
import install_extras  # noqa: E402
import trim_torch  # noqa: E402

RECIPES = {path: (ROOT / path).read_text() for path in ("Dockerfile", "emr/serverless.Dockerfile")}


def list_copied(recipe):
    return [name.rstrip("/") for line in re.findall(r"^COPY (.+) \S+$", recipe, re.M) for name in line.split()]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_what_changes_seldom_is_installed_before_the_code_is_there(recipe):
    copied = list_copied(recipe)
    installs = re.search(r"install_extras.py (--|\\)", recipe).start()
    first = list_copied(recipe[:installs])
    assert {"requirements.lock", "setup.py"} <= set(first) and not set(package.list_folders()) & set(first)
    assert set(copied) - set(first) >= set(package.list_folders())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_build_is_told_where_packages_come_from_and_keeps_nothing_of_it(recipe):
    assert re.findall(r"^FROM (.+)$", recipe, re.M) == ["${BASE}"]
    assert "://" not in recipe.replace("s3://", "") and not re.search(r"^(ARG|ENV).*(INDEX|PROXY)", recipe, re.M)
    (run,) = re.findall(r"^RUN (--mount(?:.*\\\n)*.*)$", recipe, re.M)
    mounts = re.findall(r"--mount=type=(\w+),id=([\w-]+)", run)
    assert mounts == [("cache", "trueup-uv"), ("secret", "pip"), ("secret", "ca")]


def test_a_build_is_sent_what_it_copies_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines and sent == {name for recipe in RECIPES.values() for name in list_copied(recipe)}


def test_the_container_is_what_the_template_expects():
    recipe = RECIPES["Dockerfile"]
    uid = service_instances.USER
    assert f"--uid {uid} trueup" in recipe and f"\nUSER {uid}:{uid}\n" in recipe
    assert f"\nVOLUME {service.OUTBOX}\n" in recipe and f"TRUEUP_SERVE_OUTBOX={service.OUTBOX}\n" in recipe
    assert "\nSTOPSIGNAL SIGTERM\n" in recipe and "\nUSER hadoop:hadoop\n" in RECIPES["emr/serverless.Dockerfile"]


def test_pages_let_a_container_end_in_the_time_that_serve_takes():
    said = re.findall(r"--stop-timeout (\d+)", RECIPES["Dockerfile"] + (ROOT / "docs" / "deploy.md").read_text())
    assert len(said) > 2 and {int(seconds) for seconds in said} == {service.compute_stop_seconds(Settings())}


def test_an_image_gets_what_setup_py_names_for_its_extra(monkeypatch):
    named = setup_arguments(monkeypatch)
    wanted = install_extras.read_requirements(["serve"])
    assert wanted == sorted(named["install_requires"] + named["extras_require"]["serve"])
    with pytest.raises(SystemExit, match="extra serv: expected one of evaluate, spark"):
        install_extras.read_requirements(["serv"])


@pytest.mark.parametrize("words", [["emr", "mlflow"], ["emr mlflow"]])
def test_an_image_may_have_several_extras(words):
    assert '"$EXTRA"' in RECIPES["Dockerfile"]
    assert install_extras.parse(words).extras == ["emr", "mlflow"]


def test_what_torch_does_not_open_goes_and_the_rest_stays(tmp_path):
    for name in ("nvidia/a/lib/liba.so.1", "nvidia/a/lib/libb.so.1", "nvidia/a/include/a.h", "nvidia/a/METADATA", "torch/c.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    trim_torch.remove(tmp_path, {str((tmp_path / "nvidia/a/lib/liba.so.1").resolve())})
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["nvidia/a/METADATA", "nvidia/a/lib/liba.so.1", "torch/c.so"] and trim_torch.measure(tmp_path) == 10
