"""A receiver, and the settings that name it by references only."""

import json

import pytest

from tests.fakes.receiver import receiving

SECRET = "s3cr3t-signing-words"


@pytest.fixture
def receiver(monkeypatch):
    with receiving() as made:
        monkeypatch.setenv("OPS_URL", made.url)
        monkeypatch.setenv("OPS_SECRET", SECRET)
        yield made


def targets(*made, **others) -> list[str]:
    """The options that set these targets, one webhook by default; no wait between tries."""
    made = made or ({"name": "ops", "url": "env:OPS_URL", "secret": "env:OPS_SECRET"} | others,)
    return ["--set", f"notify.targets={json.dumps(made)}", "--set", "notify.backoff_seconds=0"]
