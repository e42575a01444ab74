"""The cycle: what it starts, when it stops, how it ends; evaluate and gate are real, the retraining is a fake."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from contract import clock
from contract.errors import NoSuchModel
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.runs import Runs
from contract.storage import open_storage
from pipeline import cycle
from tests.pipeline.conftest import replace_retraining
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows

pytestmark = pytest.mark.usefixtures("fake_stages")


def turn(capsys, root, *options, code=0):
    """One cycle in this process; its document."""
    found = cycle.main(["--root", root, "--model", MODEL, "--in-process", "--json", *options])
    said = capsys.readouterr()
    assert found == code, said
    return json.loads(said.out)


def test_a_failing_model_is_retrained_and_the_candidate_published(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root)
    assert (made["status"], made["published"], made["window"]) == ("published", "2", {"from": DAY, "to": DAY})
    record = Registry(open_storage(tmp_root), MODEL).history()[-1]
    assert (record.state.live, record.change["by"], record.change["run"]) == ("2", "cycle", "digits/1")
    assert "the candidate has" in record.change["reason"]


def test_labels_that_name_no_class_train_nothing(capsys, tmp_root):
    make_root(tmp_root, right=0, n=200, labelled=0)
    _, labels = rows(200, 200, 200)
    put_rows(open_storage(tmp_root), LABEL, "labels", [row | {"label": row["label"].upper()} for row in labels], writer="foreign")
    made = turn(capsys, tmp_root, code=4)
    assert (made["status"], made["candidate"]) == ("cannot tell", None) and "dataset" not in made["stages"]
    assert made["stages"]["gate"]["verdict"] == "fail"
    assert "not one of its 200 labels names a class that it knows: 'A' (nearest: 'a'), 'B' (nearest: 'b')" in made["sentence"]


def test_a_healthy_model_is_left_alone(capsys, tmp_root):
    make_root(tmp_root, right=197, n=200)
    before = {e.key for e in open_storage(tmp_root).list()}
    made = turn(capsys, tmp_root)
    new = {e.key for e in open_storage(tmp_root).list()} - before
    assert (made["status"], made["candidate"]) == ("healthy", None)
    assert {key.partition("/")[0] for key in new} == {"counts", "evaluations", "items", "runs"}


def test_a_turn_ends_with_what_goes_by_age_where_that_is_set(capsys, tmp_root):
    make_root(tmp_root, right=197, n=200)
    options = ["--set", "serve.label_days=20", "--set", "retention.rows_days=30", "--set", "retention.pictures_days=30"]
    old = clock.day_of(clock.now() - timedelta(days=40))
    make_root(tmp_root, right=10, n=10, day=old)
    assert turn(capsys, tmp_root, "--from", DAY, *options)["expire"]["files"] == {old: 2}
    make_root(tmp_root, right=10, n=10, day="2025-01-02")
    open_storage(tmp_root).put("labels/dt=2025-01-02/broken.parquet", b"none")
    made = turn(capsys, tmp_root, "--from", DAY, *options, code=1)
    assert made["status"] == "healthy" and "a file cannot be counted" in made["expire"]["stays"]["2025-01-02"]
    assert "expire" not in turn(capsys, tmp_root, "--from", DAY)


def test_a_second_cycle_writes_nothing_but_its_own_documents(capsys, tmp_root):
    make_root(tmp_root, right=197, n=200)
    turn(capsys, tmp_root)
    before = {e.key: e.etag for e in open_storage(tmp_root).list()}
    turn(capsys, tmp_root)
    after = {e.key: e.etag for e in open_storage(tmp_root).list()}
    assert {k: after[k] for k in before} == before
    assert {key.split("/")[0] for key in after.keys() - before.keys()} <= {"evaluations", "runs"}


def test_too_few_labels_cannot_tell_and_train_nothing(capsys, tmp_root):
    make_root(tmp_root, right=10, n=200, labelled=20)
    made = turn(capsys, tmp_root, code=4)
    assert (made["status"], made["candidate"]) == ("cannot tell", None)
    assert made["stages"]["gate"]["reasons"] == ["too few labels"]


@pytest.mark.parametrize("counts", ["100 60 2 5", "100 3 3 5"])
def test_a_candidate_that_is_not_better_is_refused(capsys, tmp_root, monkeypatch, counts):
    monkeypatch.setenv("FAKE_ASSESS", counts)
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, code=3)
    assert (made["status"], made["candidate"], made["published"]) == ("refused", "2", None)
    assert Registry(open_storage(tmp_root), MODEL).live() == "1"


def test_manual_approval_ends_before_publishing(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, "--set", "cycle.approval=manual")
    assert (made["status"], made["published"]) == ("awaiting approval", None)
    assert "trueup model approve 2" in made["sentence"]
    again = turn(capsys, tmp_root, "--set", "cycle.approval=manual")
    assert (again["status"], again["candidate"], again["sentence"]) == ("awaiting approval", None, made["sentence"])
    assert Registry(open_storage(tmp_root), MODEL).versions() == ["1", "2"]


def test_the_settings_of_the_run_reach_the_stages(capsys, tmp_root, monkeypatch):
    make_root(tmp_root, right=150, n=200)
    monkeypatch.setenv("TRUEUP_GATES_MIN_NEW_LABELS", "10")
    made = turn(capsys, tmp_root, "--set", "gates.min_accuracy=0.6", "--set", "gates.min_class_recall=0.5")
    assert made["status"] == "healthy"
    plan = Runs(open_storage(tmp_root), MODEL).newest().plan
    assert (plan.settings["gates"]["min_accuracy"], plan.settings["gates"]["min_new_labels"]) == (0.6, 10)


def test_an_error_of_a_stage_is_shown_and_ends_the_run(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, "--set", "dataset.class_floor=1000000", code=1)
    assert "dataset (tests.fakes.fake_dataset): expected 1000000 rows" in made["error"]["message"]
    assert Runs(open_storage(tmp_root), MODEL).newest().end().status == "failed"
    assert turn(capsys, tmp_root)["run"] == "digits/2"


def test_the_budget_ends_a_cycle_before_it_trains(capsys, tmp_root, monkeypatch):
    monkeypatch.setenv("FAKE_ASSESS", "100 60 2 5")
    make_root(tmp_root, right=120, n=200)
    budget = ("--set", "gates.retrainings=1")
    turn(capsys, tmp_root, *budget, code=3)
    made = turn(capsys, tmp_root, *budget, code=4)
    assert made["sentence"].endswith("No retraining: retraining budget spent.")
    assert Registry(open_storage(tmp_root), MODEL).versions() == ["1", "2"]


def test_a_pointer_that_moved_meanwhile_is_not_moved_again(capsys, tmp_root, monkeypatch):
    make_root(tmp_root, right=120, n=200)
    judge = cycle.Turn._compare

    def somebody_promotes(self, assessment):
        Registry(self.run.storage, MODEL).promote("2", by="ana", reason="by hand", expected_live="1")
        return judge(self, assessment)

    monkeypatch.setattr(cycle.Turn, "_compare", somebody_promotes)
    made = turn(capsys, tmp_root, code=1)
    assert made["error"]["code"] == "PointerMoved"
    assert Runs(open_storage(tmp_root), MODEL).newest().end().status == "pointer moved"


def test_a_model_that_was_never_published_makes_no_run(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    assert cycle.main(["--root", tmp_root, "--model", "cats", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == NoSuchModel.__name__
    assert Runs(open_storage(tmp_root), "cats").newest() is None


def refuse(capsys, root, monkeypatch):
    """A root whose newest candidate was refused."""
    monkeypatch.setenv("FAKE_ASSESS", "100 60 2 5")
    make_root(root, right=120, n=200)
    assert turn(capsys, root, code=3)["status"] == "refused"


def test_after_a_refusal_nothing_retrains_on_the_same_labels(capsys, tmp_root, monkeypatch):
    refuse(capsys, tmp_root, monkeypatch)
    for _ in range(3):
        made = turn(capsys, tmp_root, code=4)
        assert made["status"] == "cannot tell"
        assert made["sentence"].endswith("No retraining: no further labels since the last attempt.")
    assert Registry(open_storage(tmp_root), MODEL).versions() == ["1", "2"]


def test_enough_further_labels_retrain_again(capsys, tmp_root, monkeypatch):
    refuse(capsys, tmp_root, monkeypatch)
    storage = open_storage(tmp_root)
    for more, code in ((249, 4), (250, 3)):
        predictions, labels = rows(more, 120, more)
        put_rows(storage, PREDICTION, "predictions", predictions[200:], writer="later")
        put_rows(storage, LABEL, "labels", labels[200:], writer="later")
        assert turn(capsys, tmp_root, code=code)["stages"]["gate"]["retrain"]["further_labels"] == more - 200
    assert Registry(storage, MODEL).versions() == ["1", "2", "3"]


def test_an_attempt_that_failed_has_spent_its_labels_too(capsys, tmp_root, monkeypatch):
    """As when a scheduler starts the failed task again."""
    make_root(tmp_root, right=120, n=200)
    monkeypatch.setenv("FAKE_ASSESS", "fails")
    assert turn(capsys, tmp_root, code=1)["error"]["message"].startswith("assess (tests.fakes.fake_assess)")
    monkeypatch.delenv("FAKE_ASSESS")
    assert "no further labels since the last attempt" in turn(capsys, tmp_root, code=4)["sentence"]
    assert Registry(open_storage(tmp_root), MODEL).versions() == ["1", "2"]


def test_too_few_trusted_held_out_rows_train_nothing(capsys, tmp_root, monkeypatch):
    monkeypatch.setenv("FAKE_HOLDOUT", '{"audit": 99, "feedback": 400}')
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, code=4)
    assert (made["status"], made["candidate"]) == ("cannot tell", None)
    assert "expected 100 held-out pictures of one trusted origin (audit or import)" in made["sentence"]
    assert Registry(open_storage(tmp_root), MODEL).versions() == ["1"]
    assert turn(capsys, tmp_root, "--set", "gates.min_held_out=50")["status"] == "published"


def test_a_candidate_below_its_floor_is_refused(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, "--set", "promotion.min_accuracy=0.999", code=3)
    assert "its floor is 99.9%: fail" in made["sentence"]
    assert made["stages"]["promotion"]["rests_on"]["origin"] == "audit"


def test_a_candidate_that_is_too_sure_is_refused_where_somebody_asks(capsys, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn(capsys, tmp_root, "--set", "promotion.max_ece=0.05", code=3)
    assert "Its calibration error is 20.0% (19.0 to 21.0%), the bound is 5%: fail." in made["sentence"]
    assert made["stages"]["promotion"]["calibration"]["bound"] == 0.05


def test_a_dead_log_is_not_healthy(capsys, tmp_root):
    make_root(tmp_root, right=197, n=200, day="2026-08-29")
    made = turn(capsys, tmp_root, code=4)
    assert (made["status"], made["stages"]["gate"]["reasons"]) == ("cannot tell", ["stale"])


def test_on_s3_it_is_the_same(capsys, s3_root):
    make_root(s3_root, right=120, n=200)
    made = turn(capsys, s3_root)
    assert (made["status"], made["published"]) == ("published", "2")
    assert Registry(open_storage(s3_root), MODEL).live() == "2"


@pytest.fixture(scope="module")
def published_once(tmp_path_factory):
    """A root whose first run published version 2; the retraining is the stand-ins'."""
    root = make_root(str(tmp_path_factory.mktemp("published") / "root"), right=120, n=200)
    with pytest.MonkeyPatch.context() as patch:
        replace_retraining(patch)
        assert cycle.main(["--root", root, "--model", MODEL, "--in-process"]) == 0
    return root


