"""A real Chromium from the machine's packages, and a site with things to look at."""

import pytest

from contract import samples
from inference.auth import NoAuth
from inference.keys import KeyRing
from tests.inference.small_service import DAY, MODEL, SmallService, application, publish, serving, ship
from tests.prerequisites import need

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
HOSTILE = "<img src=x onerror=\"window.hacked=1\"> 'quote' & {{ 7*7 }}"
LONG = "a-very-long-label-without-a-space-" * 5 + "x" * 30
HEBREW = "חתול שחור"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = need("chromium")[0]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def service(tmp_path):
    """One live version, 60 shipped predictions, an audit and a review sample; labels of all awkward kinds."""
    made = SmallService(str(tmp_path / "root"), ["cat", HOSTILE, LONG, HEBREW])
    publish(made.storage, tmp_path, made.classes, made_from=HOSTILE, metrics={"accuracy": {"value": 0.93}})
    made.ids = ship(made.storage, 60, labels=made.classes)
    for kind in samples.KINDS:
        samples.write(made.storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=1.0)))
    return made


@pytest.fixture
def site(service):
    """The site without keys; yields its address."""
    with serving(application(service, NoAuth())) as address:
        yield address


@pytest.fixture
def keyed(service):
    """The site with keys: its address and the keyring."""
    ring = KeyRing(service.storage, cache_seconds=0.1)
    with serving(application(service, ring)) as address:
        yield address, ring


@pytest.fixture
def page(browser, request):
    """A page that fails the test when anything on it fails. It is closed before its site: a site that goes is no fault."""
    for name in {"site", "keyed", "plain"} & set(request.fixturenames):
        request.getfixturevalue(name)
    context = browser.new_context(viewport={"width": 1200, "height": 850})
    made = context.new_page()
    troubles = []
    made.on("pageerror", lambda error: troubles.append(str(error)))
    made.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    yield made
    context.close()
    assert not troubles
