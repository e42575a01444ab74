"""Lists of labels that are likely wrong, as `trueup labels suspects` writes them."""

from contract import layout
from contract.review.suspects import Suspect, Suspects
from contract.sequence import NumberedDocuments

SINCE = "2026-11-20T20:00:00.000000Z"


def make_suspect(sha256, given, score, day, prediction_id=None, split="train", likely="dog", **more):
    """A suspect that version 1 judged."""
    return Suspect(image_sha256=sha256, image_uri=layout.image(sha256, "png"), prediction_id=prediction_id, day=day, split=split,
                   given=given, likely=likely, score=score, judge="version 1", dataset="d1", since=SINCE, **more)


def put_suspects(storage, model, suspects, rows=90):
    """Writes the newest list of a model."""
    found = Suspects(model=model, dataset="d1", created_at=SINCE, near_bits=2, folds=5, rows=rows, judged=rows - 2,
                     not_judged={}, judges=[], suspects=list(suspects))
    NumberedDocuments(storage, layout.suspects(model)).add(found.to_dict())
