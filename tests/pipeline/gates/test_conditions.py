"""What is no verdict: another role, another window, a log that ended; and what nobody's word makes one."""

import pytest

from contract.policy import GatePolicy
from pipeline.gates.decide import decide
from pipeline.gates.tally import RightCount, tally_of
from tests.figures import cell, day
from tests.pipeline.gates.test_decide import audit, evaluation


def override(gate="accuracy"):
    return {"gate": gate, "by": "ana", "reason": "camera is being replaced", "at": "2026-11-18T00:00:00.000000Z",
            "until": "2026-12-24T00:00:00.000000Z"}


@pytest.mark.parametrize(("newest", "verdict", "reasons"), [
    ("2026-11-19", "pass", []), ("2026-11-16", "pass", []), ("2026-11-15", "cannot tell", ["stale"]),
    ("2026-08-20", "cannot tell", ["stale"])])
def test_a_log_that_ended_is_stale(newest, verdict, reasons):
    """As of the first moment of 2026-11-20: what ended with the 16th is three days old, and no older."""
    made = decide(GatePolicy(), evaluation(), "e", "1", audit(990, 1000, newest_day=newest))
    assert (made["verdict"], made["reasons"], made["gates"][-1]["gate"]) == (verdict, reasons, "freshness")
    patient = GatePolicy(max_age_days=None)
    assert decide(patient, evaluation(), "e", "1", audit(990, 1000, newest_day=newest))["verdict"] == "pass"


def test_a_stale_log_that_fails_fails():
    assert decide(GatePolicy(), evaluation(), "e", "1", audit(100, 200, newest_day="2026-08-20"))["verdict"] == "fail"


def test_the_newest_day_is_one_on_which_that_version_predicted():
    days = [day([cell("a", version="1")], "2026-11-14"), day([cell("a", version="2")], "2026-11-15")]
    assert tally_of(GatePolicy(), days, {"from": "2026-11-14", "to": "2026-11-15"}, "1").newest_day == "2026-11-14"


@pytest.mark.parametrize(("more", "reason"), [({"role": "batch"}, "another role"), ({"newest_day": "2026-11-20"},
                                                                                  "another window")])
def test_an_evaluation_of_another_role_or_window_is_no_verdict(more, reason):
    """Not even where it would fail: nothing is judged, and nothing retrains."""
    made = decide(GatePolicy(), evaluation(**more), "e", "1", audit(100, 200, newest_day="2026-11-19"))
    assert (made["verdict"], made["reasons"], made["exit_code"]) == ("cannot tell", [reason], 4)
    assert [gate["gate"] for gate in made["gates"]] == ["scope"] and not made["retrain"]["fires"]


def test_an_override_never_turns_no_data_or_stale_into_a_pass():
    nothing = decide(GatePolicy(), evaluation(versions={}), "e", "1", audit(0, 0), [override()])
    assert (nothing["verdict"], nothing["reasons"]) == ("cannot tell", ["no data"])
    stale = decide(GatePolicy(), evaluation(), "e", "1", audit(100, 200, newest_day="2026-08-20"), [override()])
    assert (stale["verdict"], stale["reasons"], stale["exit_code"]) == ("cannot tell", ["stale"], 4)
    unjudged = GatePolicy(min_accuracy=None, min_class_recall=None)
    assert decide(unjudged, evaluation(), "e", "1", audit(0, 0))["reasons"] == ["no data"]


def test_an_override_stands_in_every_sentence_that_it_changed():
    made = decide(GatePolicy(), evaluation(), "e", "1", audit(100, 200), [override()])
    gate = made["gates"][0]
    assert gate["sentence"].endswith("Overridden by ana until 2026-12-24T00:00:00Z (camera is being replaced); of itself it "
                                     "says fail.")
    assert "Overridden: accuracy by ana until 2026-12-24 (camera is being replaced)." in made["sentence"]
    recall = {"a": RightCount(10, 100)}
    both = decide(GatePolicy(), evaluation(), "e", "1", audit(990, 1000, recall=recall), [override("class_recall")])
    assert both["verdict"] == "pass" and "Overridden: class recall by ana" in both["sentence"]


def test_after_an_attempt_nothing_retrains_before_further_labels_came():
    for further, fires in ((None, True), (0, False), (49, False), (50, True)):
        made = decide(GatePolicy(), evaluation(), "e", "1", audit(100, 200), (), (), further)["retrain"]
        assert (made["fires"], made["wanted"], made["further_labels"]) == (fires, True, further)
        assert (made["reason"] is None) == fires
