"""How the driver and a stage on a cluster speak: documents under `runs/<model>/steps/<stage>-<digest>/<n>/`.

`request.json` says what to run and is created exclusively, so attempt n is asked for once; `cluster.json` names the one
cluster that belongs to it; `answer.json` is what the stage answered. EMR's own interface carries only the request's key:
a command line has no room for settings, and an exit code none for an answer.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from contract import jsonio, layout
from contract.documents.document import Document
from contract.errors import AlreadyExists, NotFound
from contract.sequence import NumberedDocuments
from contract.storage import read_json
from contract.stores.store import Storage, create_if_absent


class Request(Document):
    """`request.json`: a stage's module, its arguments, and the settings that its run fixed."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    stage: str
    module: str
    argv: list[str]
    settings: dict[str, Any]
    run: str | None = None
    engine: str = "spark"

    def digest(self) -> str:
        """Hashes what is asked: a retry of it finds the answer of the first."""
        return f"{self.stage}-{jsonio.digest(self.to_dict())[:16]}"


class Reply(Document):
    """`answer.json`: the stage's exit code and its JSON document (None: it crashed, and `said` is its last words)."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    code: int
    document: dict[str, Any] | None
    said: str = ""
    attempt: int = 1

    @property
    def final(self) -> bool:
        """Tells whether asking again would give the same: an error may be gone next time, an answer stays."""
        return self.document is not None and "error" not in self.document


@dataclass(frozen=True)
class Attempt:
    """One attempt at one request."""

    storage: Storage
    key: str  # of its request

    @property
    def n(self) -> int:
        """Returns its number, from 1."""
        return layout.step_of(self.key)[2]

    @property
    def name(self) -> str:
        """Returns the name of its cluster; the same for a driver that was started again."""
        return "trueup {} {} {}".format(*layout.step_of(self.key))

    def read_reply(self) -> Reply | None:
        """Reads the stage's answer; None while there is none."""
        try:
            return Reply.load(self.storage, self._step_key("answer"))
        except NotFound:
            return None

    def write_reply(self, reply: Reply) -> None:
        """Writes the answer; when a twin was first, its answer stands."""
        create_if_absent(self.storage, self._step_key("answer"), reply.model_copy(update={"attempt": self.n}).to_bytes())

    def read_cluster(self) -> str | None:
        """Reads the id of its cluster; None when none was recorded."""
        try:
            return read_json(self.storage, self._step_key("cluster"))["cluster"]
        except NotFound:
            return None

    def claim(self, cluster: str) -> str:
        """Records a cluster as the attempt's own; returns the one that is, which may be another driver's."""
        if create_if_absent(self.storage, self._step_key("cluster"), jsonio.dumps({"cluster": cluster})):
            return cluster
        return self.read_cluster() or cluster

    def _step_key(self, name: str) -> str:
        return layout.step_document(self.key, name)


def open_attempts(storage: Storage, model: str, request: Request) -> NumberedDocuments:
    """Opens all attempts at a request, in order."""
    return NumberedDocuments(storage, layout.step(model, request.digest()))


def find_newest(storage: Storage, model: str, request: Request) -> Attempt | None:
    """Finds the last attempt at a request, or None."""
    attempts = open_attempts(storage, model, request)
    newest = attempts.newest()
    return Attempt(storage, attempts.key(newest[0])) if newest else None


def add_attempt(storage: Storage, model: str, request: Request) -> Attempt:
    """Adds a new attempt; when another driver makes it at the same moment, both have that one."""
    attempts = open_attempts(storage, model, request)
    newest = attempts.newest()
    n = newest[0] if newest else 0
    try:
        attempts.append(request.to_dict(), after=n)
    except AlreadyExists:
        pass
    return Attempt(storage, attempts.key(n + 1))
