"""Check this machine before anything is fetched, then make the environment: `make setup`.

Runs on any Python 3.6 or later, with the standard library only, because its first task is to say which Python is
needed. It takes well under two seconds.
"""

import csv
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WANTED = (3, 11)
# Where the lock's packages have wheels; elsewhere pip would try to compile Arrow and PyTorch.
SUPPORTED = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")}
SOURCES = ("requirements.lock", "setup.py", "tools/environment.py", "tools/spark_scripts.py")


def fingerprint():
    """Hash everything that decides what is in .venv; the stamp holds it once all of it is there.

    Where this folder lies, too: the commands in .venv/bin name it, so that none works once the folder was moved.
    """
    digest = hashlib.sha256(ROOT.encode())
    for name in SOURCES:
        with open(os.path.join(ROOT, name), "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def up_to_date():
    """Say whether the last set-up ended, and was made from these very files."""
    try:
        with open(os.path.join(ROOT, ".venv", "trueup-setup.stamp")) as stamp:
            return stamp.read().strip() == fingerprint()
    except OSError:
        return False


def version_of(python):
    """Return (major, minor) of an interpreter, or None when it does not run (a pyenv shim without its version, say)."""
    try:
        said = subprocess.check_output(
            [python, "-c", "import sys; print(*sys.version_info[:2])"], stderr=subprocess.DEVNULL, timeout=10
        )
        major, minor = said.split()
        return int(major), int(minor)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def find_python():
    """Find the path of a Python 3.11, and the list of what was found instead."""
    found = []
    candidates = [sys.executable] + [shutil.which(name) for name in ("python3.11", "python3", "python")]
    for python in candidates:
        if not python or any(python == seen for seen, _ in found):
            continue
        version = version_of(python)
        found.append((python, version))
        if version == WANTED:
            return python, found
    return None, found


def python_problem(found):
    """Write what to tell somebody who has no Python 3.11."""
    lines = ["Trueup needs Python 3.11 (Spark 3.5 does not run on later ones). Found:"]
    for python, version in found:
        lines.append("  {}  {}".format(python, "is %d.%d" % version if version else "does not run"))
    lines.append("To get it: `apt-get install python3.11 python3.11-venv` (Debian 12; Ubuntu from deadsnakes),")
    lines.append("`dnf install python3.11`, `brew install python@3.11`, `pyenv install 3.11`, or from uv.")
    lines.append("Then `make setup` again: it looks for `python3.11` on the PATH.")
    return "\n".join(lines)


def uv_cache():
    """The folder in which uv keeps what it fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("UV_CACHE_DIR") or os.path.join(cache, "uv")


def pins():
    """Name and version of every package in the lock, as uv names its folders: `name-version`, in small letters with hyphens."""
    with open(os.path.join(ROOT, "requirements.lock")) as lock:
        found = re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock.read(), re.M)
    return {plain("-".join(pair)) for pair in found}


def plain(name):
    """One way to write what wheels, folders and the lock write in several."""
    return re.sub(r"[-_.]+", "-", name).lower()


def held(cache):
    """`name-version` -> bytes, of the packages that lie unpacked in uv's cache; no such folder: none."""
    found = {}
    for record in glob.glob(os.path.join(glob.escape(cache), "archive-v*", "*", "*.dist-info", "RECORD")):
        with open(record, encoding="utf-8", newline="") as rows:
            size = sum(int(row[2]) for row in csv.reader(rows) if len(row) > 2 and row[2].isdigit())
        found[plain(os.path.basename(os.path.dirname(record))[: -len(".dist-info")])] = size
    return found


def less_what_is_held(size, wanted, cache):
    """What is left to fetch and to take: uv links the packages of its cache instead of copying them, on one file system."""
    there = held(cache)
    if not there or os.stat(cache).st_dev != os.stat(ROOT).st_dev or os.environ.get("UV_LINK_MODE", "hardlink") == "copy":
        return size
    left = size["installed_bytes"] - sum(there[name] for name in wanted if name in there)
    return dict(size, installed_bytes=left, download_bytes=size["download_bytes"] * left // size["installed_bytes"])


def problems(python, found, size):
    """Yield everything that would make the set-up fail, all of it at once."""
    if python is None:
        yield python_problem(found)
    elif subprocess.call([python, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL):
        yield "{} cannot make virtual environments (no ensurepip): `apt-get install python3.11-venv`.".format(python)
    machine = (platform.system(), platform.machine())
    if machine not in SUPPORTED:
        wanted = ", ".join("%s %s" % pair for pair in sorted(SUPPORTED))
        yield "The locked packages have wheels for {}; this is {} {}. A container of one of these works.".format(
            wanted, machine[0], machine[1]
        )
    free = shutil.disk_usage(ROOT).free
    needed = size["installed_bytes"] + size["download_bytes"]
    if free < needed:
        yield "{:.1f} GB are free at {}; the environment and the download cache take {:.1f} GB.".format(
            free / 1e9, ROOT, needed / 1e9
        )


def main():
    """Say what would go wrong and stop, or hand over to environment.py under the Python that was found."""
    if up_to_date():
        print("setup: .venv is up to date")
        return
    with open(os.path.join(HERE, "footprint.json")) as footprint:
        size = less_what_is_held(json.load(footprint), pins(), uv_cache())
    python, found = find_python()
    trouble = list(problems(python, found, size))
    for line in trouble:
        sys.stderr.write("setup: " + line + "\n")
    if trouble:
        sys.exit(1)
    print("setup: Python 3.11 at {}; {:.0f} GB free".format(python, shutil.disk_usage(ROOT).free / 1e9))
    print(
        "setup: fetches up to {:.1f} GB, less what pip's cache holds, and takes {:.1f} GB for .venv ({})".format(
            size["download_bytes"] / 1e9, size["installed_bytes"] / 1e9, size["measured"]
        )
    )
    if (platform.system(), platform.machine()) == ("Linux", "aarch64"):
        print("setup: no packaged Java for this platform; Spark will need one: `apt-get install openjdk-17-jre`")
    sys.stdout.flush()
    os.execv(python, [python, os.path.join(HERE, "environment.py"), "make"])


if __name__ == "__main__":
    main()
