"""A model with a version that may become a canary."""

import pytest

from contract.registry import Registry
from contract.storage import open_root
from tests.inference.published import publish_tiny


@pytest.fixture
def registry(tmp_root):
    """Version 1 is live, 2 has other random weights."""
    for seed in (1, 2):
        publish_tiny(tmp_root, seed=seed)
    registry = Registry(open_root(tmp_root), "m")
    registry.promote("1", by="test", reason="test", expected_live="2")
    return registry
