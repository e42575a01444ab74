"""Stages that take milliseconds where a test is about their order."""

from dataclasses import replace

import pytest

from pipeline.running import stages


@pytest.fixture
def fake_stages(monkeypatch):
    """dataset, train and assess replaced by tests/fakes; evaluate and gate are the real ones."""
    monkeypatch.setattr(stages, "RETRAINING", tuple(
        replace(stage, module=f"tests.fakes.fake_{stage.name}") for stage in stages.RETRAINING))
