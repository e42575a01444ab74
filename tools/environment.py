"""Make `.venv` from requirements.lock, or the lock from requirements.in. Run by `make setup` and `make lock`.

    python3.11 tools/environment.py make
    .venv/bin/python tools/environment.py lock

Needs Python 3.11 with pip. uv does the installing because it takes seconds where pip takes minutes; where uv cannot be
had, or cannot reach the indexes, pip does it.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pip_settings
import preflight
import spark_scripts

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "trueup-setup.stamp"


def make() -> None:
    """Bring .venv to what the lock says. Each step can be repeated, so an interrupted run just runs again."""
    began = time.monotonic()
    STAMP.unlink(missing_ok=True)
    make_venv()
    install_lock()
    # `compat` puts this folder on the path, so that a new package is found without another `make setup`. It warns that
    # it is old; setuptools is pinned.
    os.environ["PYTHONWARNINGS"] = "ignore"
    # What an earlier `pip wheel .` left here would be found first, and say what the sources were then.
    shutil.rmtree(ROOT / "trueup.egg-info", ignore_errors=True)
    pip("install", "--quiet", "--no-deps", "--no-build-isolation", "-C", "editable_mode=compat", "--editable", ".")
    compile_ours()
    spark_scripts.write(VENV)
    STAMP.write_text(preflight.fingerprint() + "\n")
    say(f"done in {time.monotonic() - began:.0f} s; next: make demo")


def make_venv() -> None:
    """A virtual environment of this Python. One that runs is kept; the remains of an interrupted run are replaced, and one that
    was made elsewhere and moved: its commands name where they were."""
    if preflight.version_of(str(PYTHON)) == preflight.WANTED and is_made_here() and has_pip():
        return
    say("making .venv")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)


def is_made_here() -> bool:
    config = VENV / "pyvenv.cfg"
    made = config.is_file() and re.search(r"^command = .* -m venv (?:--\S+ )*(.*)$", config.read_text(), re.M)
    return not made or made[1] == str(VENV)


def has_pip() -> bool:
    return subprocess.run([PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0


def find_uv() -> Path | None:
    """uv in .venv, of the version that the lock names; None when it cannot be had."""
    wanted = re.search(r"^uv==(\S+)", LOCK.read_text(), re.M)[1]
    uv = VENV / "bin" / "uv"
    if uv.exists() and f"uv {wanted}" in subprocess.run([uv, "--version"], capture_output=True, text=True).stdout:
        return uv
    say(f"fetching uv {wanted}")
    try:
        pip("install", "--quiet", f"uv=={wanted}")
    except subprocess.CalledProcessError:
        return None
    return uv


def install_lock() -> None:
    """Install what the lock names, with uv if possible."""
    uv = find_uv()
    if uv:
        say("installing the lock")
        # Compiled here once, importing torch costs half; and no first run pays for it.
        command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON, "--requirement", LOCK]
        if subprocess.run(command, cwd=ROOT, env=uv_environment()).returncode == 0:
            return
    say("uv did not do it; installing with pip, which takes several minutes")
    pip("install", "--requirement", str(LOCK))


def compile_ours() -> None:
    """Compile this folder's own packages: where Python is told not to write bytecode, each command would compile them anew."""
    packages = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    subprocess.run([PYTHON, "-m", "compileall", "-q", *packages], cwd=ROOT, check=True)


def uv_environment() -> dict[str, str]:
    """The environment for uv: the user's own, and pip's settings in uv's words."""
    environ = dict(os.environ)
    # A virtual environment that happens to be active is not the one meant; a Python is never to be fetched.
    environ.pop("VIRTUAL_ENV", None)
    environ["UV_PYTHON_DOWNLOADS"] = "never"
    return environ | pip_settings.for_uv(pip_settings.read(str(PYTHON)), environ)


def lock() -> None:
    """Resolve requirements.in for the supported platforms, and leave out what only others need."""
    arguments = ["--universal", "--python-version", "3.11", "--no-emit-index-url", "--no-header", "--no-annotate"]
    command = [VENV / "bin" / "uv", "pip", "compile", "--quiet", *arguments, "requirements.in"]
    resolved = subprocess.run(command, cwd=ROOT, env=uv_environment(), check=True, capture_output=True, text=True)
    LOCK.write_text("".join(line + "\n" for line in for_our_platforms(resolved.stdout)))
    say(f"{LOCK.name}: {len(LOCK.read_text().splitlines())} packages; `make setup` installs them")


def for_our_platforms(resolved: str) -> list[str]:
    """The lines for Python 3.11 on Linux and macOS, each with a marker only where our platforms differ."""
    lines = []
    for line in resolved.splitlines():
        pin, _, marker = (part.strip() for part in line.partition(";"))
        if "sys_platform == 'win32'" in marker or "os_name == 'nt'" in marker or "python_full_version >= '3.12'" in marker:
            continue
        only = re.search(r"sys_platform == '(linux|darwin)'", marker)
        if "platform_machine" in marker:
            lines.append(f"{pin} ; {marker}")
        else:
            lines.append(f"{pin} ; {only[0]}" if only else pin)
    return lines


def pip(*arguments: str) -> None:
    subprocess.run([PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments], cwd=ROOT, check=True)


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    try:
        {"make": make, "lock": lock}[sys.argv[1]]()
    except subprocess.CalledProcessError as error:
        sys.exit(f"setup: stopped, because this failed: {' '.join(map(str, error.cmd))}\nRun it again: it continues.")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; `make setup` continues")
