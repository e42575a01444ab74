"""Which predictions were made of a picture that another system names by an address.

Tried in this order: the stored image (its content's hash in the address), the address as the caller gave it to the service
(`source_uri`), and ids that are the address, the end of its path, or the file's name. A name that two pictures of the file
share is ambiguous.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from urllib.parse import parse_qs, unquote, urlsplit

from contract import ids, layout
from contract.days import prediction_days
from contract.rows.reading import rows_where
from contract.stores.store import Storage
from jobs.imports.found import Asked
from jobs.imports.placing.predicted import find_predictions

STORED = re.compile(rf"(?:^|/)({ids.SHA256})\.\w+$")
UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio writes before the name of an uploaded file


class Pictures:
    """The predictions of the root for the pictures of one file."""

    def __init__(self, storage: Storage, uris: Iterable[str], asked: Asked) -> None:
        """`uris`: every picture of the file. ForeignSchema: a file of the root that cannot be read."""
        named = set(uris) - {""}
        self.asked = asked
        self.by_image = _find(storage, "image_sha256", {sha for uri in named if (sha := _sha256(uri))})
        self.by_source = _find(storage, "source_uri", named)
        forms = {uri: list_forms(uri) for uri in named if not self._sure(uri)}
        every = {form for of_one in forms.values() for form in of_one}
        there = find_predictions(storage, every, per_version=asked.per_version)
        self.by_name = {uri: next((form for form in of_one if form in there), None) for uri, of_one in forms.items()}
        self.claimed: dict[str, set[str]] = defaultdict(set)
        for uri, name in self.by_name.items():
            if name:
                self.claimed[name].add(uri)

    def find(self, uri: str) -> list[str]:
        """The ids of the picture's predictions. ValueError: none, or another picture of the file has the same name."""
        if not uri:
            raise ValueError("expected the address of a picture, got none")
        sure = self._sure(uri)
        if sure:
            return sorted(self._of_one_model(sure))
        name = self.by_name.get(uri)
        if not name:
            raise NoPrediction(f"no prediction of {uri!r} in the root: neither of the stored image nor with that source_uri, "
                               f"nor with an id like {list_forms(uri)[-1]!r}")
        if len(self.claimed[name]) > 1:
            others = ", ".join(repr(u) for u in sorted(self.claimed[name]))
            raise ValueError(f"the id {name!r} in the root could be of each of {others}. Give these pictures names of their own")
        return [name]

    def _sure(self, uri: str) -> dict[str, set[str]]:
        return self.by_image.get(_sha256(uri) or "") or self.by_source.get(uri) or {}

    def _of_one_model(self, models: dict[str, set[str]]) -> list[str]:
        """The ids of one model among those of a picture, which two models may have judged."""
        there = sorted({model for of in models.values() for model in of})
        model = self.asked.model or (self.asked.prefer if self.asked.prefer in there else None)
        if model is None and len(there) > 1:
            raise ValueError(f"the root's predictions of this picture are of the models {', '.join(map(repr, there))}: say by "
                             f"`--model` which one the labels are of")
        if model is not None and model not in there:
            raise ValueError(f"the root's predictions of this picture are of {', '.join(map(repr, there))}, not of {model!r}")
        return [i for i, of in models.items() if model is None or model in of]


class NoPrediction(ValueError):
    """The root has no prediction of a picture."""


def list_forms(uri: str) -> list[str]:
    """The ids that may stand for a picture, longest first: its address, the ends of its path, its file's name.

    >>> list_forms("s3://bucket/cats/img%201.jpg?v=2")[-2:]
    ['cats/img 1.jpg', 'img 1.jpg']
    """
    try:
        parts = urlsplit(uri) if "://" in uri or uri.startswith("/data/") else None
    except ValueError:  # no address after all
        parts = None
    path = uri if parts is None else next(iter(parse_qs(parts.query).get("d", ())), unquote(parts.path))
    forms = [uri, path]
    names = [name for name in path.split("/") if name]
    forms += ["/".join(names[start:]) for start in range(len(names))]
    if names and parts is not None and "/upload/" in path:
        forms.append(UPLOADED.sub("", names[-1]))
    return list(dict.fromkeys(form for form in forms if form))


def _sha256(uri: str) -> str | None:
    found = STORED.search(uri)
    return found[1] if found else None


def _find(storage: Storage, column: str, wanted: Collection[str]) -> dict[str, dict[str, set[str]]]:
    """Maps each of these values of a column to the ids of the predictions that have it, and these to their models."""
    found: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for day in prediction_days(storage) if wanted else ():
        columns = ("prediction_id", "model", column)
        for _, row in rows_where(storage, layout.PREDICTIONS, day, column, wanted, columns, unreadable=None):
            if row["prediction_id"]:
                found[str(row[column])].setdefault(str(row["prediction_id"]), set()).add(str(row["model"]))
    return found
