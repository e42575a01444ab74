"""How a label is written: the one form in which labels may enter (docs/design.md#rule-6-rank)."""

import re
import unicodedata

from contract.errors import BadLabel

LONGEST = 200


def normalise(label: object) -> str:
    """NFC, trimmed, inner white space single, 1-200 characters, no control characters, case kept.

    Raises BadLabel. Counting never calls this: counting compares bytes.
    """
    if not isinstance(label, str):
        raise BadLabel(f"expected a label as text, got {type(label).__name__}.")
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFC", label)).strip()
    if not 1 <= len(text) <= LONGEST:
        raise BadLabel(f"expected a label of 1 to {LONGEST} characters, got {len(text)}. Shorten it or leave it out.")
    bad = [c for c in text if unicodedata.category(c) in ("Cc", "Cs")]
    if bad:
        raise BadLabel(f"the label holds a control character (U+{ord(bad[0]):04X}). Remove it.")
    return text
