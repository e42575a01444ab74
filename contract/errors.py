"""Errors a caller can react to. Each message says what was expected, what came, and what to do.

The command line turns them into exit codes (command/command.py); libraries raise, and never exit.
"""

import logging
import re
import reprlib
from typing import ClassVar

log = logging.getLogger("trueup")
DONE, ERROR, USAGE, GATE_SAYS_NO, CANNOT_TELL = 0, 1, 2, 3, 4
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_SHORT.maxlevel = 2


def shorten(value: object) -> str:
    """Writes a value that came from outside for a message: about 80 characters of it, however large or deep it is."""
    return _SHORT.repr(value)


class TrueupError(Exception):
    """Root of all errors that Trueup raises on purpose.

    Programs branch on `error_code`, the name of the class unless the class says otherwise: in the `error` of --json, and
    as `http_code` in answers of the service.
    """

    exit_code = ERROR
    error_code: ClassVar[str] = "TrueupError"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.error_code = vars(cls).get("error_code", cls.__name__)

    @property
    def http_code(self) -> str:
        """The code as HTTP answers spell it: `NotFound` -> `not_found`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.error_code).lower()


class UsageError(TrueupError):
    """An option or a setting that cannot be used as given."""

    exit_code = USAGE


class RootError(TrueupError):
    """The root does not exist, cannot be written, or holds another schema version."""


class NotFound(TrueupError):
    """No object lies under that key."""


class AlreadyExists(TrueupError):
    """An exclusive creation lost: somebody else's object lies under that key."""


class NoConditionalWrites(TrueupError):
    """The store ignores `If-None-Match: *`, so nothing that moves can be published on it."""


class ForeignSchema(TrueupError):
    """A file in a used table is no Parquet, lacks a required column, or has a column of another type."""


class BadLabel(TrueupError):
    """A label that cannot enter: empty, too long, or with control characters."""


class RedactionFailed(TrueupError):
    """The hook that redacts pictures failed, so the picture was neither classified nor kept."""


class BadImage(TrueupError):
    """Bytes that are no image we decode: another format, damaged, truncated, too many pixels."""


class NoSuchModel(TrueupError):
    """Nothing was ever published under that model name."""


class NoSuchVersion(TrueupError):
    """The model has no such version."""


class BadWeights(TrueupError):
    """Weights that do not match their card, their network, or that would need unchecked unpickling."""


class GpuUnusable(TrueupError):
    """A GPU was asked for, or is there, and torch cannot compute on it."""


class VersionFailed(TrueupError):
    """The code of a version's own network ended instead of answering."""


class PointerMoved(TrueupError):
    """What is live changed since the decision was made."""


class RunHeld(TrueupError):
    """Another living process owns the open run."""


class RunLost(TrueupError):
    """This process no longer is the newest owner of its run."""


class Expired(TrueupError):
    """Rows or pictures are needed that went by age, as the settings say; what is kept of them does not do."""


class EmptyData(TrueupError):
    """There is nothing to work on where something is needed."""


class NotFinite(TrueupError):
    """A loss or a metric is not a finite number."""


class Mismatch(TrueupError):
    """Rows read differ from what a manifest or a file promises."""


class DamagedDocument(Mismatch):
    """A document that is no JSON, has another shape than its kind, or was written by a newer release."""


class LeakageFound(TrueupError):
    """A row would stand on two sides of a split."""

    error_code = "Leakage"  # what programs have branched on since before the class had this name


class TrialFailed(TrueupError):
    """A candidate that does not start, answer, or answer as assessed in a service process of its own."""


class TrainingFailed(TrueupError):
    """A rank, an executor or the launcher failed; the run can be resumed from its checkpoint."""


def pass_over(error: TrueupError) -> None:
    """Names on standard error what cannot be read, for those who go on without it."""
    log.warning("passed over: %s", error)
