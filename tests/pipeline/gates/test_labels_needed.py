"""How many more labels decide: with them, at least 80% of runs do."""

import numpy as np
import pytest

from contract import jsonio, layout, samples
from contract.policy import GatePolicy
from contract.storage import open_root
from inference import review
from pipeline.gates.accuracy import judge_accuracy
from pipeline.gates.decide import decide
from pipeline.gates.labels_needed import list_wishes
from pipeline.gates.optional import judge_trivial
from pipeline.gates.tally import RightCount, Tally
from tests.pipeline.gates.test_decide import audit, evaluation
from tests.pipeline.roots import DAY, MODEL, make_root

POLICY = GatePolicy(min_class_recall=None)


def wish(policy, tally):
    return decide(policy, evaluation(), "e", "1", tally)["wishes"]


@pytest.mark.parametrize(("right", "n"), [(92, 100), (185, 200), (190, 205), (170, 200), (850, 975)])
def test_with_so_many_more_labels_four_of_five_runs_decide(right, n):
    """If what was seen is what is true: each run adds that many labels, and the gate is asked again."""
    more = wish(POLICY, audit(right, n))["rows"][0]["labels"]
    runs = right + np.random.default_rng(1).binomial(more, right / n, 500)
    decided = [judge_accuracy(POLICY, audit(int(r), n + more))["verdict"] != "cannot tell" for r in runs]
    assert np.mean(decided) >= 0.78  # 0.8 less what 500 runs may miss it by


@pytest.mark.parametrize("truth", [0.80, 0.95, 0.97])
def test_they_decide_as_often_when_what_was_seen_was_luck(truth):
    """The true accuracy is fixed, what is seen of it varies, and only the runs that could not tell go on."""
    rng, decided = np.random.default_rng(2), []
    for right in rng.binomial(100, truth, 60).tolist():
        rows = wish(POLICY, audit(right, 100))["rows"]
        if rows and rows[0]["labels"]:
            more = rows[0]["labels"]
            gate = judge_accuracy(POLICY, audit(right + int(rng.binomial(more, truth)), 100 + more))
            decided.append(gate["verdict"] != "cannot tell")
    assert len(decided) >= 10
    assert np.mean(decided) >= 0.75


def test_a_model_at_its_bound_is_told_that_no_number_decides():
    made = decide(POLICY, evaluation(), "e", "1", audit(900, 1000))
    assert made["wishes"]["rows"][0] | {"gate": ""} == {"gate": "", "label": None, "blocks": True, "labels": None,
                                                         "items": None}
    assert "No number of labels up to 100,000 would decide accuracy" in made["sentence"]
    assert made["wishes"]["ask"] is None


def test_a_pass_wishes_for_nothing_and_open_classes_do_not_block():
    tally = audit(990, 1000, recall={"a": RightCount(750, 1000 - 12), "b": RightCount(9, 12)})
    made = wish(GatePolicy(min_class_recall=0.74), tally)
    assert [(row["label"], row["labels"], row["items"], row["blocks"]) for row in made["rows"]][0] == ("b", 8, 667, False)
    assert made["ask"] is None


def test_a_rare_class_says_how_many_predictions_to_ask():
    tally = audit(985, 1000, recall={"a": RightCount(950, 950), "b": RightCount(35, 50)})
    rows = {row["label"]: row for row in wish(GatePolicy(), tally)["rows"]}
    assert set(rows) == {"b"} and rows["b"]["labels"] is None  # exactly at its bound
    rows = {row["label"]: row for row in wish(GatePolicy(min_class_recall=0.6), tally)["rows"]}
    assert rows["b"]["items"] == rows["b"]["labels"] * 20


def test_more_labels_tell_a_model_from_the_trivial_one():
    policy = GatePolicy(min_accuracy=None, max_drop_from_trivial=0.0)
    shares = np.array([0.55, 0.17, 0.12, 0.16])  # both right, only the model, only the trivial one, neither

    def judged(counts):
        both, ours, theirs, neither = map(int, counts)
        recall = {"a": RightCount(both, both + theirs), "b": RightCount(ours, ours + neither)}
        tally = audit(both + ours, both + ours + theirs + neither, recall=recall)
        return tally, judge_trivial(policy, tally)

    seen = np.round(shares * 200)
    tally, gate = judged(seen)
    more = list_wishes(policy, tally, [gate])["rows"][0]["labels"]
    runs = np.random.default_rng(3).multinomial(more, shares, 300) + seen
    assert np.mean([judged(run)[1]["verdict"] != "cannot tell" for run in runs]) >= 0.8


def test_nothing_labelled_yet_wishes_for_labels():
    made = decide(POLICY, evaluation(), "e", "1", Tally(5000))
    assert made["wishes"]["rows"][0]["labels"] >= 50
    assert "more audit labels would decide in 80% of cases." in made["sentence"]


def test_how_many_a_gate_without_any_label_needs_is_not_known():
    policy = GatePolicy(min_accuracy=None, min_class_recall=None, max_calibration_error=0.05, max_drop_from_trivial=0.0)
    made = decide(policy, evaluation(), "e", "1", Tally(5000))
    assert made["wishes"]["rows"] == [] and made["wishes"]["ask"] is None
    assert made["sentence"] == ("Version 1 cannot be judged. It has no trusted label, so the most frequent one is not "
                                "known.")


def test_the_review_queue_takes_the_list(tmp_root, capsys):
    make_root(tmp_root, right=100, n=200, labelled=0)
    storage, folder = open_root(tmp_root), layout.evaluation(MODEL, "e")
    decision = decide(POLICY, evaluation(), "e", "1", audit(94, 100))
    storage.create(folder + "decision.json", jsonio.dumps(decision))
    common = ["sample", "--root", tmp_root, "--model", MODEL, "--day", DAY, "--wishes", "e"]
    assert review.main([*common, "--p", "0.5"]) == 2
    assert review.main(common) == 0
    asked = decision["wishes"]["ask"]["items"]
    assert samples.read(storage, MODEL, DAY, "audit").default == min(1.0, asked / 200)
    storage.put(folder + "decision.json", jsonio.dumps(decide(POLICY, evaluation(), "e", "1", audit(990, 1000))))
    assert review.main(common) == 2
    assert "asks for no labels: Version 1 holds." in capsys.readouterr().err
