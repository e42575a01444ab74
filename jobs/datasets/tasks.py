"""Where the tasks of a dataset run: on Spark, or, where there is little to do, in threads of this process.

Starting Java takes 6 seconds of processor time, in which a process looks at thousands of pictures. The tasks are the same
here and there, and the work is divided here, too: into two parts at least, each in a thread of its own.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from types import SimpleNamespace
from typing import Any, Protocol

from contract.settings import is_submitted
from jvm import session

MOST_HERE = 5000  # label rows and pictures, together, of a dataset that is made without Spark
Part = Callable[[], Iterable[Any]]


class Tasks(Protocol):
    """The methods of a SparkContext that are used."""

    @property
    def defaultParallelism(self) -> int:  # noqa: N802  (Spark's name)
        """How many tasks run at once."""

    def parallelize(self, c: Iterable[Any], numSlices: int | None = None) -> Any:  # noqa: N803
        """Returns rows, divided into `numSlices` parts."""

    def broadcast(self, value: Any) -> Any:
        """Returns a handle whose `value` every task reads."""


class Session(Protocol):
    """The attribute of a SparkSession that is used."""

    @property
    def sparkContext(self) -> Any:  # noqa: N802
        """What runs tasks, with the methods of Tasks."""


def choose_session(conf: Mapping[str, str], rows: int) -> Session:
    """Returns Spark's session, or a LocalSession for at most MOST_HERE `rows`.

    A Spark that runs already, that spark-submit started, or that has settings of its own (`conf`) is used in any case.
    """
    if conf or rows > MOST_HERE or is_submitted() or session.is_running():
        return session.get_session(conf)
    return LocalSession()


class LocalSession:
    """A session whose `sparkContext` runs tasks in this process."""

    def __init__(self) -> None:
        self.sparkContext = LocalTasks()  # noqa: N815


class LocalTasks:
    """Tasks in threads. `_jsc` takes what Petastorm sets for Spark's own writer of Parquet, which is not used."""

    def __init__(self) -> None:
        self.defaultParallelism = max(2, len(os.sched_getaffinity(0)))  # noqa: N815
        hadoop = _Settings()
        self._jsc = SimpleNamespace(hadoopConfiguration=lambda: hadoop)

    def parallelize(self, c: Iterable[Any], numSlices: int | None = None) -> "LocalRows":  # noqa: N803
        """Returns the rows in `numSlices` parts, in order."""
        rows, count = list(c), numSlices or self.defaultParallelism
        bounds = [len(rows) * n // count for n in range(count + 1)]
        return LocalRows([lambda part=rows[low:high]: part  # type: ignore[misc]
                          for low, high in zip(bounds, bounds[1:], strict=False)], self.defaultParallelism)

    def broadcast(self, value: Any) -> SimpleNamespace:
        """Returns a handle on the value itself."""
        return SimpleNamespace(value=value, destroy=lambda: None)


class _Settings(dict[str, Any]):
    """Hadoop's Configuration: of its methods, those that Petastorm calls."""

    def set(self, name: str, value: Any) -> None:
        self[name] = value

    setBoolean = setInt = set  # noqa: N815

    def unset(self, name: str) -> None:
        self.pop(name, None)


class LocalRows:
    """Rows in parts, as Spark's RDD has them: what is asked of each row or part is done when they are collected."""

    def __init__(self, parts: Sequence[Part], threads: int) -> None:
        self._parts, self._threads = parts, threads

    def mapPartitions(self, f: Callable[[Iterator[Any]], Iterable[Any]]) -> "LocalRows":  # noqa: N802
        """Returns what `f` makes of each part."""
        return LocalRows([lambda part=part: f(iter(part())) for part in self._parts], self._threads)  # type: ignore[misc]

    def map(self, f: Callable[[Any], Any]) -> "LocalRows":
        """Returns what `f` makes of each row."""
        return self.mapPartitions(lambda rows: map(f, rows))

    def flatMap(self, f: Callable[[Any], Iterable[Any]]) -> "LocalRows":  # noqa: N802
        """Returns all that `f` makes of each row."""
        return self.mapPartitions(lambda rows: chain.from_iterable(map(f, rows)))

    def keys(self) -> "LocalRows":
        """Returns the first of each pair."""
        return self.map(lambda pair: pair[0])

    def cache(self) -> "LocalRows":
        """Returns the rows as they are now, so that nothing is done twice."""
        return LocalRows([lambda part=part: part for part in self._run()], self._threads)  # type: ignore[misc]

    def unpersist(self) -> None:
        """Does nothing: the rows are freed with their last reference."""

    def cogroup(self, other: "LocalRows", numPartitions: int | None = None) -> "LocalRows":  # noqa: N803
        """Returns (key, (values here, values of `other`)) for each key of pairs in either."""
        found: dict[Any, tuple[list[Any], list[Any]]] = {}
        for side, rows in enumerate((self, other)):
            for key, value in rows.collect():
                found.setdefault(key, ([], []))[side].append(value)
        count = numPartitions or self._threads
        pairs = list(found.items())
        return LocalRows([lambda n=n: pairs[n::count] for n in range(count)], self._threads)  # type: ignore[misc]

    def collect(self) -> list[Any]:
        """Returns all rows, in the order of the parts. An error of a task is raised as it is."""
        return list(chain.from_iterable(self._run()))

    def _run(self) -> list[list[Any]]:
        with ThreadPoolExecutor(self._threads, "dataset") as pool:
            return list(pool.map(lambda part: list(part()), self._parts))
