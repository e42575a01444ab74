"""Results of a thread pool in the order of their items, computed a few items ahead of the consumer."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], limit: int) -> Iterator[Result]:
    """Yields function(item) for each of the `items`, in order, computing at most `limit` (1 or more) ahead.

    An error is raised where the result of its item would be yielded. Results stay in memory until they are yielded.
    """
    running: deque[Future[Result]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) == limit:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
