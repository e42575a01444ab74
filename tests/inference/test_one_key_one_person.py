"""A key is one person unless it may name others, and holds its share of what waits: not more votes, not all batches."""

import json
import re
from urllib.parse import quote

import pytest

from contract import ids, jsonio, layout, samples
from contract.errors import RootError, UsageError
from contract.storage import open_root
from inference import keys
from inference.auth import NoAuth, sign_session
from inference.keys import KeyRing
from inference.labelling.documents import BatchHolder
from inference.labelling.queue import HoldsItsShare, Queue
from tests.inference.asgi import call, post_form, post_json
from tests.inference.published import publish_tiny
from tests.inference.serving import bearer, serving, table_rows, until
from tests.inference.small_service import DAY, MODEL, application, copy_service, make_sampled_root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_sampled_root(tmp_path_factory.mktemp("made"), 48)


@pytest.fixture
def service(made, tmp_root):
    return copy_service(made, tmp_root)


@pytest.fixture
def ring(service):
    return KeyRing(service.storage, cache_seconds=0.05)


def program(token):
    """The headers of a program with a key."""
    return bearer(token) | {"Accept": "application/json"}


def answer_first(batch):
    """What a program posts that answers the first item of a batch."""
    answers = [{"prediction_id": batch["items"][0]["prediction_id"], "label": "cat"}]
    return {"day": DAY, "batch": batch["batch"], "answers": answers}


def log_in(app, token, **fields):
    """(headers of a session, its CSRF token): the cookie as the form gave it."""
    body = "&".join(f"{name}={quote(value)}" for name, value in {"key": token, **fields}.items())
    answer = post_form(app, "/login", body)
    assert answer.status == 303, answer.text
    cookie = answer.headers["set-cookie"][0].partition(";")[0]
    page = call(app, "GET", "/login", {"Cookie": cookie, "Accept": "text/html"})
    return {"Cookie": cookie}, re.search(r'name="csrf" content="([0-9a-f]+)"', page.text)[1]


@pytest.mark.parametrize("may_name", [False, True])
def test_names_invented_under_one_key_are_one_person_unless_it_may_name_people(tmp_root, tmp_path, may_name):
    publish_tiny(tmp_root)
    mine = KeyRing(open_root(tmp_root))
    token = mine.add("Shop Ltd", ["label"], may_name_labelers=may_name)
    id_ = token.partition(".")[0]
    with serving(tmp_root, tmp_path / "outbox", keyring=mine) as client:
        said = {"prediction_id": ids.uuid7(), "label": "b"}
        names = [None, "Shop Ltd", id_, "  Shop   Ltd ", *(f"person {n}" for n in range(4)), f"{id_}/zoe"]
        sent = [client.post("/v1/labels", json=said | {"labeler": name}, headers=program(token)) for name in names]
        both = client.post("/v1/labels", json={"labels": [said, said | {"labeler": "x"}]}, headers=program(token))
        until(lambda: len(table_rows(tmp_root, "labels")) == len(names) + 2)
    assert {a.status_code for a in [*sent, both]} == {201}
    found = {row["labeler"] for row in table_rows(tmp_root, "labels")}
    told = ["notice" in answer.json() for answer in [*sent, both]]
    if may_name:
        assert found == {id_, f"{id_}/Shop Ltd", f"{id_}/zoe", f"{id_}/x", *(f"{id_}/person {n}" for n in range(4))}
        assert not any(told)
        return
    assert found == {id_} and told == [False] * 4 + [True] * 6
    notice = both.json()["notice"]
    assert notice.startswith(f"kept under {id_}, not under 'x'") and "--may-name-labelers" in notice


def test_an_admin_names_people_and_without_keys_everybody_does(service, ring):
    head = program(ring.add("root", ["admin"]))
    assert call(application(service, ring), "GET", "/audit?format=json&labeler=zoe", head).json()["batch"] == 1
    assert call(application(service, NoAuth()), "GET", "/audit?format=json&labeler=zoe").json()["batch"] == 2


