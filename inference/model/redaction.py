"""Pictures are redacted before anything is made of them: hashed, kept, classified (docs/redaction.md).

A hook of the user's own, `serve.redact`, gets the pixels and returns what may be seen. What it returns is written as a PNG
without metadata, and only that goes on: the network sees the redacted pixels, too, so that what is answered can be told
from what is kept. It fails closed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from contract.errors import RedactionFailed, UsageError
from inference.model import preprocess
from inference.model.own_code import describe_error, describe_value, hash_source, import_function
from inference.model.trial_picture import make_trial_picture

# zlib's fastest: a photo's pixels gain little more, and cost seconds.
COMPRESSION = 1
EXTENSION = "png"


class Redactor:
    """A hook that was loaded; `name` says in each row which it was: `package.module:function@` and 12 digits of its source."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = f"{name}@{hash_source(name, function)}"
        self._function = function

    def redact(self, data: bytes) -> bytes:
        """Returns a PNG of the redacted pixels, upright RGB. BadImage: no picture; RedactionFailed: the hook's fault."""
        import numpy as np
        from PIL import Image

        pixels = np.array(preprocess.decode(data))
        shape = pixels.shape
        try:
            redacted = self._function(pixels)
        except BaseException as error:  # whatever code from outside raises, the picture does not go on
            raise RedactionFailed(f"{self.name} raised {describe_error(error)}") from None
        # Exactly an array: a masked one would be written without its mask.
        if type(redacted) is not np.ndarray or redacted.dtype != np.uint8 or redacted.shape != shape:
            raise RedactionFailed(f"{self.name}: expected a numpy array of uint8 {list(shape)}, got {describe_value(redacted)}")
        out = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(redacted)).save(out, "PNG", compress_level=COMPRESSION)
        return out.getvalue()


def load(name: str) -> Redactor:
    """Imports a hook and tries it with a made-up picture. UsageError: not listed, not importable, or it fails."""
    redactor = Redactor(name, import_function(name, "serve.redact"))
    try:
        redactor.redact(make_trial_picture())
    except RedactionFailed as error:
        raise UsageError(f"serve.redact: {error}, of a made-up picture. It takes uint8 RGB [height, width, 3] and returns the "
                         f"same.") from None
    return redactor
