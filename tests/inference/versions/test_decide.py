"""Administrators decide on /models: the records are those of the command line, a key is fresh, two are two."""

import html
import json
from datetime import timedelta
from pathlib import Path

import pytest

from contract import clock
from contract.deciding.wanted import GATES
from contract.registry import Registry
from contract.storage import open_root
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.pages import decide
from inference.versions import asking, fresh
from pipeline import answering, model
from pipeline.gates import decide as gates
from tests.inference.page_text import fields
from tests.inference.small_service import MODEL, SmallService, application
from tests.inference.versions.client import Client
from tests.pipeline.roots import write_version

LATER = "2099-01-01"


@pytest.fixture
def registry(tmp_root):
    """Three versions, of which the first is live."""
    made = Registry(open_root(tmp_root, create=True), MODEL)
    for _ in range(3):
        write_version(made, made.claim(by="test"), Path(tmp_root))
    made.promote("1", by="test", reason="the first", expected_live=None)
    return made


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """Version -> why it does not answer; all others do. tests/browser/test_decide_browser.py asks a real one."""
    made = {}
    for place in (asking, answering):
        monkeypatch.setattr(place, "find_silence", lambda settings, registry, version: made.get(version))
    return made


class Person:
    """A browser of somebody whose key has these roles."""

    def __init__(self, app, ring, name, roles=("admin",), sign_in=True):
        self.token = ring.add(name, roles)
        self.id = self.token.partition(".")[0]
        self.client = Client(app)
        if sign_in:
            self.sign_in()

    def sign_in(self, to="/models"):
        return self.client.post("/login", data={"key": self.token, "next": to})

    def open(self, kind, version="", **others):
        return self.client.get("/models/decide", params={"kind": kind, "version": version, **others})

    def decide(self, kind, version="", reason="better", page=None, **others):
        page = page or self.open(kind, version, **({"gate": others["gate"]} if "gate" in others else {}))
        return self.client.post("/models/decide", data=fields(page) | {"reason": reason} | others)

    def answer(self, answer="approve"):
        return self.client.post("/models/proposals", data=fields(self.client.get("/models")) | {"answer": answer})


@pytest.fixture
def people(registry):
    """Makes people at one site; `second=True`: where two must agree."""

    def make(*names, second=False, **options):
        service = SmallService(registry.storage.root)
        serve = service.settings.serve.model_copy(update={"second_approver": second})
        service.settings = service.settings.model_copy(update={"serve": serve})
        ring = KeyRing(service.storage, cache_seconds=0)
        app = application(service, ring)
        return [Person(app, ring, name, **options) for name in names]

    return make


def newest(registry):
    return Registry(registry.storage, MODEL).newest()


def test_a_version_is_made_live_and_rolled_back_by_an_administrators_key(registry, people):
    (ana,) = people("ana")
    page = ana.open("promote", "2")
    assert "live now</span> version 1" in page.text and "<strong>version 2</strong>" in page.text
    done = ana.decide(None, page=page, reason="sees the new camera")
    assert done.path == "/models" and "Done: promote, record 2. Version 2 is live." in done.text
    record = newest(registry)
    assert (record.state.live, record.change["by"], record.change["reason"]) == ("2", ana.id, "sees the new camera")
    assert "Go back to version 1" in done.text
    ana.decide("rollback", "1", reason="it fails")
    assert (newest(registry).state.live, newest(registry).change["kind"]) == ("1", "rollback")


def test_the_records_are_those_of_the_command_line(registry, people, capsys, monkeypatch):
    moment = clock.parse_moment("2026-11-21T13:00:00Z")
    monkeypatch.setattr(clock, "now", lambda: moment)
    (ana,) = people("ana")
    steps = [("promote", "2", {}), ("rollback", "1", {}), ("override", "", {"gate": "accuracy", "until": LATER}),
             ("override withdrawn", "", {"gate": "accuracy"})]
    by_page = []
    for kind, version, others in steps:
        ana.decide(kind, version, "r", **others)
        by_page.append(newest(registry).change)
    common = ["--root", registry.storage.root, "--model", MODEL, "--by", ana.id, "--reason", "r"]
    for n, words in enumerate((["promote", "2"], ["rollback", "--to", "1"], ["override", "--gate", "accuracy", "--until", LATER],
                               ["override", "--gate", "accuracy", "--withdraw"])):
        assert model.main([*words, *common]) == 0
        assert newest(registry).change == by_page[n]


