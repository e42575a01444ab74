"""Keys, roles, sessions: over real HTTP, with keys in a real root."""

import asyncio
import json
from contextlib import contextmanager

import httpx
import pytest

from contract import clock, layout
from contract.errors import UsageError
from contract.storage import open_root
from inference import auth, keys
from inference.auth import NoAuth, make_csrf_token, sign_session
from inference.keys import KeyRing
from tests.inference.serving import until
from tests.inference.small_service import SmallService, application, serving


@pytest.fixture
def ring(tmp_root):
    return KeyRing(open_root(tmp_root, create=True), cache_seconds=0.1)


@contextmanager
def site(ring, token=None, **headers):
    service = SmallService(ring.storage.root)
    with serving(application(service, ring)) as address:
        given = headers | ({"Authorization": f"Bearer {token}"} if token else {})
        with httpx.Client(base_url=address, headers=given) as client:
            client.service = service
            yield client


def identify(ring, token):
    return asyncio.run(ring.identify(token))


JUDGEMENT = {"prediction_id": "01a1f8d3-ea00-7108-909a-007e5c57f9ce", "label": "cat"}


def test_a_key_is_stored_hashed_and_its_token_works(ring):
    token = ring.add("Ada Lovelace", ["label"])
    id_, _, secret = token.partition(".")
    stored = ring.storage.read(layout.api_key(id_)).decode()
    assert id_.startswith("ada-lovelace-") and secret not in stored and len(secret) >= 43
    assert identify(ring, token).name == "Ada Lovelace"


@pytest.mark.parametrize("token", ["", ".", "ada", "ada-000000.x", "../x-000000.y", "ada-00000\u00e9.\u00e9", "x" * 9000])
def test_other_tokens_are_nobody(ring, token):
    right = ring.add("ada", ["label"])
    assert identify(ring, token) is None
    assert identify(ring, right[:-1]) is None and identify(ring, right + "x") is None


def test_a_revoked_key_is_refused_by_another_replica_within_the_cache_time(ring):
    token = ring.add("ada", ["label"])
    replica = KeyRing(open_root(ring.storage.root), cache_seconds=0.1)
    assert identify(replica, token)
    ring.revoke(token.partition(".")[0])
    assert identify(ring, token) is None
    until(lambda: not identify(replica, token), 5)


def test_roles_are_asked_for(ring):
    with site(ring, ring.add("p", ["predict"])) as client:
        assert client.post("/v1/predictions", content=b"x").status_code == 200
        refused = client.post("/v1/labels", json=JUDGEMENT)
        assert refused.status_code == 403 and "needs the role label" in refused.json()["error"]["message"]


def test_admin_has_every_role(ring):
    with site(ring, ring.add("root", ["admin"])) as client:
        assert client.post("/v1/labels", json=JUDGEMENT).status_code == 201
        assert client.post("/v1/predictions", content=b"x").status_code == 200


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic YTpi", "Bearer"])
def test_without_a_good_key_nobody_enters(ring, header):
    ring.add("ada", ["label"])
    with site(ring, **({"Authorization": header} if header else {})) as client:
        refused = client.post("/v1/labels", json=JUDGEMENT)
        assert refused.status_code == 401 and refused.json()["error"]["code"] == "unauthorized"
        assert client.service.rows == []


def test_a_session_needs_its_csrf_token_to_change_something(ring):
    secret = ring.read_session_secret()
    cookie = sign_session(secret, ring.add("ada", ["label"]).partition(".")[0])
    with site(ring, Cookie=f"{auth.SESSION_COOKIE}={cookie}") as client:
        assert client.post("/v1/labels", json=JUDGEMENT).json()["error"]["code"] == "csrf"
        wrong = client.post("/v1/labels", json=JUDGEMENT, headers={"X-CSRF-Token": "\u00e9".encode("latin-1")})
        assert wrong.status_code == 403
        right = {"X-CSRF-Token": make_csrf_token(secret, cookie)}
        assert client.post("/v1/labels", json=JUDGEMENT, headers=right).status_code == 201