@pytest.fixture
def published(published_once, tmp_path):
    return Path(shutil.copytree(published_once, tmp_path / "root"))


OPEN_AGAIN = ("promotion", "publish", "end", "owner-1", "beat-1")  # what a run loses that is to be carried on


@pytest.mark.parametrize("stage, field", [
    ("evaluate", "id"), ("gate", "retrain"), ("gate", "exit_code"), ("gate", "sentence"),
    ("dataset", "dataset"), ("train", "version"),
    ("assess", "per_class_by_origin")])
def test_a_finished_stage_that_lacks_a_field_is_named_and_can_be_done_again(capsys, published, stage, field):
    folder = published / "runs" / MODEL / "1"
    for name in OPEN_AGAIN:
        (folder / f"{name}.json").unlink(missing_ok=True)
    (published / "models" / MODEL / "history" / "00000002.json").unlink()
    (published / "models" / MODEL / "live.json").unlink()
    path = folder / f"{stage}.json"
    document = json.loads(path.read_bytes())
    odd = {field: [{"label": "a"}]} if stage == "assess" else {}
    path.write_text(json.dumps({k: v for k, v in document.items() if k != field} | odd))
    assert cycle.main(["--root", str(published), "--model", MODEL, "--in-process"]) == 1
    said = capsys.readouterr().err
    assert str(path) in said.replace("\n", " ") and "emove it" in said and "Traceback" not in said, said
    path.unlink()
    (folder / "owner-1.json").unlink()  # this very process, which would be waited for
    assert cycle.main(["--root", str(published), "--model", MODEL, "--in-process"]) == 0


def poison(root: str) -> None:
    """A model that is right in 95 of 100; a seventh of its labels are mallory's, who calls all of them wrong."""
    predictions, labels = rows(400, 380, 400)
    for i, row in enumerate(labels):
        row["labeler"] = f"honest {i % 8}"
        if i % 7 == 0:
            row |= {"labeler": "mallory", "label": "a" if predictions[i]["predicted_label"] == "b" else "b"}
    put_rows(open_storage(root), LABEL, "labels", labels, writer="1")


def test_one_poisoner_is_named_and_nothing_is_published(capsys, tmp_root):
    make_root(tmp_root, right=380, n=400)
    poison(tmp_root)
    made = turn(capsys, tmp_root, code=4)
    assert (made["status"], made["candidate"]) == ("cannot tell", None) and "dataset" not in made["stages"]
    assert "this fail rests on labeler mallory" in made["sentence"]
    assert made["stages"]["gate"]["reasons"] == ["fragile"]
    assert Registry(open_storage(tmp_root), MODEL).live() == "1"
    allowed = turn(capsys, tmp_root, "--set", "gates.allow_fragile=true", "--set", "evaluate.evidence=[recounts]")
    assert allowed["status"] == "published"