def test_a_key_must_have_been_shown_a_short_while_ago_and_nothing_typed_is_lost(registry, people, monkeypatch):
    (ana,) = people("ana")
    page = ana.open("promote", "2")
    then = clock.now_us() + 1_000_000 * (fresh.FRESH_S + 1)
    monkeypatch.setattr(clock, "now_us", lambda: then)
    asked = ana.decide(None, page=page, reason="sees the new camera")
    assert asked.status_code == 403 and "Your key once more" in asked.text and newest(registry).state.live == "1"
    back = ana.sign_in(fields(asked)["next"])
    assert back.path == "/models/decide" and 'value="sees the new camera"' in back.text
    ana.decide(None, page=back, reason="sees the new camera")
    assert newest(registry).state.live == "2"


def test_a_program_shows_its_key_and_needs_no_session(people):
    (ana,) = people("ana", sign_in=False)
    head = {"authorization": f"Bearer {ana.token}", "accept": "application/json"}
    said = {"kind": "promote", "version": "2", "reason": "r", "live": "1", "seq": "1"}
    done = ana.client.post("/models/decide", data=said, **head)
    assert done.path == "/models", done.text
    again = ana.client.post("/models/decide", data=said | {"version": "3"}, **head)
    assert (again.status_code, json.loads(again.text)["error"]["code"]) == (409, "pointer_moved")


@pytest.mark.parametrize("roles", [("read",), ("label", "predict", "read")])
def test_only_administrators_decide(registry, people, roles):
    (bo,) = people("bo", roles=roles)
    assert bo.open("promote", "2").status_code == 403
    assert bo.client.post("/models/decide", data=fields(bo.client.get("/models"))).status_code == 403
    assert "/models/decide" not in bo.client.get("/models").text and newest(registry).seq == 1


def test_a_form_without_the_sessions_token_is_refused(registry, people):
    (ana,) = people("ana")
    page = ana.open("promote", "2")
    assert ana.client.post("/models/decide", data=fields(page) | {"reason": "r", "csrf": "x"}).status_code == 403
    assert newest(registry).seq == 1


def test_without_keys_nothing_is_decided_and_the_page_says_so(registry):
    client = Client(application(SmallService(registry.storage.root), NoAuth()))
    page = client.get("/models")
    assert "Without keys (--no-auth) nothing is decided on this page" in page.text and "/models/decide" not in page.text
    assert client.get("/models/decide", params={"kind": "promote", "version": "2"}).status_code == 403
    said = {"kind": "promote", "version": "2", "reason": "r", "live": "1", "seq": "1"}
    assert client.post("/models/decide", data=said).status_code == 403 and newest(registry).seq == 1


def test_where_the_pointer_moved_meanwhile_nothing_is_done_even_when_it_moved_back(registry, people):
    (ana,) = people("ana")
    page = ana.open("promote", "3")
    registry.promote("2", by="ben", reason="r", expected_live="1")
    said = ana.decide(None, page=page)
    assert said.status_code == 409 and "Nothing was done" in said.text and "version 2 was made live by ben" in said.text
    registry.promote("1", by="ben", reason="it fails", expected_live="2", kind="rollback")
    assert ana.decide(None, page=page).status_code == 409 and newest(registry).state.live == "1"


