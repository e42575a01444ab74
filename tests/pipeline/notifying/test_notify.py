"""Messages: what is sent of a cycle's documents, at least once, signed, and nowhere a secret."""

import hashlib
import hmac
import json
import os
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from command.load_settings import load
from contract import clock, layout
from contract.documents.notified import NotifyFailure
from contract.evaluations import order_newest_first
from contract.registry import Registry
from contract.runs import AWAITING, Plan, Runs, Timing
from contract.storage import open_storage
from jobs import evaluate
from pipeline import cycle, gate
from pipeline.notifying import command, owed
from pipeline.running import stages
from tests.pipeline.notifying.conftest import SECRET, targets
from tests.pipeline.roots import DAY, MODEL, make_root, write_version

pytestmark = pytest.mark.usefixtures("fake_stages")


def turn(root, *options):
    return cycle.main(["--root", root, "--model", MODEL, "--in-process", "--json", *options])


def notify(root, capsys, *options, code=0):
    capsys.readouterr()
    assert command.main(["--root", root, "--json", *options]) == code
    return json.loads(capsys.readouterr().out)


def events(receiver):
    return [json.loads(body)["event"] for _, _, body in receiver.requests]


def search(folder, *words: str) -> list[tuple[str, str]]:
    """Every file below a folder that holds one of the words."""
    return [(str(file), word) for file in Path(folder).rglob("*") if file.is_file()
            for word in words if word.encode() in file.read_bytes()]


def test_a_cycle_tells_of_its_verdict_and_of_what_it_published(tmp_root, receiver, capsys):
    make_root(tmp_root, right=120, n=200)
    assert turn(tmp_root, *targets()) == 0
    assert sorted(events(receiver)) == ["published", "published", "verdict"]  # the first version, the verdict on it, the second
    last = json.loads(receiver.requests[-1][2])
    assert (last["model"], last["facts"]["version"], last["facts"]["replaces"]) == (MODEL, "2", "1")
    assert last["sentence"] == "digits: version 2 is live in place of version 1."
    assert notify(tmp_root, capsys, *targets()) == {"root": open_storage(tmp_root).root, "sent": [], "failed": []}


def test_a_receiver_that_fails_twice_gets_it_the_third_time_in_one_go(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    receiver.answers = [(503, {}), (429, {"Retry-After": "0"})]
    made = notify(tmp_root, capsys, *targets())
    assert [s["event"] for s in made["sent"]] == ["published"] and len(receiver.requests) == 3
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.requests}) == 1
    assert len({body for _, _, body in receiver.requests}) == 1


