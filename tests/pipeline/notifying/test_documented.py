"""docs/monitoring.md shows what is sent, names every metric and event that there is, and its check of a signature holds."""

import hashlib
import hmac
import json
import re
import time
from pathlib import Path

import yaml

from command.load_settings import load
from contract.sections.notify import EVENTS, Target
from contract.storage import open_storage
from pipeline.notifying.events import Event
from pipeline.notifying.messages import make_body, make_headers

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "monitoring.md").read_text()
SECRET, STAMP = "words that only both of us know", 1795953642
EVENT = Event("digits", "verdict", "20261129T120000Z-1f0c9a3e", "2026-11-29T12:00:41.120000Z",
              "digits: the verdict is 'fail', it was 'pass'. Version 3 fails: accuracy is 86.2% (83.1 to 88.9%), below the bound "
              "of 90%.", {"verdict": "fail", "before": "pass", "version": "3", "evaluation": "20261129T120000Z-1f0c9a3e",
                          "reasons": []})


def block(kind: str, holding: str) -> str:
    """The fenced block of that kind that holds a text."""
    fenced = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE, re.M | re.S)
    return next(text for first, text in fenced if first == kind and holding in text)


def send() -> tuple[bytes, dict[str, str]]:
    storage = open_storage("s3://my-bucket/trueup")
    body = make_body(Target(name="ops", url="env:A", secret="env:B"), EVENT, storage)
    return body, make_headers(body, EVENT.make_key(storage), SECRET, STAMP)


def test_the_payload_and_its_headers_are_what_is_sent():
    body, headers = send()
    assert block("json", "idempotency_key") == body.decode()
    assert block("", "X-Trueup-Signature: ") == "".join(f"{name}: {value}\n" for name, value in headers.items())


def test_the_check_of_a_signature_takes_what_is_sent_and_nothing_else(monkeypatch):
    names = {"hmac": hmac, "hashlib": hashlib, "time": time}
    exec(block("python", "def is_ours"), names)
    is_ours, (body, headers) = names["is_ours"], send()
    monkeypatch.setattr(time, "time", lambda: STAMP + 10)
    assert is_ours(body, headers, SECRET)
    assert not is_ours(body + b" ", headers, SECRET) and not is_ours(body, headers, "other words")
    assert not is_ours(body, headers | {"X-Trueup-Timestamp": str(STAMP + 1)}, SECRET)
    monkeypatch.setattr(time, "time", lambda: STAMP + 301)
    assert not is_ours(body, headers, SECRET)


def test_the_example_of_the_setting_is_taken(tmp_path):
    (tmp_path / "trueup.yaml").write_text(block("yaml", "notify:"))
    assert [t.kind for t in load(path=str(tmp_path / "trueup.yaml"), env={}).notify.targets] == ["webhook", "slack"]
    assert yaml.safe_load(block("yaml", "scrape_configs"))


def test_every_event_is_named():
    assert [name for name in EVENTS if f"| `{name}` |" not in PAGE] == []


def test_slack_has_two_blocks_and_the_text_alone_says_it_all():
    message = json.loads(make_body(Target(name="a", kind="slack", url="env:A"), EVENT, open_storage("s3://my-bucket/trueup")))
    assert message["text"] == EVENT.sentence and [b["type"] for b in message["blocks"]] == ["section", "context"]
