"""JSON documents as typed models: how a document is written, read and described.

A document tolerates fields it does not know (a newer writer may have added some) and refuses missing or wrong ones.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from contract import jsonio
from contract.errors import Mismatch
from contract.stores.store import Storage


class Document(BaseModel):
    """Base of all documents: frozen, canonical bytes, errors that name the object."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, by the names that stand in the file."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same content, the same bytes."""
        return jsonio.dumps(self.to_dict())

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        """The typed document of a JSON value; Mismatch names the object and the field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise mismatch(where, cls.__name__, error) from error

    @classmethod
    def load(cls, storage: Storage, key: str) -> Self:
        """Reads and checks the document under a key; NotFound when there is none."""
        return cls.parse(jsonio.loads(storage.read(key)), storage.uri(key))


def mismatch(where: str, kind: str, error: ValidationError) -> Mismatch:
    """What is said of an object that is no document of its kind: where it lies, and its first wrong field."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "document"
    return Mismatch(f"{where}: expected a {kind} document; {field}: {first['msg']}.")