def test_what_was_not_accepted_stays_owed_is_kept_and_fails_no_cycle(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    receiver.answers = [(500, {})] * 6  # three tries at the end of the gate, three at the end of the cycle
    assert turn(tmp_root, *targets()) == 0
    said = capsys.readouterr().err
    assert "notify: ops: published of digits was not sent: the receiver answered 500" in said
    failure = NotifyFailure.load(open_storage(tmp_root), layout.notified(MODEL, "ops", "last-failure"))
    assert (failure.event, failure.attempts, failure.error) == ("published", 3, "the receiver answered 500")
    assert {s["event"] for s in notify(tmp_root, capsys, *targets())["sent"]} == {"published", "verdict"}


def test_a_crash_between_sending_and_noting_sends_again_with_the_same_key(tmp_root, receiver, capsys, monkeypatch):
    make_root(tmp_root, right=197, n=200)
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(owed.Post, "_note", lambda *_: (_ for _ in ()).throw(SystemExit(9)))
        command.main(["--root", tmp_root, *targets()])
    notify(tmp_root, capsys, *targets())
    (_, first, one), (_, again, two) = receiver.requests
    assert first["Idempotency-Key"] == again["Idempotency-Key"] == json.loads(one)["idempotency_key"] and one == two


def test_the_signature_is_that_of_timestamp_and_body(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    notify(tmp_root, capsys, *targets())
    (_, headers, body), = receiver.requests
    signed = headers["X-Trueup-Timestamp"].encode() + b"." + body
    assert headers["X-Trueup-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def test_neither_address_nor_secret_is_in_any_document_or_output(tmp_root, receiver, capfd):
    make_root(tmp_root, right=120, n=200)
    receiver.answers = [(500, {}), (302, {"Location": "http://127.0.0.1:9/other"}), (404, {})]
    turn(tmp_root, *targets())
    command.main(["--root", tmp_root, *targets()])
    command.main(["--root", tmp_root, "--test", *targets()])
    said = capfd.readouterr()
    assert len(receiver.requests) > 3
    assert search(tmp_root, SECRET, "7Kq2secretpath") == []
    assert not any(word in text for word in (SECRET, "7Kq2secretpath") for text in (said.out, said.err))
    assert search(tmp_root, "env:OPS_SECRET")  # the run keeps the reference: the search finds what there is


def test_a_redirect_is_not_followed_and_not_tried_again(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    receiver.answers = [(307, {"Location": receiver.url.replace("hook", "other")})]
    made = notify(tmp_root, capsys, *targets(), code=1)
    assert made["failed"][0]["error"] == "the receiver answered 307, a redirect, which is not followed"
    assert [path for path, _, _ in receiver.requests] == ["/hook-7Kq2secretpath"]


def test_the_ends_of_runs_are_told_by_what_they_mean_for_people(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    runs, now = Runs(open_storage(tmp_root), MODEL), clock.iso(clock.now())
    for status in ("healthy", "refused", AWAITING, "failed", "pointer moved", "cannot tell", "published"):
        plan = Plan(model=MODEL, window={"from": DAY, "to": DAY}, as_of=now, live="1", live_seq=1)
        runs.acquire(lambda plan=plan: plan, Timing()).finish(status, 0, f"It is {status}.")
    made = notify(tmp_root, capsys, *targets(events=["refused", "approval", "failed"]))
    assert [(s["event"], s["sentence"]) for s in made["sent"]] == [
        ("refused", "digits: run digits/2 ended: refused. It is refused."),
        ("approval", "digits: run digits/3 ended: awaiting approval. It is awaiting approval."),
        ("failed", "digits: run digits/4 ended: failed. It is failed."),
        ("failed", "digits: run digits/5 ended: pointer moved. It is pointer moved.")]


def test_what_is_owed_is_sent_also_where_a_cycle_ends_by_an_error_that_nobody_expected(tmp_root, receiver, monkeypatch):
    make_root(tmp_root, right=120, n=200)
    broken = replace(stages.RETRAINING[0], module="tests.fakes.no_such_stage")
    monkeypatch.setattr(stages, "JUDGING", ())
    monkeypatch.setattr(cycle.Turn, "_judge", lambda turn: turn._stage(broken))
    with pytest.raises(ModuleNotFoundError):
        turn(tmp_root, *targets(events=["published"]))
    assert events(receiver) == ["published"]


def test_a_verdict_is_told_when_it_changes_only(tmp_root, receiver):
    make_root(tmp_root, right=197, n=200)
    only = targets(events=["verdict"])
    for days in ("20", "21"):  # another window of the same data: another evaluation, the same verdict
        assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--set", f"evaluate.days={days}"]) == 0
        told = len(receiver.requests)
        assert gate.main(["--root", tmp_root, "--model", MODEL, "--dry-run", *only]) == 0 and len(receiver.requests) == told
        assert gate.main(["--root", tmp_root, "--model", MODEL, *only]) == 0
    assert [json.loads(body)["facts"]["before"] for _, _, body in receiver.requests] == [None]
    assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--set", "evaluate.days=22"]) == 0
    assert gate.main(["--root", tmp_root, "--model", MODEL, "--set", "gates.min_accuracy=0.9999", *only]) != 0
    last = json.loads(receiver.requests[-1][2])
    assert len(receiver.requests) == 2 and last["facts"]["before"] == "pass" and "it was 'pass'" in last["sentence"]


def test_verdicts_of_one_second_are_told_in_the_order_of_their_moments(tmp_root, receiver, capsys):
    """Names of evaluations say the second alone, and go on with a digest."""
    make_root(tmp_root, right=197, n=200)
    second = f"{clock.now() - timedelta(seconds=5):%Y-%m-%dT%H:%M:%S}"
    for n in range(6):  # the last one fails; by chance alone it would be last by name in one of six roots
        as_of = ("--as-of", f"{second}.{n:06}Z")
        assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--no-report", *as_of]) == 0
        bound = ["--set", "gates.min_accuracy=0.9999"] if n == 5 else []
        storage = open_storage(tmp_root)
        newest = list(order_newest_first(storage, MODEL, storage.folders(layout.evaluations(MODEL))))
        assert (gate.main(["--root", tmp_root, "--model", MODEL, "--evaluation", newest[0], *bound]) == 0) == (n < 5)
    notify(tmp_root, capsys, *targets(events=["verdict"]))
    said = [json.loads(body)["facts"] for _, _, body in receiver.requests]
    assert [(f["before"], f["verdict"]) for f in said] == [(None, "pass"), ("pass", "fail")]


def test_a_log_that_no_longer_grows_is_told_once_also_without_a_cycle(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200, day="2026-01-05")
    only = targets(events=["stale"])
    assert [s["sentence"] for s in notify(tmp_root, capsys, *only, "--dry-run")["owed"]] == [
        "digits: the newest prediction in the bucket is of 2026-01-05. See whether it is served and its log shipped."]
    assert len(notify(tmp_root, capsys, *only)["sent"]) == 1 and notify(tmp_root, capsys, *only)["sent"] == []


def test_what_is_older_than_notify_days_is_not_sent(tmp_root, receiver, capsys, monkeypatch):
    make_root(tmp_root, right=197, n=200)
    then = clock.now() + timedelta(days=8)
    monkeypatch.setattr(clock, "now", lambda: then)
    assert notify(tmp_root, capsys, *targets(events=["published"]), "--dry-run")["owed"] == []


def test_slack_gets_its_own_form_with_its_special_characters_escaped(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    notify(tmp_root, capsys, *targets({"name": "team", "kind": "slack", "url": "env:OPS_URL"}))
    (_, headers, body), = receiver.requests
    message = json.loads(body)
    assert set(message) == {"text", "blocks"} and message["text"] == "digits: version 1 is live."
    assert message["blocks"][0]["block_id"] == headers["Idempotency-Key"] and "X-Trueup-Signature" not in headers


def test_a_test_message_reaches_each_target_and_is_not_kept(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    before = {e.key for e in open_storage(tmp_root).list()}
    made = notify(tmp_root, capsys, "--test", *targets({"name": "a", "url": "env:OPS_URL", "secret": "env:OPS_SECRET"},
                                                       {"name": "b", "kind": "slack", "url": "env:OPS_URL"}))
    assert [s["target"] for s in made["sent"]] == ["a", "b"] and len(receiver.requests) == 2
    assert {e.key for e in open_storage(tmp_root).list()} == before


def test_one_target_that_is_away_keeps_no_message_from_the_other(tmp_root, receiver, capsys, monkeypatch):
    make_root(tmp_root, right=197, n=200)
    monkeypatch.setenv("AWAY", "http://127.0.0.1:9/gone")
    made = notify(tmp_root, capsys, *targets({"name": "away", "kind": "slack", "url": "env:AWAY"},
                                             {"name": "ops", "url": "env:OPS_URL", "secret": "env:OPS_SECRET"}), code=1)
    assert [s["target"] for s in made["sent"]] == ["ops"]
    assert made["failed"][0]["error"] == "the receiver was not reached (ConnectionRefusedError)"


def test_a_receiver_that_never_answers_holds_a_cycle_no_longer_than_the_setting(tmp_root, receiver, capsys, monkeypatch):
    make_root(tmp_root, right=197, n=200)
    hangs = threading.Event()
    monkeypatch.setattr(owed.Post, "send_owed", lambda *_: hangs.wait(20))
    monkeypatch.setattr(owed, "SLACK_S", 0.05)
    began = time.monotonic()
    with owed.send_afterwards(open_storage(tmp_root), load(env={}, model=MODEL, overrides=[
            *targets()[1::2], "notify.seconds=0.05"])):
        pass
    assert time.monotonic() - began < 10
    hangs.set()
    assert "notify: not done within 0.05 s; `trueup notify` sends what is left." in capsys.readouterr().err


def test_two_roots_of_the_same_model_have_keys_of_their_own(tmp_path, receiver, capsys):
    for name in "ab":
        make_root(str(tmp_path / name), right=197, n=200)
        notify(str(tmp_path / name), capsys, *targets(events=["published"]))
    assert len({headers["Idempotency-Key"] for _, headers, _ in receiver.requests}) == 2


def test_a_rollback_is_a_publication(tmp_root, receiver, capsys):
    make_root(tmp_root, right=197, n=200)
    registry = Registry(open_storage(tmp_root), MODEL)
    write_version(registry, registry.claim(by="test"), Path(os.getcwd()))
    registry.promote("2", by="test", reason="r", expected_live="1")
    registry.promote("1", by="ann", reason="worse", expected_live="2", kind="rollback")
    last = notify(tmp_root, capsys, *targets(events=["published"]))["sent"][-1]
    assert last["sentence"] == "digits: version 1 is live in place of version 2."
