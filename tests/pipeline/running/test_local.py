"""Starting stages: their answers, their errors, and the settings they get."""

import json
import os

import pytest

from command.child import make_environment, write_settings
from command.load_settings import load
from pipeline.running.local import (
    InProcessRunner,
    ProcessRunner,
    StageFailed,
    StageKilled,
    read_answer,
)
from pipeline.running.stages import GATE, Stage

CONFIG = Stage("config", "pipeline.config", ())


def values(document):
    return {row["setting"]: row["value"] for row in document["settings"]}


@pytest.mark.parametrize("runner", [ProcessRunner(), InProcessRunner()])
def test_a_stage_gets_the_settings_of_the_run_and_no_others(runner, monkeypatch, tmp_path):
    (tmp_path / "trueup.yaml").write_text("train: {batch: 4}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUEUP_TRAIN_EPOCHS", "9")
    saved = load(env={}, overrides=["train.lr=0.5"]).model_dump(mode="json", exclude={"root", "model"})
    found = values(runner.run(CONFIG, [], saved | {"train": saved["train"] | {"batch": 32}}).document)
    assert (found["train.epochs"], found["train.batch"], found["train.lr"]) == (8, 32, 0.5)
    assert os.environ["TRUEUP_TRAIN_EPOCHS"] == "9"


def test_what_is_no_setting_stays_in_the_environment(monkeypatch):
    for name in ("TRUEUP_CLOCK_FILE", "AWS_ENDPOINT_URL", "TRUEUP_ROOT"):
        monkeypatch.setenv(name, "x")
    found = make_environment()
    assert found["TRUEUP_CLOCK_FILE"] == found["AWS_ENDPOINT_URL"] == "x" and "TRUEUP_ROOT" not in found


def test_saved_settings_are_gone_after_the_stage():
    with write_settings({"train": {"epochs": 3}}) as path:
        assert load(path=path, env={}).train.epochs == 3
    assert not os.path.exists(path)


def test_an_answering_exit_code_is_no_error():
    assert read_answer(GATE, 3, '{"verdict": "fail"}').document == {"verdict": "fail"}


def test_an_error_of_the_stage_keeps_its_message_and_exit_code():
    said = json.dumps({"error": {"code": "EmptyData", "message": "expected rows"}})
    with pytest.raises(StageFailed, match=r"gate \(pipeline.gate\): expected rows") as error:
        read_answer(GATE, 1, said)
    assert (error.value.exit_code, error.value.kind) == (1, "EmptyData")


@pytest.mark.parametrize(("code", "said", "message"), [
    (-9, "", "was killed by signal 9"), (1, "Traceback", "ended with code 1 and no JSON answer"),
    (0, "not json", "ended with code 0 and no JSON answer"), (0, "[1]", "no JSON answer")])
def test_an_end_without_an_answer_is_told_from_an_error(code, said, message):
    with pytest.raises(StageKilled, match=message):
        read_answer(GATE, code, said)


def test_arguments_are_filled_in_by_name():
    stage = Stage("x", "m", ("--as-of", "{as_of}", "--model", "{model}"), gives=(("dataset", "id"),), keep=("id",))
    assert stage.fill_arguments({"as_of": "T", "model": "a {b}"}) == ["--as-of", "T", "--model", "a {b}"]
    assert stage.pick_values({"id": 7}) == {"dataset": "7"} and stage.pick_record({"id": 7, "more": 1}) == {"id": 7}
