"""`pictures:`, formats that Trueup does not know: a decoder of the user's own makes pixels of them (docs/decoders.md).

Which one is the machine's own choice, as `allow_modules` is. It reaches the functions that take pictures in, and the processes
that this one starts, through the environment.
"""

import json
import os
import re
from collections.abc import Sequence

from pydantic import Field, field_validator

from contract.policy import Limited

DECODER, ENDINGS = "TRUEUP_PICTURES_DECODER", "TRUEUP_PICTURES_ENDINGS"
ENDING = re.compile(r"\.[a-z0-9][a-z0-9._-]*")


class PictureFields(Limited):
    """Formats of the user's own."""

    decoder: str | None = Field(None, description="package.module:function that makes pixels of the bytes of what is "
                                "no JPEG, PNG or WebP; its module must be in allow_modules (docs/decoders.md)")
    endings: list[str] = Field([], description="endings of such files, e.g. [.npy, .dcm], where folders are listed")

    @field_validator("endings")
    @classmethod
    def _endings_are_endings(cls, value: list[str]) -> list[str]:
        if bad := [ending for ending in value if not ENDING.fullmatch(ending)]:
            raise ValueError(f"{bad[0]!r}: expected an ending in lower case with its dot, such as .npy")
        return value


def choose_decoder(name: str | None, endings: Sequence[str] = ()) -> None:
    """Has this process, and those that it starts, take pictures in through this decoder; None: through none."""
    for variable in (DECODER, ENDINGS):
        os.environ.pop(variable, None)
    if name is not None:
        os.environ |= {DECODER: name, ENDINGS: json.dumps(list(endings))}


def find_decoder() -> str | None:
    """Returns the decoder that was chosen, package.module:function; None for none."""
    return os.environ.get(DECODER) or None


def list_own_endings() -> tuple[str, ...]:
    """Lists the endings of files that the decoder is for; none without one."""
    return tuple(json.loads(os.environ.get(ENDINGS, "[]"))) if find_decoder() else ()
