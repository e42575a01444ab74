"""Stages that take milliseconds where a test is about their order."""

from dataclasses import replace

import pytest

from pipeline.running import stages


def replace_retraining(patch):
    """Has dataset, train and assess replaced by tests/fakes; evaluate and gate are the real ones."""
    patch.setattr(stages, "RETRAINING", tuple(
        replace(stage, module=f"tests.fakes.fake_{stage.name}") for stage in stages.RETRAINING))


@pytest.fixture
def fake_stages(monkeypatch):
    """The stages of a retraining are fakes."""
    replace_retraining(monkeypatch)
