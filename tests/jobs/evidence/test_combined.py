"""The combined estimate of a root: what it rests on, and why there is none."""

import io
from datetime import timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, samples
from contract.policy import GatePolicy
from contract.records import LABEL, PREDICTION
from contract.runs import Plan, Runs, Timing
from contract.samples import Design
from contract.settings import EvaluateSettings, Settings
from contract.storage import open_root
from jobs.count_window import evaluate
from jobs.evaluate_text import write_text
from jobs.evaluation_request import request_of
from jobs.evidence.combined import explain_refusal
from jobs.reports import page
from metrics.held_out import HeldOutRows, cells
from metrics.selection.basis import Basis
from metrics.strata.assessed import list_rows
from pipeline.gate import make_decision
from tests.figures import day
from tests.pipeline.roots import MODEL, put_rows

DAYS = [clock.day_of(clock.now() - timedelta(days=n)) for n in (3, 2)]
P = 0.4


def write_day(storage, day, rng, count=1500, asked=1.0, sample=True, version="1", feedback=0.6):
    """A day of which a share P is audited, whose mistakes feedback reports in 60% of cases; how many predictions are right."""
    noon = clock.parse_moment(f"{day}T12:00:00Z")
    predictions, labels, right = [], [], 0
    drawn = samples.draw(MODEL, day, "audit", Design("random-audit", "salt", p=P))
    if sample:
        samples.write(storage, drawn)
    for n in range(count):
        at = noon + timedelta(milliseconds=n)
        name = ids.uuid7(at, entropy=f"{version:>2}{n:08d}".encode())
        confidence = float(rng.beta(8, 1))
        is_right = rng.random() < confidence
        right += is_right
        predictions.append({"prediction_id": name, "predicted_at": at, "model": MODEL, "model_version": version,
                            "predicted_label": "ab"[n % 2], "confidence": confidence, "role": "live"})
        truth = "ab"[n % 2] if is_right else "c"
        if not is_right and rng.random() < feedback:
            labels.append({"label_id": f"f{name}", "prediction_id": name, "label": "c", "labeler": "user", "labeled_at": at,
                           "origin": "feedback"})
        if samples.is_asked(drawn.salt, name, P) and rng.random() < asked:
            labels.append({"label_id": f"a{name}", "prediction_id": name, "label": truth, "labeler": "ada", "labeled_at": at,
                           "origin": "audit", "saw_prediction": False, "selection_probability": P})
    put_rows(storage, PREDICTION, "predictions", predictions, day, version)
    put_rows(storage, LABEL, "labels", labels, day, version)
    return right


def make(root, **chosen):
    rng = np.random.default_rng(1)
    storage = open_root(root, create=True)
    right = [write_day(storage, day, rng, **chosen) for day in DAYS]
    return storage, right


def make_settings(root, windows=(), evidence=("combined",), **gates):
    policy = GatePolicy(window_days=list(windows), **gates)
    return Settings(root=root, model=MODEL, evaluate=EvaluateSettings(evidence=list(evidence)), gates=policy)


