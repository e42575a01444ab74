"""What goes wrong is a page for a browser and JSON for programs; neither says where the root lies, or shows a traceback."""

import asyncio
import json

import pytest

from command.load_settings import load
from contract.errors import RootError
from contract.storage import find_root_id, open_root
from inference.app import create_app
from inference.auth import NoAuth, Refused, make_csrf_token, sign_session
from inference.keys import KeyRing
from inference.outbox.outbox import Outbox
from inference.pages.problems import API, WORDS, hide_root
from inference.service import Service
from tests.inference.asgi import ask
from tests.inference.route_cases import list_routes
from tests.inference.small_service import MODEL, publish

BROWSER, PROGRAM = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, {"Accept": "application/json"}
REPORT = f"/reports/{MODEL}/20261101T000000Z-00000000/report.html"
STATUSES = (400, 403, 404, 405, 408, 409, 410, 413, 415, 422, 429, 500, 503)


class Site:
    """The application with keys and without, of a service that was not started."""

    def __init__(self, folder) -> None:
        self.storage = open_root(str(folder / "root"), create=True)
        publish(self.storage, folder)
        self.box = Outbox(folder / "box", self.storage.root, 1 << 30, find_root_id(self.storage))
        self.service = Service(self.storage, load(root=self.storage.root, env={}), self.box, [MODEL])
        self.ring = KeyRing(self.storage, cache_seconds=1000)
        self.free, self.keyed = create_app(self.service, NoAuth()), create_app(self.service, self.ring)
        self.sessions = {role: self.open_session(role) for role in ("label", "predict", "admin")}

    def open_session(self, role):
        cookie = sign_session(self.ring.read_session_secret(), self.ring.add(role, [role]).partition(".")[0])
        return {"Cookie": f"trueup_session={cookie}", "X-CSRF-Token": make_csrf_token(self.ring.read_session_secret(), cookie)}

    def ask(self, path, *heads, method="GET", app=None, body=b""):
        given = [(name.encode(), value.encode()) for head in heads for name, value in head.items()]
        return asyncio.run(ask(app or self.free, method, path.encode(), given, body))

    def hides(self, answer):
        folder = self.storage.root.removeprefix("file://")
        return folder not in answer.text and "Traceback" not in answer.text and self.storage.root not in answer.text


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("problems"))
    yield made
    made.box.close()


def is_page(answer, status):
    """Says whether it is a page of ours that says what happened and leads on."""
    return (answer.status == status and answer.headers["content-type"][0].startswith("text/html") and "<main" in answer.text
            and "default-src 'self'" in answer.headers["content-security-policy"][0] and 'class="button' in answer.text
            and "<h1>" in answer.text)


@pytest.mark.parametrize(("path", "status", "says"), [
    ("/nope", 404, "There is nothing here"), ("/reports/digits", 404, "There is nothing here"),
    (REPORT, 404, "Those that there are stand at /reports"), ("/images/xyz", 404, "64 hex digits"),
    ("/images/" + "a" * 64, 404, "no such image"),
    ("/static/nothing.css", 404, "There is nothing here"), ("/login?labeler=%00", 422, "is not right"),
    ("/audit?day=2026-02-30", 422, "is not right"), ("/review?day=x", 422, "is not right")])
def test_a_browser_gets_a_page_and_a_program_json(site, path, status, says):
    page, document = site.ask(path, BROWSER), site.ask(path, PROGRAM)
    assert is_page(page, status) and says in page.text and site.hides(page), page.text
    assert document.status == status and set(document.error) == {"code", "message"} and site.hides(document)


def list_pages(site, *methods):
    """The addresses of pages, with something in each parameter."""
    return {path.replace("{", "").replace("}", "") for method, path in list_routes(site.free.routes)
            if not path.startswith((*API, "/static")) and (not methods or method in methods)}


def test_every_route_of_a_page_answers_a_wrong_method_with_a_page(site):
    pages = list_pages(site)
    assert {"/", "/login", "/logout", "/docs", "/reports"} <= pages
    for path in pages:
        page = site.ask(path, BROWSER, method="DELETE")
        assert is_page(page, 405) and page.headers["allow"], (path, page)


