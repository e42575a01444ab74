"""A file system for Petastorm on S3: the few methods of pyarrow's legacy interface that it calls, on our own storage.

    make_reader("file:///bucket/prefix/datasets/…/train", filesystem=filesystem(describe(open_root("s3://bucket/prefix"))))

Petastorm's own (s3fs, which it asks for by the scheme s3) does not work with the pyarrow that it needs. Our own reading and
writing of data files does not go through here: they are whole objects.
"""

import io
from typing import Any

from jvm import task_store
from jvm.task_store import Where


def make_filesystem(at: Where) -> Any:
    """The file system of a store (`jvm.task_store.describe`), for paths `/bucket/prefix/key`; can be made again in every
    Spark task."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyarrow.filesystem import FileSystem

        storage = task_store.open_there(at)
        base = f"/{storage.arrow()[1]}/"

        class Stored(FileSystem):
            """Keys as files; a prefix is a folder when something lies under it."""

            def key(self, path: str) -> str:
                return f"{path}/".removeprefix(base).strip("/")

            def isfile(self, path: str) -> bool:
                return storage.exists(self.key(path))

            def isdir(self, path: str) -> bool:
                return not self.isfile(path) and any(storage.list(self.key(path) + "/"))

            def exists(self, path: str) -> bool:
                return self.isfile(path) or self.isdir(path)

            def _isfilestore(self) -> bool:
                return True

            def ls(self, path: str) -> list[str]:
                return [base + e.key for e in storage.list(self.key(path) + "/")]

            def walk(self, path: str) -> Any:
                prefix = self.key(path) + "/"
                names = [e.key[len(prefix):] for e in storage.list(prefix)]
                yield base + prefix.rstrip("/"), [], [name for name in names if "/" not in name]

            def open(self, path: str, mode: str = "rb") -> Any:
                return Writing(storage, self.key(path)) if "w" in mode else io.BytesIO(storage.read(self.key(path)))

        return Stored()


class Writing(io.BytesIO):
    """A file in memory, which is stored as an object when it is closed."""

    def __init__(self, storage: Any, key: str) -> None:
        super().__init__()
        self.storage, self.key = storage, key

    def close(self) -> None:
        if not self.closed:
            self.storage.put(self.key, self.getvalue())
        super().close()
