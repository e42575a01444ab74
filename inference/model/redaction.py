"""Pictures are redacted before anything is made of them: hashed, kept, classified (docs/redaction.md).

A hook of the user's own, `serve.redact`, gets the pixels and returns what may be seen. What it returns is written as a PNG
without metadata, and only that goes on: the network sees the redacted pixels, too, so that what is answered can be told
from what is kept. It fails closed: where the hook fails, the picture is neither classified nor kept. Grey of 16 bits it gets as
it is where it says that it takes it (`serve.redact_grey16`), else as 8 bits of RGB.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from contract.errors import RedactionFailed, UsageError
from inference.model import grey16, preprocess
from inference.model.own_code import describe_error, describe_value, hash_source, import_function
from inference.model.trial_picture import make_trial_picture, make_wide_trial_picture

if TYPE_CHECKING:
    from numpy import ndarray

# zlib's fastest: a photo's pixels gain little more, and cost seconds.
COMPRESSION = 1
EXTENSION = "png"
KEEPS_GREY16 = "+grey16"


class Redactor:
    """A hook that was loaded. `name` says in each row which it was: `package.module:function@` and 12 digits of its source, and
    `+grey16` behind them where it keeps the 16 bits of a picture that has them."""

    def __init__(self, name: str, function: Callable[..., Any], grey16: bool = False) -> None:
        """`grey16`: whether it takes grey of 16 bits, uint16 [height, width], too."""
        self.name = f"{name}@{hash_source(name, function)}{KEEPS_GREY16 if grey16 else ''}"
        self._function, self._grey16 = function, grey16

    def redact(self, data: bytes) -> bytes:
        """Returns a PNG of the redacted pixels, upright: RGB, or grey of 16 bits.

        BadImage: no picture; RedactionFailed: the hook's fault.
        """
        import numpy as np
        from PIL import Image

        if self._grey16 and (values := preprocess.decode_wide(data)) is not None:
            return grey16.write_png(self._ask(values.astype(np.uint16)), COMPRESSION)
        out = io.BytesIO()
        redacted = self._ask(np.array(preprocess.decode(data)))
        Image.fromarray(np.ascontiguousarray(redacted)).save(out, "PNG", compress_level=COMPRESSION)
        return out.getvalue()

    def _ask(self, pixels: ndarray) -> ndarray:
        """Returns what the hook makes of pixels: an array of the same type and shape. RedactionFailed."""
        import numpy as np

        kind, shape = pixels.dtype, pixels.shape
        try:
            redacted = self._function(pixels)
        except BaseException as error:  # whatever code from outside raises, the picture does not go on
            raise RedactionFailed(f"{self.name} raised {describe_error(error)}") from None
        # Exactly an array: a masked one would be written without its mask.
        if type(redacted) is not np.ndarray or redacted.dtype != kind or redacted.shape != shape:
            raise RedactionFailed(f"{self.name}: expected a numpy array of {kind} {list(shape)}, got {describe_value(redacted)}")
        return redacted


def load(name: str, takes_grey16: bool = False) -> Redactor:
    """Imports a hook and tries it with made-up pictures. UsageError: not listed, not importable, or it fails."""
    redactor = Redactor(name, import_function(name, "serve.redact"), takes_grey16)
    wide = " With serve.redact_grey16 it takes uint16 [height, width], too." if takes_grey16 else ""
    try:
        for picture in (make_trial_picture(), *([make_wide_trial_picture()] if takes_grey16 else [])):
            redactor.redact(picture)
    except RedactionFailed as error:
        raise UsageError(f"serve.redact: {error}, of a made-up picture. It takes uint8 RGB [height, width, 3] and returns the "
                         f"same.{wide}") from None
    return redactor