def ask(root, *given, **chosen):
    return evaluate(open_root(root), request_of(make_settings(root, *given, **chosen), None, (), "live", None, ()))[0]


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A root with two audited days, and how many predictions of each are right."""
    root = str(tmp_path_factory.mktemp("audited") / "root")
    return root, make(root)[1]


def test_it_is_the_audit_laid_over_all_traffic(audited):
    root, right = audited
    document = ask(root)
    found = document["evidence"]["combined"]["versions"]["1"]
    estimate = document["versions"]["1"]["estimate"]
    assert found["origin"] == "audit" and found["predictions"] == 3000 and found["without_audit"] == 0
    assert found["labels"] == document["versions"]["1"]["by_origin"]["audit"]["labelled"]
    assert found["audit"]["value"] == pytest.approx(estimate["value"])
    assert found["low"] <= sum(right) / 3000 <= found["high"]
    assert abs(found["value"] - sum(right) / 3000) < abs(estimate["value"] - sum(right) / 3000)
    assert found["narrower"] > 0.2 and found["explained"] > 0.4
    assert 100 < found["feedback"]["wrong"] < 300 and found["feedback"]["right"] == 0
    assert [row["label"] for row in found["per_class"]] == ["a", "b"]
    assert sum(row["labels"] for row in found["per_class"]) == found["labels"]
    assert all(row["precision"]["low"] < row["precision"]["value"] < row["precision"]["high"] for row in found["per_class"])
    assert f"{found['labels']:,} audit labels" in write_text(document, "there")
    shown = page.render(document)
    assert "One estimate from all labels and all traffic" in shown and "Audit alone" in shown


def list_audited_mistakes(storage, on, strategy, blind):
    """Label rows as the pages keep them: a list asked about what the audit called wrong, and the answers agree with it."""
    rows = [row for entry in storage.list(f"labels/dt={on}/") for row in
            pq.read_table(io.BytesIO(storage.read(entry.key))).to_pylist()]
    return [{"label_id": f"l{row['prediction_id']}", "prediction_id": row["prediction_id"], "label": "c", "labeler": "bea",
             "labeled_at": row["labeled_at"], "origin": "feedback", "saw_prediction": not blind, "strategy": strategy}
            for row in rows if row["origin"] == "audit" and row["label"] == "c"]


@pytest.mark.parametrize(("strategy", "blind"), [("suspects", True), ("picked", False), ("diverse", False)])
def test_answers_that_a_list_asked_for_are_no_feedback_of_users(tmp_root, strategy, blind):
    storage, _ = make(tmp_root)
    before = ask(tmp_root, evidence=("combined", "anchoring"))
    for on in DAYS:
        put_rows(storage, LABEL, "labels", list_audited_mistakes(storage, on, strategy, blind), on, "listed")
    after = ask(tmp_root, evidence=("combined", "anchoring"))
    assert after["evidence"]["combined"] == before["evidence"]["combined"]
    assert after["evidence"]["anchoring"] == before["evidence"]["anchoring"]
    assert after["versions"]["1"]["estimate"] == before["versions"]["1"]["estimate"]


def test_windows_of_the_gates_are_estimated_by_themselves(audited):
    root, _ = audited
    windows = ask(root, windows=(1, 2))["evidence"]["combined"]["windows"]
    assert [(w["days"], w["versions"]["1"]["predictions"]) for w in windows] == [(1, 1500), (2, 3000)]
    whole = ask(root)["evidence"]["combined"]["versions"]["1"]
    assert windows[1]["versions"]["1"] == whole and windows[0]["versions"]["1"]["labels"] < whole["labels"]


def test_the_policy_alone_asks_for_it(audited):
    root, _ = audited
    assert "evidence" not in ask(root, evidence=())
    assert "combined" in ask(root, evidence=(), estimate="combined")["evidence"]


def test_the_gate_judges_what_the_evaluation_shows(audited):
    root, _ = audited
    settings = make_settings(root, evidence=(), estimate="combined", min_accuracy=0.8, min_class_recall=None)
    document, folder = evaluate(open_root(root), request_of(settings, None, (), "live", None, ()))
    shown = document["evidence"]["combined"]["versions"]["1"]
    gate = make_decision(open_root(root), settings, MODEL, folder.rstrip("/").rpartition("/")[2], "1")["gates"][0]
    assert [gate[name] for name in ("value", "low", "high", "n")] == [shown[name] for name in ("value", "low", "high", "labels")]
    assert (gate["verdict"], gate["size"], gate["estimate"]) == ("pass", shown["cautious_size"], "combined")


@pytest.mark.parametrize(("chosen", "reason"), [({"asked": 0.8}, "below 90%"), ({"sample": False}, "without a sample document")])
def test_an_audit_that_is_no_sample_gives_none_and_says_why(tmp_root, chosen, reason):
    make(tmp_root, **chosen)
    document = ask(tmp_root)
    found = document["evidence"]["combined"]["versions"]["1"]
    assert (found["value"], found["origin"], found["per_class"]) == (None, None, []) and reason in found["reason"]
    assert reason in document["evidence"]["combined"]["sentence"]
    assert reason in page.render(document)


def test_days_without_an_audit_are_counted_and_said(tmp_root):
    storage, _ = make(tmp_root)
    rng = np.random.default_rng(2)
    write_day(storage, clock.day_of(clock.now() - timedelta(days=1)), rng, count=500, asked=0.0, sample=False)
    document = ask(tmp_root)
    found = document["evidence"]["combined"]["versions"]["1"]
    assert (found["predictions"], found["without_audit"]) == (3500, 500)
    assert "500 predictions are of days without an audit" in page.render(document)


def write_assessment(storage, strata):
    """A run that assessed version 2."""
    plan = Plan(model=MODEL, window={"from": DAYS[0], "to": DAYS[1]}, as_of=clock.iso(clock.now()), live="1", live_seq=1)
    run = Runs(storage, MODEL).acquire(lambda: plan, Timing())
    sides = {"live": {"version": "1"}, "candidate": {"version": "2", "strata": strata}}
    run.record("assess", {"dataset": "d1", "versions": sides})
    run.finish("refused", 3, "It is not better.")


def test_a_version_without_a_label_gets_one_from_its_assessment(tmp_root):
    storage, _ = make(tmp_root)
    newest = clock.day_of(clock.now() - timedelta(days=1))
    write_day(storage, newest, np.random.default_rng(3), count=400, asked=0.0, sample=False, version="2", feedback=0.0)
    assert ask(tmp_root)["evidence"]["combined"]["versions"]["2"]["reason"] == "no audit label of a known probability"
    said, truth = ["a"] * 60 + ["b"] * 60, ["a"] * 54 + ["b"] * 66
    held_out = HeldOutRows(said, np.full(120, 0.9), truth, ["audit"] * 120, np.full(120, 0.5))
    write_assessment(storage, list_rows(cells(held_out, "2")))
    document = ask(tmp_root)
    found = document["evidence"]["combined"]["versions"]["2"]
    assert (found["origin"], found["labels"], found["predictions"]) == ("assessment", 120, 400)
    assert found["value"] == pytest.approx(0.95, abs=0.01) and "held-out rows of dataset d1" in found["rests_on"]
    assert "120 held-out rows of its own assessment" in document["evidence"]["combined"]["sentence"]
    assert "rests on its own assessment" in page.render(document)
    assert document["evidence"]["combined"]["versions"]["1"]["origin"] == "audit"


def test_days_whose_rows_expired_leave_nothing_to_lay_it_over():
    fine, gone = Basis(True, "audit sample"), [day([], "2026-11-19")]
    assert explain_refusal(fine, []) is None
    said = explain_refusal(fine, gone)
    assert said is not None and "rows of 1 day are not there any more" in said
