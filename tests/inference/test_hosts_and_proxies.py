"""Whom a service without keys answers, which Host is one, and whose word about https is believed."""

import pytest

from command.load_settings import load
from contract.errors import UsageError
from contract.storage import find_root_id, open_root
from inference.app import create_app
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.outbox.outbox import Outbox
from inference.service import Service
from tests.inference.asgi import call
from tests.inference.small_service import MODEL, publish


@pytest.fixture(scope="module")
def make_app(tmp_path_factory):
    """Makes the application of a service that was not started: pages and refusals need no model."""
    folder = tmp_path_factory.mktemp("hosts")
    root = str(folder / "root")
    storage = open_root(root, create=True)
    publish(storage, folder)
    box = Outbox(tmp_path_factory.mktemp("box"), storage.root, 1 << 30, find_root_id(storage))

    def make(*sets, keys=True):
        settings = load(root=root, overrides=list(sets), env={})
        return create_app(Service(storage, settings, box, [MODEL]), KeyRing(storage) if keys else NoAuth())

    yield make
    box.close()


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("localhost:8080", 200), ("127.0.0.1:80", 200), ("[::1]:8080", 200), ("LOCALHOST", 200),
    ("evil.example", 421), ("evil.example:8080", 421), ("127.0.0.1.evil.example", 421), ("localhost.evil.example", 421),
    ("10.0.0.5", 421), ("localhost@evil.example", 400), ("[", 400), ("", 400), ("a b", 400), ("\xe9", 400), ("0", 421)])
def test_without_keys_only_this_machines_names_are_answered(make_app, host, status):
    app = make_app(keys=False)
    for path in ("/health/live", "/v1/models", "/login", "/static/trueup.css", "/nowhere"):
        found = call(app, "GET", path, {"Host": host})
        assert (found.status == 404 if path == "/nowhere" and status == 200 else found.status == status), (path, found)
        assert status == 200 or set(found.error) == {"code", "message"}


def test_with_keys_any_name_is_answered_that_is_one(make_app):
    app = make_app()
    assert call(app, "GET", "/login", {"Host": "trueup.example:443"}).status == 200
    for host in ("[", "a b", "x/y", "[::1", "a" * 300):
        assert call(app, "GET", "/docs", {"Host": host}).error["code"] == "bad_host"


def cookie_of(app, key, client, **headers):
    """The cookie of a login from that address."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = call(app, "POST", "/login", form | headers, f"key={key}".encode(), client=client)
    assert answer.status == 303, answer.text
    return answer.headers["set-cookie"][0]


@pytest.mark.parametrize("client, trusted, secure", [
    ("127.0.0.1", "", True), ("10.1.2.3", "", False), ("10.1.2.3", "10.0.0.0/8", True), ("192.0.2.1", "10.0.0.0/8", False),
    ("127.0.0.1", "10.0.0.0/8", False), ("2001:db8::1", "2001:db8::/32", True)])
def test_cookies_are_secure_behind_the_proxies_that_a_setting_trusts(make_app, client, trusted, secure):
    app = make_app(*([f'serve.trusted_proxies=["{trusted}"]'] if trusted else []))
    token = app.state.keyring.add("ada", ["label"])
    assert ("Secure" in cookie_of(app, token, client, **{"X-Forwarded-Proto": "https"})) == secure
    assert "Secure" not in cookie_of(app, token, client)


@pytest.mark.parametrize("value", ['["10.0.0.1/8"]', '["proxy.example"]', '["*"]', '[""]'])
def test_a_proxy_that_is_no_network_is_a_wrong_setting(tmp_root, value):
    with pytest.raises(UsageError, match="expected an address or a network"):
        load(root=tmp_root, overrides=[f"serve.trusted_proxies={value}"], env={})


@pytest.mark.parametrize("origin", ["http://[", "http://\xe2\x84\x80.example", "null", "https://evil.example"])
def test_an_origin_that_is_no_address_is_a_foreign_one(make_app, origin):
    for app in (make_app(), make_app(keys=False)):
        refused = call(app, "POST", "/login", {"Origin": origin, "Content-Type": "application/x-www-form-urlencoded"}, b"key=x")
        assert refused.status == 403 and refused.error["code"] == "foreign_origin"
