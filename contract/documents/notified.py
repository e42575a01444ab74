"""What is kept of messages: that one was sent, and how the last one failed. Neither holds an address or a secret."""

from typing import Literal

from pydantic import Field

from contract.documents.document import Document, Moment


class Notified(Document):
    """`runs/<model>/notified/<target>/<key>.json`: the message of that key was accepted at least once."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    key: str
    event: str
    subject: str
    at: Moment  # of the event
    sent_at: Moment
    status: int


class NotifyFailure(Document):
    """`runs/<model>/notified/<target>/last-failure.json`: the newest message that was not accepted; it is still owed."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    key: str
    event: str
    failed_at: Moment
    attempts: int
    error: str
