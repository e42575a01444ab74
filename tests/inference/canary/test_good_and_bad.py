"""Planted candidates at two replicas with a driver: a bad one goes before 500 of its answers, one that differs often stays."""

import threading
from contextlib import ExitStack

import pytest

from contract import ids
from contract.canary import changes
from contract.canary.documents import Bounds, Expected, load_counts, sum_counts
from inference.model.predictor import Predictor
from pipeline import model
from tests.inference.canary.test_canary_over_http import OWN, own_weights
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving

pytestmark = pytest.mark.slow("canary")
MOST = 2_000
BOUNDS = Bounds(seconds=0, answers=60, deadline_seconds=5)


def measure(registry, pictures) -> Expected:
    """How often versions 1 and 2 differ, computed here."""
    said = []
    for version in ("1", "2"):
        predictor = Predictor(*registry.load(version), "cpu")
        rows = predictor.probabilities(predictor.stack([predictor.prepare(p) for p in pictures]))
        said.append([predictor.top(row, 1)[0][0] for row in rows])
    return Expected(n=len(pictures), differ=sum(a != b for a, b in zip(*said, strict=True)))


def carry_on(tmp_root, tmp_path, registry, version, expected):
    """Two replicas answer until a driver has ended the canary; returns its last record and how many answers were the canary's."""
    canary = changes.start(registry, version, [0.3, 0.6], BOUNDS, by="test", reason="test", expected=expected).record.state.canary
    driver = threading.Thread(target=model.main, args=[["canary", "run", "--root", tmp_root, "--model", "m", "--set",
                                                        "canary.look_seconds=0.1"]])
    mine = 0
    with ExitStack() as stack:
        replicas = [stack.enter_context(serving(tmp_root, tmp_path / f"outbox{n}")) for n in (0, 1)]
        driver.start()
        for n in range(MOST):
            if not driver.is_alive():
                break
            response = replicas[n % 2].post("/v1/predictions", content=picture(1000 + n), headers=IMAGE | {
                "X-Prediction-Id": ids.uuid7()})
            assert response.status_code == 200, response.text
            mine += response.json()["model_version"] == version
        driver.join(60)
    counted = sum_counts(load_counts(registry.storage, "m", canary.salt))
    return changes.find_end(registry, canary.salt), sum(c.answers for c in counted.values()), mine


def test_one_that_differs_on_about_half_as_its_assessment_saw_is_made_live(registry, tmp_root, tmp_path):
    expected = measure(registry, [picture(n) for n in range(100)])
    assert expected.differ > 30
    end, answers, mine = carry_on(tmp_root, tmp_path, registry, "2", expected)
    assert (end.change["kind"], end.state.live) == ("canary promoted", "2"), end.change
    assert 120 <= answers <= mine + 1


def test_one_that_differs_where_its_assessment_saw_little_is_withdrawn_early(registry, tmp_root, tmp_path):
    end, answers, _ = carry_on(tmp_root, tmp_path, registry, "2", Expected(n=200, differ=6))
    assert (end.change["kind"], end.state.live) == ("canary withdrawn", "1") and answers < 500
    assert end.change["reason"].startswith("disagreement")


def test_one_that_fails_now_and_then_is_withdrawn_early_and_nobody_sees_it(registry, tmp_root, tmp_path):
    version = publish_tiny(tmp_root, network=f"{OWN}build_fails_now_and_then", weights=own_weights())
    registry.promote("1", by="test", reason="test", expected_live=version)
    end, answers, _ = carry_on(tmp_root, tmp_path, registry, version, None)
    assert (end.change["kind"], end.state.live) == ("canary withdrawn", "1") and answers < 500
    assert "errors" in end.change["reason"]
