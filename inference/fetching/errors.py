"""Why a picture was not fetched: for the log. The caller hears one sentence, whatever the reason."""

from __future__ import annotations

import logging

from inference.auth import Refused
from inference.telemetry import log_event

CODE = "bad_url"
MESSAGE = ("expected the URL of a picture at a place that this service may read. No picture could be taken from this one; the "
           "service's log says why.")


class NotFetched(Exception):
    """No picture came from a URL; the text is the reason, without anything of the URL that could be secret.

    `source`: the URL as logs may say it, once it is known.
    """

    def __init__(self, reason: str, source: str | None = None) -> None:
        super().__init__(reason)
        self.source = source


def refuse_url(reason: str, source: str | None) -> Refused:
    """Logs the reason and makes the answer, which is the same for all reasons: it must not tell what is inside a network."""
    log_event("url not taken", logging.WARNING, reason=reason, source_uri=source)
    return Refused(422, CODE, MESSAGE)
