"""Install into an image what extras of setup.py require, at the lock's versions. The Dockerfiles run it before they copy code.

    python3 tools/install_extras.py --python .venv/bin/python emr
    python3 tools/install_extras.py --python .venv/bin/python "emr mlflow"
    python3.11 tools/install_extras.py --target /opt/trueup --without pyspark evaluate train

pip's settings (indexes, proxy, certificates) are those of /etc/pip.conf and the environment; certificates that are trusted
beside them lie in /run/secrets/ca. The Dockerfiles mount both, so that neither stays in an image.
"""

import argparse
import os
import re
import runpy
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pip_settings

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
CERTIFICATES = Path("/run/secrets/ca")
BUILD = ("setuptools", "wheel")  # what our own package is built with, when nothing can be fetched any more
# What a choice of torch leaves out before anything is installed. triton compiles for a GPU; trim_torch.py does the rest.
LEFT_OUT = {"trimmed": ("triton", "cuda-bindings", "cuda-pathfinder"), "none": ("torch", "torchvision")}


def main() -> None:
    """Install the extras, and trim torch when that was asked."""
    asked = parse(sys.argv[1:])
    if CERTIFICATES.is_file():
        os.environ.update(PIP_CERT=str(CERTIFICATES), SSL_CERT_FILE=str(CERTIFICATES))
    wanted = read_requirements(asked.extras)
    without = [*asked.without, *LEFT_OUT.get(asked.torch, ())]
    with tempfile.TemporaryDirectory() as folder:
        install(asked, wanted, without, Path(folder))
    if asked.torch == "trimmed" and any(line.startswith("torch==") for line in wanted):
        import trim_torch

        trim_torch.main(asked.python, asked.target)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="+", help="names, also several in one word with spaces between them")
    parser.add_argument("--python", default=sys.executable, help="the Python of the environment to install into")
    parser.add_argument("--target", help="a folder to install into instead")
    parser.add_argument("--without", action="append", default=[], help="a package to leave out, with all that only it requires")
    parser.add_argument("--torch", choices=("locked", "cpu", "trimmed", "none"), default="locked", help="as locked (CUDA); "
                        "PyTorch's build for CPUs, from its own index; locked without what a CPU never opens; or none at all")
    asked = parser.parse_args(arguments)
    asked.extras = " ".join(asked.extras).split()  # EXTRA of a Dockerfile is one word
    return asked


def read_requirements(extras: list[str]) -> list[str]:
    """Read `name==version` of everything that setup.py names for the extras. It runs without setuptools, which may be missing."""
    said = {}
    before, sys.modules["setuptools"] = sys.modules.get("setuptools"), types.SimpleNamespace(setup=said.update)
    try:
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        del sys.modules["setuptools"]
        sys.modules |= {"setuptools": before} if before else {}
    unknown = [extra for extra in extras if extra not in said["extras_require"]]
    if unknown:
        sys.exit(f"extra {', '.join(unknown)}: expected one of {', '.join(said['extras_require'])}.")
    return sorted({*said["install_requires"], *(line for extra in extras for line in said["extras_require"][extra])})


def install(asked: argparse.Namespace, wanted: list[str], without: list[str], folder: Path) -> None:
    """Let the lock's uv install; it stays in `folder`, and not in the image (50 MB)."""
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(), re.M))
    if not asked.target:
        wanted = sorted({*wanted, *(f"{name}=={pins[name]}" for name in BUILD)})
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-cache-dir", "--target", folder / "uv", f"uv=={pins['uv']}"], check=True)
    (folder / "without").write_text("\n".join(without) + "\n")
    where = ["--target", asked.target] if asked.target else []
    backend = ["--torch-backend", "cpu"] if asked.torch == "cpu" else []
    command = [folder / "uv" / "bin" / "uv", "pip", "install", "--compile-bytecode", "--python", asked.python, *where, *backend,
               "--constraints", LOCK, "--excludes", folder / "without", *wanted]
    settings = pip_settings.for_uv(pip_settings.read(sys.executable), dict(os.environ))
    done = subprocess.run(command, env={**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"} | settings)
    if done.returncode:
        sys.exit(f"uv ended with code {done.returncode}, as said above. Expected the index to have every package of "
                 f"{', '.join(asked.extras)}. For another index hand pip's settings to the build: --secret id=pip,src=pip.conf "
                 "(docs/deploy.md).")


if __name__ == "__main__":
    main()