@pytest.mark.parametrize(("kind", "others", "said"), [
    ("promote", {"version": "2", "reason": " "}, "expected a reason"),
    ("promote", {"version": "9", "reason": "r"}, "has no version"),
    ("override", {"gate": "luck", "until": LATER, "reason": "r"}, "expected a gate"),
    ("override", {"gate": "accuracy", "until": "2020-01-01", "reason": "r"}, "expected a moment after now"),
    ("override withdrawn", {"gate": "accuracy", "reason": "r"}, "there is none to withdraw"),
    ("approve", {"version": "2"}, "awaits no approval"), ("promote", {"version": "2", "reason": "r" * 501}, "at most 500")])
def test_what_cannot_be_is_said_on_a_page_and_changes_nothing(registry, people, kind, others, said):
    (ana,) = people("ana")
    answer = ana.client.post("/models/decide", data=fields(ana.open("promote", "2")) | {"kind": kind, "version": ""} | others)
    assert answer.status_code in (404, 409, 422) and said in html.unescape(answer.text) and newest(registry).seq == 1


def test_what_does_not_answer_is_not_made_live(registry, people, silent):
    silent["2"] = "It is broken."
    (ana,) = people("ana")
    said = ana.decide("promote", "2")
    assert said.status_code == 409 and "It is broken." in said.text and newest(registry).seq == 1


def test_two_must_agree_where_the_setting_says_so(registry, people):
    ana, ben = people("ana", "ben", second=True)
    assert "waits for another administrator" in ana.decide("promote", "2", "sees more").text and newest(registry).seq == 1
    assert "asked for the same already" in ben.decide("promote", "2").text
    mine = ana.client.get("/models").text
    assert "Another administrator has to approve it." in mine and ">Approve: " not in mine
    refused = ana.answer()
    assert refused.status_code == 422 and "expected another administrator" in refused.text and newest(registry).seq == 1
    assert "make version 2 live in place of version 1" in ben.client.get("/models").text
    done = ben.answer()
    record = newest(registry)
    assert "Version 2 is live." in done.text and f"{ana.id}, approved by {ben.id}" in done.text
    assert (record.change["by"], record.change["approved_by"], record.change["proposal"]) == (ana.id, ben.id, 1)
    assert "Waits for approval" not in done.text


@pytest.mark.parametrize("second", ["decline", "take back", "moved", "old"])
def test_a_proposal_that_is_closed_is_not_approved(registry, people, monkeypatch, second):
    ana, ben = people("ana", "ben", second=True)
    ana.decide("promote", "2")
    form = fields(ben.client.get("/models")) | {"answer": "approve"}
    if second in ("decline", "take back"):
        (ben if second == "decline" else ana).answer("decline")
    elif second == "moved":
        registry.promote("3", by="eve", reason="r", expected_live="1")
        registry.promote("1", by="eve", reason="r", expected_live="3", kind="rollback")
    else:
        later = clock.now() + timedelta(days=1, seconds=1)
        monkeypatch.setattr(clock, "now", lambda: later)
    before = newest(registry).seq
    refused = ben.client.post("/models/proposals", data=form)
    assert refused.status_code == 409 and "can no longer be approved" in refused.text and newest(registry).seq == before
    assert "Waits for approval" not in ben.client.get("/models").text


def test_an_approval_that_was_interrupted_can_be_given_again_by_the_same_person(registry, people, monkeypatch):
    ana, ben, eve = people("ana", "ben", "eve", second=True)
    ana.decide("override", gate="accuracy", until=LATER)
    form = fields(ben.client.get("/models")) | {"answer": "approve"}
    with monkeypatch.context() as broken:
        broken.setattr(decide.proposals, "carry_out", lambda *_, **__: 1 / 0)
        assert ben.client.post("/models/proposals", data=form).status_code == 500
    assert eve.client.post("/models/proposals", data=form | {"csrf": fields(eve.client.get("/models/decide", params={
        "kind": "override"}))["csrf"]}).status_code == 409
    assert ben.client.post("/models/proposals", data=form).status_code == 200
    assert newest(registry).change["approved_by"] == ben.id
    assert ben.client.post("/models/proposals", data=form).status_code == 409 and newest(registry).seq == 2


def test_the_gates_that_can_be_overridden_are_those_of_the_command_line():
    assert set(GATES) == set(gates.GATES)
