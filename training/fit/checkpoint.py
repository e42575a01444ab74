"""Checkpoints: tensors as safetensors, then a JSON document that makes them count. Nothing is pickled.

A folder belongs to one job (every document has its digest), and only the newest checkpoint is kept.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contract import jsonio
from contract.errors import Mismatch, NotFound
from contract.storage import read_json
from contract.stores.store import Storage

if TYPE_CHECKING:
    from torch import Tensor

FINAL = "final"


@dataclass
class Checkpoint:
    """The state of training: the next (epoch, step) to run, tensors by name, and facts for the document."""

    epoch: int
    step: int
    tensors: "dict[str, Tensor]" = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one job under one folder (a key that ends with '/')."""

    def __init__(self, storage: Storage, folder: str, job: str) -> None:
        self.storage, self.folder, self.job = storage, f"{folder}{job}/", job

    def save(self, checkpoint: Checkpoint, name: str | None = None) -> str:
        """Writes a checkpoint, removes the ones before it, and returns the sha256 of its tensors."""
        from safetensors.torch import save

        name = name or f"{checkpoint.epoch:05d}-{checkpoint.step:07d}"
        data = save({key: value.detach().contiguous().cpu() for key, value in sorted(checkpoint.tensors.items())})
        digest = hashlib.sha256(data).hexdigest()
        self.storage.put(f"{self.folder}{name}.safetensors", data)
        document = {"job": self.job, "epoch": checkpoint.epoch, "step": checkpoint.step, "sha256": digest,
                    "facts": checkpoint.facts}
        self.storage.put(f"{self.folder}{name}.json", jsonio.dumps(document))
        for other in self._names():
            if other < name:
                self._remove(other)
        return digest

    def load_newest(self) -> Checkpoint | None:
        """Loads the newest complete checkpoint; None when there is none. Mismatch: its tensors are not those of its document."""
        names = self._names()
        return self.load(names[-1]) if names else None

    def load(self, name: str) -> Checkpoint:
        """Loads a checkpoint by name, tensors on the CPU. Mismatch: its tensors are not those of its document."""
        from safetensors.torch import load

        document = read_json(self.storage, f"{self.folder}{name}.json")
        data = self.storage.read(f"{self.folder}{name}.safetensors")
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise Mismatch(f"{self.storage.uri(self.folder)}{name}: expected tensors of sha256 {document['sha256']}, got "
                           f"others. Remove this checkpoint; training then resumes from the one before, or anew.")
        return Checkpoint(document["epoch"], document["step"], load(data), document["facts"])

    def read_final(self) -> tuple[bytes, dict[str, Any]] | None:
        """Returns the finished weights (safetensors) and their facts; None unless training ended well: nothing else says so."""
        try:
            document = read_json(self.storage, f"{self.folder}{FINAL}.json")
        except NotFound:
            return None
        data = self.storage.read(f"{self.folder}{FINAL}.safetensors")
        if hashlib.sha256(data).hexdigest() != document["sha256"]:
            raise Mismatch(f"{self.storage.uri(self.folder)}{FINAL}: the weights are not those of their document. "
                           f"Remove both and train again.")
        return data, document["facts"] | {"sha256": document["sha256"]}

    def clear(self) -> None:
        """Removes all checkpoints: documents first, so that no document names tensors that are gone."""
        keys = [entry.key for entry in self.storage.list(self.folder)]
        for key in sorted(keys, key=lambda k: (not k.endswith(".json"), k)):
            self.storage.delete(key)

    def _names(self) -> list[str]:
        files = (entry.key[len(self.folder):] for entry in self.storage.list(self.folder))
        return sorted(name.removesuffix(".json") for name in files if name.endswith(".json"))

    def _remove(self, name: str) -> None:
        self.storage.delete(f"{self.folder}{name}.json")
        self.storage.delete(f"{self.folder}{name}.safetensors")