@pytest.mark.parametrize("path", [
    "/audit?format=json&labeler=zoe", "/review?labeler=zoe", "/?labeler=zoe", "/review?labeler=%20zoe"])
def test_a_page_for_another_name_is_refused(service, ring, path):
    answer = call(application(service, ring), "GET", path, program(ring.add("ada", ["label", "predict"])))
    assert answer.status == 403 and answer.error["code"] == "labeler_not_allowed"


def test_a_session_of_a_key_of_several_people_is_one_of_them(service, ring):
    app, token = application(service, ring), ring.add("team", ["label"], may_name_labelers=True)
    head, csrf = log_in(app, token, labeler=" Zoë ", next="/audit")
    batch = call(app, "GET", "/audit?format=json", head).json()
    assert post_json(app, "/audit", answer_first(batch), **head, **{"X-CSRF-Token": csrf}).status == 201
    assert [row["labeler"] for row in service.rows] == [f"{token.partition('.')[0]}/Zoë"]
    assert "<bdi>Zoë</bdi>" in call(app, "GET", "/login", head | {"Accept": "text/html"}).text


def test_a_login_under_another_name_needs_the_right(service, ring):
    app, token = application(service, ring), ring.add("ada", ["label"])
    refused = post_form(app, "/login", f"key={token}&labeler=zoe")
    assert refused.status == 403 and "--may-name-labelers" in refused.text and "set-cookie" not in refused.headers
    assert post_form(app, "/login", f"key={token}&labeler=ada").status == 303
    assert 'value="zoe"' in call(app, "GET", "/login?labeler=zoe", {"Accept": "text/html"}).text


def test_keys_made_before_there_was_the_right_are_one_person(service, ring):
    token = ring.add("old", ["label"])
    key = layout.api_key(token.partition(".")[0])
    document = jsonio.loads(service.storage.read(key))
    assert document.pop("may_name_labelers") is False
    service.storage.put(key, jsonio.dumps(document))
    app = application(service, KeyRing(service.storage))
    assert call(app, "GET", "/audit?format=json", program(token)).json()["batch"] == 1
    assert call(app, "GET", "/audit?format=json&labeler=x", program(token)).status == 403