def test_every_page_for_which_the_role_is_missing_says_so_under_the_menu_of_its_caller(site):
    refused = set()
    for path in list_pages(site, "GET"):
        page = site.ask(path, BROWSER, site.sessions["predict"], app=site.keyed)
        if page.status == 403:
            refused.add(path)
            assert is_page(page, 403) and "needs the role" in page.text and "Log in with another key" in page.text, path
            assert "Log out" in page.text and 'href="/models"' not in page.text, path
        elif path == "/overview":  # whoever comes to the start lands on what the key may open
            assert page.status == 303 and page.headers["location"] == ["/"]
        else:  # what everybody may see, and what the role predict may
            assert path in ("/", "/login", "/docs") and page.status == 200, path
    assert {"/audit", "/review", "/models", "/reports", "/pictures"} <= refused


def test_somebody_unknown_is_led_to_the_login(site):
    led = site.ask("/reports?model=m", BROWSER, app=site.keyed)
    assert led.status == 303 and led.headers["location"] == ["/login?next=%2Freports%3Fmodel%3Dm"]
    assert site.ask("/reports", PROGRAM, app=site.keyed).status == 401


def test_the_menu_of_a_page_that_is_not_there_is_the_callers(site):
    page = site.ask("/nope", BROWSER, site.sessions["label"], app=site.keyed)
    assert is_page(page, 404) and 'href="/audit"' in page.text and 'href="/models"' not in page.text


@pytest.mark.parametrize(("path", "method"), [
    ("/v1/predictions", "GET"), ("/v1/nothing", "GET"), ("/health/nothing", "GET"), ("/metrics", "POST"), ("/v1/labels", "POST")])
def test_the_api_answers_json_whatever_is_accepted(site, path, method):
    answer = site.ask(path, BROWSER, method=method)
    assert answer.status >= 400 and set(answer.error) == {"code", "message"}


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_says_what_happened_and_what_to_do(site, monkeypatch, status):
    error = Refused(status, "some_code", f"{site.storage.root}/models/x.json: it is so.", {"Retry-After": "2"})
    monkeypatch.setattr("inference.pages.models._read_facts", lambda *_: (_ for _ in ()).throw(error))
    page, document = site.ask("/models", BROWSER), site.ask("/models", PROGRAM, {"Authorization": "Bearer x"})
    assert is_page(page, status) and all(text.split("`")[0] in page.text for text in WORDS[status]) and "some_code" in page.text
    assert page.headers["retry-after"] == ["2"] and site.hides(page) and "models/x.json: it is so." in page.text
    assert document.error == {"code": "some_code", "message": "models/x.json: it is so."}


@pytest.mark.parametrize(("error", "status"), [
    (ZeroDivisionError("/etc/secret"), 500), (RootError("s3://bucket is gone"), 503), (json.JSONDecodeError("x", "y", 0), 409)])
def test_what_breaks_is_a_page_without_what_it_said(site, monkeypatch, error, status):
    monkeypatch.setattr("inference.pages.models._read_facts", lambda *_: (_ for _ in ()).throw(error))
    page = site.ask("/models", BROWSER)
    assert is_page(page, status) and "/etc/secret" not in page.text and "s3://" not in page.text


def test_a_form_that_is_too_large_or_of_another_kind_is_a_page(site):
    assert is_page(site.ask("/login", BROWSER, {"Content-Length": "99999999"}, method="POST"), 413)
    assert is_page(site.ask("/login", BROWSER, {"Content-Type": "text/plain"}, method="POST", body=b"x"), 415)
    assert is_page(site.ask("/login/first", BROWSER, {"Content-Type": "application/x-www-form-urlencoded"}, method="POST"), 410)


def test_another_name_of_this_machine_is_told_the_right_one(site):
    page = site.ask("/", BROWSER, {"Host": "laptop.local:8080"})
    assert page.status == 421 and "<main" in page.text and 'href="http://127.0.0.1:80/"' in page.text
    assert site.ask("/", PROGRAM, {"Host": "laptop.local:8080"}).error["code"] == "not_local"


@pytest.mark.parametrize(("message", "shown"), [
    ("file:///data/root/x.json: no such object.", "nothing of that name is there: it was never made, or was removed."),
    ("file:///data/root: model 'm' has no evaluation.", "model 'm' has no evaluation."),
    ("expected file:///data/root to be there", "expected the root to be there"), ("plain", "plain")])
def test_the_root_is_taken_out_of_messages(message, shown):
    assert hide_root(message, "file:///data/root") == shown
