"""What tests of the service share beside tests/conftest.py: a model that is followed."""

import pytest

from contract.storage import open_root
from tests.inference.published import publish_tiny


@pytest.fixture
def live(tmp_root):
    """What follows the model "m", with version 1 loaded."""
    from inference.live.model import LiveModel
    from inference.telemetry import Metrics

    publish_tiny(tmp_root)
    made = LiveModel(open_root(tmp_root), "m", 4, Metrics())
    made.follow_live()
    assert made.version == "1"
    return made
