"""JSON documents as typed models: how a document is written, read and described.

A document tolerates fields it does not know (a newer writer may have added some) and refuses missing or wrong ones.
"""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from contract import clock, jsonio
from contract.errors import DamagedDocument, UsageError, shorten
from contract.stores.store import Storage


def _check_moment(text: str) -> str:
    try:
        clock.parse_moment(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text


Moment = Annotated[str, AfterValidator(_check_moment)]


class Document(BaseModel):
    """Base of all documents: frozen, canonical bytes, errors that name the object."""

    # A command reads few of the documents that it knows: pydantic makes the reader of each when it is wanted first.
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, by the names that stand in the file."""
        return self.model_dump(mode="json", by_alias=True)

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same content, the same bytes."""
        return jsonio.dumps(self.to_dict())

    @classmethod
    def parse(cls, value: Any, where: str) -> Self:
        """The typed document of a JSON value; DamagedDocument names the object and the field."""
        jsonio.check_schema(value, where)
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise mismatch(where, cls.__name__, error) from error

    @classmethod
    def load(cls, storage: Storage, key: str) -> Self:
        """Reads and checks the document under a key; NotFound when there is none, DamagedDocument when it is no whole one."""
        return cls.parse(jsonio.parse(storage.read(key), storage.uri(key)), storage.uri(key))


def mismatch(where: str, kind: str, error: ValidationError) -> DamagedDocument:
    """What is said of an object that is no document of its kind: where it lies, and its first wrong field."""
    first, article = error.errors()[0], "an" if kind[0] in "AEIOU" else "a"
    field = ".".join(map(str, first["loc"])) or "document"
    if field == "schema" and first["type"] == "literal_error":
        return DamagedDocument(f"{where}: expected {article} {kind} document; schema: {first['msg']}, got "
                               f"{shorten(first['input'])}: it was written by a newer release of Trueup. Update this one.")
    return DamagedDocument(f"{where}: expected {article} {kind} document; {field}: {first['msg']}.")