def test_the_command_gives_the_right_and_shows_it(tmp_root, capsys):
    assert keys.main(["add", "team", "--role", "label", "--may-name-labelers", "--root", tmp_root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["may_name_labelers"] is True
    assert keys.main(["add", "ada", "--role", "label", "--root", tmp_root]) == 0
    capsys.readouterr()
    assert keys.main(["list", "--root", tmp_root]) == 0
    assert [("names labelers" in line) for line in sorted(capsys.readouterr().out.splitlines())] == [False, True]
    assert keys.main(["add", "cam", "--role", "predict", "--may-name-labelers", "--root", tmp_root]) == 2
    assert "expected the role label" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b", "a\udc80b", "a\u200bb"])
def test_a_key_needs_a_name_that_can_be_written(ring, name):
    with pytest.raises(UsageError, match="character|no Unicode"):
        ring.add(name, ["label"])


def test_one_person_holds_one_batch_however_often_they_ask(service, ring):
    app = application(service, ring)
    ada, bob = (program(ring.add(name, ["label"])) for name in ("ada", "bob"))
    first = call(app, "GET", "/review?format=json&size=5", ada).json()
    again = [call(app, "GET", f"/review?format=json&size={size}", ada).json() for size in (5, 50, 200)]
    assert {b["batch"] for b in again} == {first["batch"]} and again[0]["items"] == first["items"]
    assert len(call(app, "GET", "/review?format=json", bob).json()["items"]) == 12  # of another class
    assert post_json(app, "/review", answer_first(first), **ada).status == 201
    rest = call(app, "GET", "/review?format=json", ada).json()
    assert (rest["batch"], rest["items"]) == (first["batch"], first["items"][1:])


def test_a_key_of_several_people_holds_its_share_and_no_more(service, ring):
    app, head = application(service, ring), program(ring.add("team", ["label"], may_name_labelers=True))
    asked = [call(app, "GET", f"/review?format=json&labeler=p{n}&size=3", head) for n in range(7)]
    assert [a.status for a in asked] == [200] * 4 + [429] * 3
    assert asked[-1].error["code"] == "holds_its_share" and "log out" in asked[-1].error["message"]
    assert call(app, "GET", "/review?format=json&labeler=p1", head).json()["batch"] == 2  # their own goes on
    assert call(app, "GET", "/review?format=json", program(ring.add("bob", ["label"]))).json()["items"]


def test_a_logout_gives_the_batch_back(service, ring):
    app, token = application(service, ring), ring.add("ada", ["label"])
    head, csrf = log_in(app, token)
    held = call(app, "GET", "/audit?format=json&size=48", head).json()
    bob = program(ring.add("bob", ["label"]))
    assert len(held["items"]) == 48 and call(app, "GET", "/audit?format=json", bob).json()["items"] == []
    assert post_form(app, "/logout", f"csrf={csrf}", **head).status == 303
    assert len(call(app, "GET", "/audit?format=json&size=48", bob).json()["items"]) == 48


def test_two_requests_of_one_person_at_once_get_one_batch(service):
    queue = Queue(service.storage, samples.read(service.storage, MODEL, DAY, "audit"))
    other = Queue(service.storage, queue.sample)
    ada = BatchHolder(actor="ada-000001", labeler="ada-000001")
    n, _ = queue.resume_or_hand_out(ada, 5, 4)
    assert other.find_open_batch(ada)[0] == n and other.hand_out(ada, 5, 4)[0] == n
    queue.release(ada)
    assert queue.find_open_batch(ada) is None and other.find_open_batch(ada) is None
    with pytest.raises(HoldsItsShare, match="holds 1 batches"):
        [queue.resume_or_hand_out(BatchHolder(actor="t-000001", labeler=f"t/{n}"), 2, 1) for n in range(2)]


def test_a_session_that_was_left_is_over_at_every_replica(service, ring):
    app, token = application(service, ring), ring.add("ada", ["label"])
    replica = KeyRing(service.storage, cache_seconds=0.05)
    elsewhere = application(service, replica)
    head, csrf = log_in(app, token)
    other, _ = log_in(app, token)
    page = {"Accept": "text/html"}
    assert call(elsewhere, "GET", f"/audit?day={DAY}", head | page).status == 303
    assert post_form(app, "/logout", "csrf=x", **head).status == 403  # a form of another site ends nothing
    assert post_form(app, "/logout", f"csrf={csrf}", **head).status == 303
    for site in (app, elsewhere, application(service, KeyRing(service.storage))):
        until(lambda site=site: call(site, "GET", "/audit", head | page).headers["location"] == ["/login?next=%2Faudit"], 5)
    assert call(app, "GET", "/models", other | page).status == 403  # another session of the key is none of its business
    old = sign_session(ring.read_session_secret(), token.partition(".")[0])
    assert call(app, "GET", "/models", {"Cookie": f"trueup_session={old}"} | page).status == 403


def test_a_store_that_takes_no_end_of_a_session_keeps_nobody_in(service, ring, monkeypatch):
    app, token = application(service, ring), ring.add("ada", ["label"])
    head, csrf = log_in(app, token)

    def refuse(key, data):
        raise RootError("read only")

    monkeypatch.setattr(ring.storage, "create", refuse)
    assert post_form(app, "/logout", f"csrf={csrf}", **head).status == 303
    assert call(app, "GET", "/audit", head | {"Accept": "text/html"}).headers["location"] == ["/login?next=%2Faudit"]


def test_ends_of_sessions_that_are_over_are_dropped(service, ring):
    ring.ended.end("one.cookie", 1)
    ring.ended.note(["ended-1-" + "0" * 32, "ended-x", "ada-000001"])
    ring.ended.end("other.cookie", 4_000_000_000)
    left = [e.key for e in service.storage.list("keys/ended")]
    assert len([key for key in left if "ended-4000000000-" in key]) == 1 and "keys/ended-1-" + "0" * 32 + ".json" not in left
