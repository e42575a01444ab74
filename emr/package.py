"""What clusters unpack: an archive of Python packages with our wheel in it, for EMR 7's Python 3.11 on x86_64.

    trueup emr deploy        builds what is missing and uploads it once

An archive is named by its content: `packages/count-<sha256>.tar.gz`. `packages/<environment>-of-<source>.json` says which
one belongs to a source tree, so the same tree is packed and uploaded once, by whoever comes first. The same wheels give the same
bytes: names sorted, no times, no owners, nothing that names the machine.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from contract import jsonio, layout
from contract.errors import NotFound, RootError, TrueupError, UsageError
from contract.storage import read_json
from contract.stores.store import Storage, create_if_absent
from emr.cluster import Package
from emr.requirements import list_requirements

HERE = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_name("bootstrap.sh")
# What a wheel is made from; a change in anything else makes no new package.
SOURCES = ("setup.py", "pyproject.toml", "requirements.lock")
NOT_PACKED = ("__pycache__", ".ipynb_checkpoints")
# AL2023 has glibc 2.34, and pip takes only tags that are named. Wheels for it are looked for on any machine.
PLATFORMS = (*(f"manylinux_2_{n}_x86_64" for n in range(34, 4, -1)), "manylinux2014_x86_64", "manylinux2010_x86_64",
             "manylinux1_x86_64")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can say
# A day later, so that it is not earlier in any time zone: mrjob and Spark zip what is unpacked.
UNPACKED = 315_619_200


class PackageError(TrueupError):
    """A package could not be built, or was not found where a cluster needs it."""


def find_package(storage: Storage, environment: str, source: Path = HERE) -> Package:
    """Finds the package of this source tree as clusters reach it; PackageError when nobody uploaded it."""
    key = layout.package(f"{environment}-of-{compute_fingerprint(source)}.json")
    try:
        document = read_json(storage, key)
    except NotFound:
        raise PackageError(f"{storage.uri(key)}: expected the {environment} package of this version of Trueup, found none. "
                           f"Build and upload it: trueup emr deploy.") from None
    return Package(storage.uri(document["archive"]), document["sha256"], storage.uri(document["bootstrap"]))


def publish_package(storage: Storage, environment: str, source: Path = HERE,
                    say: Callable[[str], None] = lambda line: None) -> Package:
    """Builds and uploads the package unless it is there."""
    try:
        return find_package(storage, environment, source)
    except PackageError:
        say(f"building the {environment} package")
    with tempfile.TemporaryDirectory(prefix="trueup-package-") as folder:
        archive = build(environment, source, Path(folder))
        sha256 = _hash_file(archive)
        key = layout.package(f"{environment}-{sha256}.tar.gz")
        if not storage.exists(key):
            say(f"uploading {archive.stat().st_size / 2**20:.0f} MiB to {storage.uri(key)}")
            storage.put_file(key, archive)
    script = SCRIPT.read_bytes()
    bootstrap = layout.package(f"bootstrap-{hashlib.sha256(script).hexdigest()}.sh")
    create_if_absent(storage, bootstrap, script)
    document = {"schema": "1", "archive": key, "sha256": sha256, "bootstrap": bootstrap}
    named = layout.package(f"{environment}-of-{compute_fingerprint(source)}.json")
    create_if_absent(storage, named, jsonio.dumps(document))
    return find_package(storage, environment, source)


def require_buildable(storage: Storage, environment: str, source: Path = HERE) -> None:
    """Raises UsageError where the package is not there and cannot be built here, which `publish_package` would say too late.

    Builds nothing, writes nothing. A root that is not there yet holds no packages.
    """
    try:
        find_package(storage, environment, source)
    except (PackageError, RootError):
        try:
            list_requirements(environment, source)
        except UsageError as error:
            raise UsageError(f"the {environment} package cannot be built here: {error} Nothing was made. Run the same command on "
                             f"Linux x86-64, or --no-packages here and the same command without it there.") from error


def compute_fingerprint(source: Path = HERE) -> str:
    """Hashes the files that packages are made from, to 16 hex digits; UsageError where there is no checkout."""
    if not (source / "setup.py").is_file():
        raise UsageError(f"{source}: expected a checkout of Trueup (setup.py), from which packages are built. Run this from "
                         f"the checkout, or in the container of the Dockerfile.")
    digest = hashlib.sha256()
    for path in _walk_sources(source):
        digest.update(f"{path.relative_to(source).as_posix()}\0{_hash_file(path)}\n".encode())
    return digest.hexdigest()[:16]


def list_folders(source: Path = HERE) -> list[str]:
    """Lists the folders that setup.py ships."""
    return sorted(path.parent.name for path in source.glob("*/__init__.py")
                  if path.parent.name not in ("tests", "benchmarks", "notebooks", "tools"))


def _walk_sources(source: Path) -> Iterator[Path]:
    yield from (source / name for name in SOURCES)
    for folder in list_folders(source):
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and not path.name.startswith(".") and not set(path.parts) & set(NOT_PACKED):
                yield path


def build(environment: str, source: Path, folder: Path) -> Path:
    """Builds the environment's archive in `folder`: what its stages import, except Spark, which the cluster has."""
    target = folder / environment
    install(environment, source, "--no-compile", "--target", str(target))
    _run_pip("install", "--no-deps", "--no-compile", "--target", str(target), str(build_wheel(source, folder)))
    return write_archive(clean(target), folder / f"{environment}.tar.gz")


def install(environment: str, source: Path, *options: str) -> None:
    """Installs by pip what the environment requires, as wheels for a node; PackageError names one that there is not."""
    pins = [f"{name}=={version}" for name, version in list_requirements(environment, source)]
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    _run_pip("install", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp", *platforms,
         *options, *pins)


def build_wheel(source: Path, folder: Path) -> Path:
    """Builds our wheel from a copy of the sources (a checkout's `build/` may hold old files), repacked in order."""
    copy = folder / "source"
    for path in _walk_sources(source):
        there = copy / path.relative_to(source)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, there)
    _run_pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy))
    (built,) = folder.glob("trueup-*.whl")
    built.write_bytes(repack(built.read_bytes()))
    return built


def repack(data: bytes) -> bytes:
    """Writes a zip file anew with the same content, sorted, without times, and with one mode for all files."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(n for n in old.namelist() if not n.endswith("/")):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return out.getvalue()


def clean(target: Path) -> Path:
    """Removes what names this machine or its user: scripts (their first line is our Python), where a wheel came from."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for name in ("RECORD", "direct_url.json", "INSTALLER", "REQUESTED"):
        for path in target.glob(f"*.dist-info/{name}"):
            path.unlink()
    for path in list(target.rglob("__pycache__")):
        shutil.rmtree(path)
    return target


def write_archive(folder: Path, path: Path) -> Path:
    """Writes a folder as tar.gz: sorted names, one time, no owners, two modes; the same content, the same bytes."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
            if file.is_file():
                entry = tarfile.TarInfo(file.relative_to(folder).as_posix())
                entry.size, entry.mtime = file.stat().st_size, UNPACKED
                entry.mode = 0o755 if os.access(file, os.X_OK) else 0o644
                with open(file, "rb") as content:
                    tar.addfile(entry, content)
    return path


def _run_pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env=os.environ | {"SOURCE_DATE_EPOCH": "315532800", "PYTHONWARNINGS": "ignore"})
    if done.returncode:
        raise PackageError(f"pip {arguments[0]} ended with code {done.returncode}: {done.stderr.strip()[-1500:]}")


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
