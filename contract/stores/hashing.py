"""The sha256 of an object, whatever its size; contract/stores/store.py says what else stores can do."""

import hashlib
from collections.abc import Iterator

from contract.errors import NotFound
from contract.stores.store import Storage

PIECE = 8 << 20  # bytes that are read at a time


def hash_object(storage: Storage, key: str) -> str:
    """The sha256 (hex) of an object's bytes; see `read_pieces`."""
    found = hashlib.sha256()
    for piece in read_pieces(storage, key):
        found.update(piece)
    return found.hexdigest()


def read_pieces(storage: Storage, key: str) -> Iterator[bytes]:
    """Yields the bytes of an object in pieces that fit into memory. NotFound: there is none; OSError as the store says it."""
    system, base = storage.arrow()
    try:
        with system.open_input_stream(f"{base}/{key}", compression=None) as stream:
            while piece := stream.read(PIECE):
                yield piece
    except FileNotFoundError:
        raise NotFound(f"{storage.uri(key)}: no such object.") from None
