"""One message over HTTPS: tried again when the receiver is busy or away, never to another address than the one named.

No error and no answer here holds the address, which may be a secret (Slack's is).
"""

from __future__ import annotations

import http.client
import ipaddress
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from contract import clock
from contract.errors import UsageError

LATER = {408, 425, 429}  # and all from 500 on


@dataclass(frozen=True)
class Limits:
    """Seconds for one answer, tries, seconds before the second try, and the moment (clock.monotonic) of giving up."""

    timeout: float
    attempts: int
    backoff: float
    until: float

    def measure_left(self) -> float:
        """Seconds that are left."""
        return self.until - clock.monotonic()


@dataclass(frozen=True)
class Answer:
    """How it ended: the status (None: nobody answered), what is wrong (None: it was accepted), and how often it was tried."""

    status: int | None
    error: str | None
    attempts: int


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: a message goes to the address that was named, or nowhere."""

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message,
                         newurl: str) -> None:
        """Follows none."""
        return


def deliver(address: str, body: bytes, make_headers: Callable[[], dict[str, str]], limits: Limits) -> Answer:
    """Posts a message until it is accepted, refused for good, or the limits are reached. UsageError: no usable address."""
    opener, answer = _make_opener(check_address(address)), Answer(None, "no time was left to try", 0)
    for attempt in range(1, limits.attempts + 1):
        if limits.measure_left() <= 0:
            break
        request = urllib.request.Request(address, data=body, headers=make_headers(), method="POST")
        status, error, wait = _post(opener, request, min(limits.timeout, limits.measure_left()))
        answer = Answer(status, error, attempt)
        if error is None or not _may_pass(status) or attempt == limits.attempts:
            break
        pause = max(limits.backoff * 2 ** (attempt - 1), wait)
        if pause >= limits.measure_left():
            break
        time.sleep(pause)
    return answer


def check_address(address: str) -> bool:
    """Checks that an address is https, or http on this machine; says whether it is on this machine. UsageError without it."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    here = _is_here(host)
    if not host or not address.isascii() or any(c.isspace() for c in address) or "@" in parts.netloc or not (
            parts.scheme == "https" or (parts.scheme == "http" and here)):
        raise UsageError("expected an address https://host/path, without a name and password in it, got another one (it is not "
                         "shown, since it may be a secret). Correct what the reference holds.")
    return here


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _make_opener(here: bool) -> urllib.request.OpenerDirector:
    """Proxies are those of the usual variables (HTTPS_PROXY, NO_PROXY); this machine is reached without one."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({} if here else None), _NoRedirect())


def _post(opener: urllib.request.OpenerDirector, request: urllib.request.Request,
          timeout: float) -> tuple[int | None, str | None, float]:
    """Posts once: the status, what is wrong, and the seconds that the receiver asks to wait."""
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, None, 0.0
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, _explain(error.code), _read_wait(error.headers.get("Retry-After"))
    except urllib.error.URLError as error:
        why = error.reason if isinstance(error.reason, str) else type(error.reason).__name__
        return None, f"the receiver was not reached ({why})", 0.0
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, f"the receiver did not answer ({type(error).__name__})", 0.0


def _explain(status: int) -> str:
    return f"the receiver answered {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else "")


def _may_pass(status: int | None) -> bool:
    return status is None or status in LATER or status >= 500


def _read_wait(text: str | None) -> float:
    return float(text) if text and text.isascii() and text.isdigit() else 0.0