def test_sessions_are_shared_by_replicas_end_with_their_key_and_cannot_be_forged(ring):
    token = ring.add("ada", ["label"])
    id_ = token.partition(".")[0]
    cookie = sign_session(ring.read_session_secret(), id_)
    replica = KeyRing(open_root(ring.storage.root), cache_seconds=0.0)
    assert auth.open_session(replica.read_session_secret(), cookie)["key"] == id_
    assert auth.open_session(b"another secret", cookie) is None
    assert auth.open_session(ring.read_session_secret(), "A" + cookie[1:]) is None
    ring.revoke(id_)
    assert asyncio.run(replica.identify_session(id_)) is None


def test_a_session_ends_after_a_week(ring, monkeypatch, tmp_path):
    cookie = sign_session(ring.read_session_secret(), "ada-000000")
    (tmp_path / "clock").write_text(str(auth.SESSION_SECONDS + 1))
    monkeypatch.setenv(clock.CLOCK_FILE, str(tmp_path / "clock"))
    assert auth.open_session(ring.read_session_secret(), cookie) is None


def test_without_keys_everybody_may_everything_but_foreign_pages_may_not_write(tmp_root):
    service = SmallService(tmp_root)
    with serving(application(service, NoAuth())) as address:
        assert httpx.post(f"{address}/v1/labels", json=JUDGEMENT).status_code == 201
        foreign = {"Origin": "https://elsewhere.example"}
        refused = httpx.post(f"{address}/v1/labels", json=JUDGEMENT, headers=foreign)
        assert refused.status_code == 403 and refused.json()["error"]["code"] == "foreign_origin"
        assert httpx.post(f"{address}/v1/labels", json=JUDGEMENT, headers={"Origin": address}).status_code == 201
    assert [row["labeler"] for row in service.rows] == ["anonymous"] * 2


def test_a_key_with_a_rate_is_told_to_wait(ring):
    with site(ring, ring.add("busy", ["predict"], rate=2)) as client:
        answers = [client.post("/v1/predictions", content=b"x") for _ in range(6)]
        codes = [answer.status_code for answer in answers]
        assert codes[:2] == [200, 200] and 429 in codes
        assert int(next(a for a in answers if a.status_code == 429).headers["Retry-After"]) >= 1


def test_nobody_speaks_for_the_people_of_another_key():
    ada = auth.Caller("ada-000001", "ada", frozenset({"label"}))
    bob = auth.Caller("bob-000002", "bob", frozenset({"label"}), names_labelers=True)
    assert ada.name_labeler() == "ada-000001" and bob.name_labeler("ada-000001") == "bob-000002/ada-000001"
    with pytest.raises(auth.Refused, match="the key ada-000001 is one person, 'ada'"):
        ada.name_labeler("bob-000002")


def test_the_invitation_makes_one_administrator(ring):
    invitation = ring.invite()
    assert ring.is_invited(invitation) and not ring.is_invited(invitation[:-1] + "?")
    token = ring.accept_invitation(invitation, "first")
    assert identify(ring, token).may("predict")
    assert ring.accept_invitation(invitation, "second") is None and ring.invite() is None


def test_an_invitation_is_void_once_a_key_exists(ring):
    invitation = ring.invite()
    ring.add("ada", ["admin"])
    assert not ring.is_invited(invitation) and ring.accept_invitation(invitation, "late") is None


def test_the_command_adds_lists_and_revokes(tmp_root, capsys):
    assert keys.main(["add", "Ada", "--role", "label", "--role", "read", "--root", tmp_root, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert keys.main(["revoke", made["id"], "--root", tmp_root]) == 0
    capsys.readouterr()
    assert keys.main(["list", "--root", tmp_root, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["keys"]
    assert [(k["id"], k["roles"], "sha256" in k) for k in listed] == [(made["id"], ["label", "read"], False)]
    assert listed[0]["revoked_at"]


def test_unknown_roles_and_keys_are_named(ring):
    with pytest.raises(UsageError, match="expected roles among predict, label, read, admin, got boss"):
        ring.add("ada", ["boss"])
    with pytest.raises(UsageError, match="there is no key 'ada-000000'"):
        ring.revoke("ada-000000")
