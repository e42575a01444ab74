"""`notify:`, who is told of what happens to a model. Addresses and secrets are references: settings are kept and printed."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from contract.policy import Limited

EVENTS = ("verdict", "published", "refused", "approval", "failed", "stale")
REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/\S[^\n]*"
                       r"|aws-secret:(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?[A-Za-z0-9/_+=.@-]+(#[A-Za-z0-9_.-]+)?")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Target(Limited):
    """One receiver of messages."""

    name: str
    kind: Literal["webhook", "slack"] = "webhook"
    url: str
    secret: str | None = None
    events: list[str] = list(EVENTS)

    @field_validator("name")
    @classmethod
    def _name_is_a_word(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("expected a name of small letters, digits, - and _, at most 40")
        return value

    @field_validator("url", "secret")
    @classmethod
    def _value_is_a_reference(cls, value: str | None) -> str | None:
        if value is not None and not REFERENCE.fullmatch(value):
            raise ValueError("expected a reference, since runs keep settings and `trueup config` prints them: env:NAME, "
                             "file:/path or aws-secret:NAME, which holds the address or the secret. Put the value there, and "
                             "name it here (docs/monitoring.md)")
        return value

    @field_validator("events")
    @classmethod
    def _events_are_known(cls, value: list[str]) -> list[str]:
        if bad := [name for name in value if name not in EVENTS]:
            raise ValueError(f"expected some of {', '.join(EVENTS)}, got {bad[0][:20]!r}")
        return value

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Self:
        if self.kind == "webhook" and self.secret is None:
            raise ValueError("expected a secret beside the url of a webhook (a reference, too): messages are signed with it")
        return self


class NotifyFields(Limited):
    """Targets, and how long is tried to reach them."""

    targets: list[Target] = Field([], description="who is told: {name, kind: webhook or slack, url, secret, events}; url and "
                                  "secret are references (env:NAME, file:/path, aws-secret:NAME)")
    days: int = Field(7, ge=1, description="what happened longer ago is not sent any more")
    seconds: float = Field(30.0, gt=0, description="the longest that a command waits for messages at its end; what is left is "
                           "sent by the next one")
    timeout_seconds: float = Field(10.0, gt=0, description="for a receiver's answer")
    attempts: int = Field(3, ge=1, le=10, description="tries of a message in one go")
    backoff_seconds: float = Field(1.0, ge=0, description="wait before the second try, twice as long before each further one")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            raise ValueError("targets: expected a name of its own for each")
        return self
