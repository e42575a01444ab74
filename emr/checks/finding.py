"""What a check of the account found. That the caller may not ask is a state of its own: nothing is wrong, nothing is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from emr.account import AccountError

OK, ABSENT, BAD, UNASKED = "ok", "absent", "bad", "not asked"


@dataclass(frozen=True)
class Finding:
    """A check, its state, what was found, what to do."""

    check: str
    state: str
    found: str
    do: str = ""


def ask(check: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yields what `look` finds; a request that is refused for want of rights, or fails, is the finding instead."""
    try:
        yield from look()
    except AccountError as error:
        if error.denied:
            yield Finding(check, UNASKED, str(error), "let the caller look (docs/deploy.md, rights of whoever deploys)")
        else:
            yield Finding(check, BAD, str(error), "see what the service says; then ask again")
