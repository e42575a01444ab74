"""Processes that a test starts together and ends together."""

from abc import ABC, abstractmethod
from typing import Self


class Daemons(ABC):
    """A context of processes: `_up` starts them, `__exit__` ends those that were started."""

    def __enter__(self) -> Self:
        try:
            self._up()
        except BaseException:  # also a time-out: nothing of ours stays behind
            self.__exit__()
            raise
        return self

    @abstractmethod
    def _up(self) -> None: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...
