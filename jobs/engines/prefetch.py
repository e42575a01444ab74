"""Work done in threads a few items ahead of who takes it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any


def ahead(pool: Executor, work: Callable[[Any], Any], items: Iterable[Any], most: int) -> Iterator[Any]:
    """What `work` makes of each item, in order; at most `most` are begun and not taken, for they wait in memory."""
    begun: deque[Future] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) == most:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
