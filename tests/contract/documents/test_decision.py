"""The published schema of `decision.json` is the one of the code, and holds what the gates say."""

from pathlib import Path

import pytest

from contract import jsonio
from contract.documents.decision import Decision
from contract.documents.schemas import schema
from contract.errors import Mismatch
from contract.policy import GatePolicy
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, Tally

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "decision.schema.json"
EVALUATION = {"model": "m", "window": {"from": "2026-11-13", "to": "2026-11-19"}, "partial": [{"file": "f"}],
              "as_of": "2026-11-20T00:00:00.000000Z", "trend": []}
OVERRIDE = {"gate": "accuracy", "by": "ana", "reason": "r", "at": "2026-11-19", "until": "2026-11-21"}


def decision(**more):
    counted = Tally(200, {"audit": RightCount(100, 200)}, {"a": RightCount(50, 100), "b": RightCount(1, 2)})
    return decide(GatePolicy(), EVALUATION, "e", "1", counted, [OVERRIDE]) | {"decided_at": "now"} | more


def test_the_published_schema_is_the_one_of_the_code():
    assert PUBLISHED.read_bytes() == jsonio.dumps(schema("decision")), \
        "run: python -m contract.documents.schemas docs/schemas"


def test_a_decision_loses_nothing_in_its_typed_form():
    made = decision()
    typed = Decision.parse(made, "x").model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert typed == made


def test_a_decision_that_is_none_names_the_field():
    with pytest.raises(Mismatch, match="x: expected a Decision document; exit_code"):
        Decision.parse(decision(exit_code=7), "x")
