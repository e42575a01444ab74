"""Services of these tests, in this process, compute for the shadow at once."""

import pytest

from inference.shadow import process


@pytest.fixture(autouse=True)
def prompt(monkeypatch):
    """Replaces the process by one of ordinary priority; a service that is a process of its own has the real one."""
    monkeypatch.setattr(process, "WORKER", "tests.inference.shadow.prompt_worker")
