"""Evidence is made when it is asked for, and only then; a terminal and a report show what it says."""

import sys
import types
from datetime import timedelta

import pytest

from contract import clock, ids
from contract.errors import UsageError
from contract.records import LABEL, PREDICTION
from contract.settings import EvaluateSettings, Settings
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate_text import write_text
from jobs.evaluation_request import request_of
from jobs.evidence.sections import SECTIONS, Section, check_names
from jobs.reports import view
from tests.pipeline.roots import MODEL, put_rows

DAY = clock.day_of(clock.now() - timedelta(days=2))
NOON = clock.parse_moment(f"{DAY}T12:00:00Z")


@pytest.fixture
def made_up(monkeypatch):
    """A section that counts the items."""
    module = types.ModuleType("made_up_section")
    module.make = lambda material: {"items": sum(t.num_rows for t in material.items.values()), "sentence": "two of them"}
    monkeypatch.setitem(sys.modules, "made_up_section", module)
    monkeypatch.setitem(SECTIONS, "made-up", Section("Made up", "made_up_section"))


def ask(root: str, evidence: list[str]):
    storage = open_root(root, create=True)
    found = [ids.uuid7(NOON + timedelta(seconds=n), entropy=f"{n:010}".encode()) for n in range(3)]
    put_rows(storage, PREDICTION, "predictions", [
        {"prediction_id": i, "predicted_at": NOON, "model": MODEL, "model_version": "1", "predicted_label": "a",
         "confidence": 0.9} for i in found], DAY)
    put_rows(storage, LABEL, "labels", [
        {"label_id": f"of {i}", "prediction_id": i, "label": "a", "labeler": "ada", "labeled_at": NOON} for i in found[:2]], DAY)
    settings = Settings(root=root, model=MODEL, evaluate=EvaluateSettings(evidence=evidence))
    return evaluate(storage, request_of(settings, None, (), "live", None, ()))[0]


def test_a_section_is_made_when_it_is_asked_for(tmp_root, made_up):
    document = ask(tmp_root, ["made-up"])
    assert document["evidence"] == {"made-up": {"items": 2, "sentence": "two of them"}}
    assert "made-up: two of them" in write_text(document, "there")
    shown = view.page(document, None)
    assert [shown["evidence_titles"][name] for name in shown["evidence"]] == ["Made up"]


def test_who_does_not_ask_gets_none(tmp_root):
    assert "evidence" not in ask(tmp_root, [])


def test_another_word_is_refused_with_the_nearest_name(made_up):
    with pytest.raises(UsageError, match="expected one of .*Did you mean 'made-up'"):
        check_names(["mede-up"])
    assert check_names(["made-up", "made-up"]) == ("made-up",)
