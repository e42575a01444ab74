"""A canary computes with the picture that the live version prepared, where both prepare pictures alike."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from contract.canary.documents import Bounds
from inference.canary.answering import CanaryAnswers
from inference.model.predictor import Predictor
from tests.inference.published import PREPROCESS, publish_tiny


class Lane:
    """Computes nothing, and keeps what it was given to prepare."""

    salt = "s"

    def __init__(self):
        self.prepared, self.computed = [], []

    async def prepare(self, predictor, stripped):
        self.prepared.append(stripped)
        return "prepared anew"

    async def compute(self, predictor, prepared):
        self.computed.append(prepared)
        return np.array([1.0, 0.0, 0.0]), 0.0


@pytest.mark.parametrize(("changes", "anew"), [
    ({}, False), ({"decoders": ["own:read@0123456789ab"]}, False), ({"crop": 28}, True), ({"levels": [0, 4095]}, True)])
def test_a_picture_is_prepared_once_where_only_the_decoder_that_a_version_learnt_from_differs(registry, tmp_root, changes, anew):
    version = publish_tiny(tmp_root, preprocess=PREPROCESS.model_copy(update=changes))
    live, canary = (Predictor(*registry.load(of), "cpu") for of in ("1", version))
    lane, full = Lane(), SimpleNamespace(is_full=lambda: True)
    route = SimpleNamespace(count_answer=lambda chosen, failed: None)
    chosen = SimpleNamespace(predictor=canary, canary=SimpleNamespace(salt="s", version=version, bounds=Bounds()))
    answers = CanaryAnswers(route, full, 10.0, lambda salt: lane)
    row = asyncio.run(answers.answer(chosen, live, "of the live version", b"stripped", 10.0))
    assert row is not None and lane.computed == ["prepared anew" if anew else "of the live version"]
    assert lane.prepared == ([b"stripped"] if anew else [])
