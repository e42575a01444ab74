"""From bytes to text: UTF-8, what a byte order mark names, or what --encoding names; never a guess."""

import codecs
from pathlib import Path

from contract.errors import ForeignSchema, UsageError
from jobs.imports.notes import Notes
from jobs.imports.options import Reading, check_encoding

# The longer marks first: UTF-32's begins with UTF-16's.
MARKS = ((codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"), (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
         (codecs.BOM_UTF8, "utf-8", "UTF-8"), (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
         (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"))
SAME = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le utf-16-be", "utf-32": "utf-32-le utf-32-be"}
SEEN = 12  # characters shown beside a place that cannot be read


def decode(path: Path, data: bytes, reading: Reading, notes: Notes) -> str:
    """The text of a file, without its byte order mark.

    ForeignSchema names the line and the byte that cannot be read, and the option that would settle it.
    """
    said = check_encoding(reading.encoding) if reading.encoding else None
    for mark, encoding, name in MARKS:
        if data.startswith(mark):
            if said and encoding not in (said, *SAME.get(said, "").split()):
                raise UsageError(f"{path}: --encoding {reading.encoding}, but the file begins with the byte order mark of "
                                 f"{name}. Leave the option out.")
            if encoding != "utf-8":
                notes.add(name, f"read as {name}, which its byte order mark names")
            return _check_nul(path, _decode(path, data, encoding, len(mark)))
    if said in ("utf-16", "utf-32"):
        raise UsageError(f"{path}: --encoding {reading.encoding}, but the file has no byte order mark. Expected {said}-le or "
                         f"{said}-be.")
    if said in (None, "utf-8", "utf-8-sig"):
        return _check_nul(path, _decode(path, data, "utf-8"))
    text = _check_nul(path, _decode(path, data, str(said)))
    if reading.shared:
        _check_not_utf8(path, data, text, str(said))
    notes.add("encoding", f"read as {said}, as --encoding says")
    return text


def _decode(path: Path, data: bytes, encoding: str, start: int = 0) -> str:
    try:
        return data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        at = start + error.start
        line = data.count(b"\n", 0, at) + 1
        around = data[max(at - SEEN, data.rfind(b"\n", 0, at) + 1):at + SEEN].split(b"\n")[0].decode("ascii", "backslashreplace")
        other = "utf-16-le" if b"\0" in data else "cp1252 (Excel in western Europe)"
        raise ForeignSchema(f"{path}: line {line}: expected {encoding.upper()}, got the byte 0x{data[at]:02x} at byte "
                            f"{at:,} of the file (near {around!r}). Name the file's encoding by --encoding NAME, such as "
                            f"--encoding {other}.") from None
    except UnicodeError as error:
        raise ForeignSchema(f"{path}: expected {encoding.upper()}, got {error}. Name the file's encoding by --encoding "
                            f"NAME.") from None


def _check_nul(path: Path, text: str) -> str:
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise ForeignSchema(f"{path}: line {line}: expected text, got a NUL character (number {at + 1:,} of the file). UTF-16 "
                            f"without a byte order mark looks like this: --encoding utf-16-le.")
    return text


def _check_not_utf8(path: Path, data: bytes, text: str, said: str) -> None:
    """One name was said for two files: a file that reads well as UTF-8, too, may not be the one that was meant."""
    try:
        other = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if other != text:
        raise ForeignSchema(f"{path}: can be read as {said} and as UTF-8, to different texts. Say the encoding of each file: "
                            f"--encoding PREDICTIONS,LABELS, for example --encoding utf-8,{said}.")
