"""The typed form of `decision.json` holds what the gates say."""

import pytest

from contract.documents.decision import Decision
from contract.errors import Mismatch
from contract.policy import GatePolicy
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, Tally

EVALUATION = {"model": "m", "window": {"from": "2026-11-13", "to": "2026-11-19"}, "partial": [{"file": "f"}],
              "as_of": "2026-11-20T00:00:00.000000Z", "trend": []}
OVERRIDE = {"gate": "accuracy", "by": "ana", "reason": "r", "at": "2026-11-19", "until": "2026-11-21"}


def decision(**more):
    counted = Tally(200, {"audit": RightCount(100, 200)}, {"a": RightCount(50, 100), "b": RightCount(1, 2)})
    return decide(GatePolicy(), EVALUATION, "e", "1", counted, [OVERRIDE]) | {"decided_at": "now"} | more


def test_a_decision_loses_nothing_in_its_typed_form():
    made = decision()
    typed = Decision.parse(made, "x").model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert typed == made


def test_a_decision_that_is_none_names_the_field():
    with pytest.raises(Mismatch, match="x: expected a Decision document; exit_code"):
        Decision.parse(decision(exit_code=7), "x")
