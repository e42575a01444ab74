"""How a label is written: the one form in which labels may enter (docs/design.md#rule-6-rank)."""

import re
import unicodedata

from contract.counts import UNNAMED
from contract.errors import BadLabel

LONGEST = 200
# A character of a normalised text comes of at most four (U+1F82 of alpha and three marks), so no longer text can become a
# label. Looked at before NFC, which takes time in the square of the marks in a row: 128 kB of them, 4.6 s.
LONGEST_WRITTEN = 4 * LONGEST
WHITE = re.compile(r"\s+")

VIRAMA = 9  # the combining class of the signs that join letters of Indic scripts
JOINERS = "\u200c\u200d"
# Arabic and Syriac signs that Unicode counts among the format characters, but that are seen.
SEEN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
# What is not seen although it is no format character: fillers, joiners of graphemes, places that Unicode keeps free for such.
BLANK = frozenset((0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x2800, 0x3164, 0xFFA0, *range(0xFFF0, 0xFFF9)))
VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
PLANE_OF_TAGS = range(0xE0000, 0xE1000)
# Before a variation selector: symbols and pictures, and letters without case, as of Chinese and Burmese.
VARIED = ("So", "Sm", "Sk", "Po", "Pd", "Lo")


def normalise_class(name: object) -> str:
    """The name of a class, in the form of labels. BadLabel also for `≠`, which says that an answer is wrong (rule 4a)."""
    text = normalise(name)
    if text == UNNAMED:
        raise BadLabel(f"expected the name of a class, got {UNNAMED!r}, which says that an answer is wrong and names none. "
                       f"Give the class another name.")
    return text


def normalise(label: object) -> str:
    """NFC, trimmed, inner white space single, 1-200 characters, case kept; no control character, and none that is not seen.

    Raises BadLabel. Counting never calls this: counting compares bytes.
    """
    if not isinstance(label, str):
        raise BadLabel(f"expected a label as text, got {type(label).__name__}.")
    text = WHITE.sub(" ", label).strip()
    if len(text) <= LONGEST_WRITTEN:
        text = WHITE.sub(" ", unicodedata.normalize("NFC", text)).strip()
    if not 1 <= len(text) <= LONGEST:
        raise BadLabel(f"expected a label of 1 to {LONGEST} characters, got {len(text)}. Shorten it or leave it out.")
    if not (text.isascii() and text.isprintable()):
        _refuse_hidden(text)
    return text


def _refuse_hidden(text: str) -> None:
    for at, character in enumerate(text):
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise BadLabel(f"the label holds a control character (U+{ord(character):04X}), number {at + 1} of "
                           f"{len(text)} characters. Remove it.")
        if _is_hidden(text, at):
            raise BadLabel(f"the label holds a character that is not seen: U+{ord(character):04X} "
                           f"({unicodedata.name(character, 'without a name')}), number {at + 1} of "
                           f"{len(text)} characters. Remove it: two labels that look the same would be counted apart.")


def _is_hidden(text: str, at: int) -> bool:
    """Says whether the character at that place leaves no trace on a screen, so that two labels could look the same."""
    character, code = text[at], ord(text[at])
    before, after = text[at - 1:at], text[at + 1:at + 2]  # '' at the ends
    if character in JOINERS:
        return not _needs_joiner(text, at)
    if any(code in variations for variations in VARIATIONS):
        keycap = before.isascii() and after == "\u20e3"
        return not keycap and (not before or before.isascii() or unicodedata.category(before) not in VARIED)
    if code in BLANK or code in PLANE_OF_TAGS:
        return True
    return unicodedata.category(character) == "Cf" and character not in SEEN


def _needs_joiner(text: str, at: int) -> bool:
    """Says whether a joiner changes what is seen there.

    Persian words, Indic conjuncts and pictures of several people are written with them; between other letters they are
    invisible.
    """
    before, after = text[:at].rstrip("\ufe0e\ufe0f")[-1:], text[at + 1:at + 2]
    if not before or not after:
        return False
    if VIRAMA in (unicodedata.combining(before), unicodedata.combining(after)):
        return True
    letter = next((c for c in reversed(text[:at]) if not unicodedata.combining(c)), "")  # below its vowel marks
    if unicodedata.bidirectional(letter) == unicodedata.bidirectional(after) == "AL":
        return True
    return text[at] == "\u200d" and unicodedata.category(before) in ("So", "Sk") and unicodedata.category(after) == "So"
