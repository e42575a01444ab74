"""Two administrators in real browsers and a service that follows: a fresh login, a proposal, its approval, what is live then."""

import re

import httpx
import pytest

from contract import clock
from contract.registry import Registry
from contract.storage import open_root
from inference.keys import KeyRing
from inference.versions import fresh
from tests.browser.visits import sign_in, violations
from tests.inference.published import publish_tiny
from tests.inference.serving import serving, until

pytestmark = pytest.mark.slow("browser")


@pytest.fixture
def site(tmp_path):
    """A real service of two versions, the second live; two administrators must agree. Yields address, keyring, service."""
    root = str(tmp_path / "root")
    for seed in (1, 2):
        publish_tiny(root, seed=seed)
    ring = KeyRing(open_root(root), cache_seconds=0.1)
    with serving(root, tmp_path / "outbox", "serve.second_approver=true", keyring=ring) as client:
        yield str(client.base_url).rstrip("/"), ring, client.service


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_two_administrators_roll_back_and_see_it_live(browser, site, scheme, monkeypatch):
    address, ring, service = site
    pages = []
    for name in ("ana", "ben"):
        page = browser.new_context(viewport={"width": 390, "height": 850}, color_scheme=scheme).new_page()
        sign_in(page, address, ring.add(name, ["admin"]), to="/models")
        pages.append(page)
    ana, ben = pages
    ana.click("text=Go back to version 1")
    assert "version 2" in ana.inner_text(".from-to") and "version 1" in ana.inner_text(".from-to")
    assert violations(ana) == []
    ana.fill("#reason", "fails on the new camera")
    ana.keyboard.press("Enter")
    ana.wait_for_url(re.compile("asked=1"))
    assert "It waits for another administrator" in ana.inner_text("main") and ana.locator("text=Approve:").count() == 0
    assert Registry(service.storage, "m").live() == "2"
    ben.goto(f"{address}/models")
    assert violations(ben) == [] and ben.evaluate("document.documentElement.scrollWidth") <= 390
    ben.click("text=Approve: go back from version 2 to version 1")
    ben.wait_for_url(re.compile("done=3"), timeout=120_000)
    assert "Version 1 is live" in ben.inner_text("main")
    until(lambda: httpx.get(f"{address}/health/ready").json()["models"]["m"]["version"] == "1")
    ana.goto(f"{address}/overview")
    assert "version 1 live" in ana.inner_text("main")
    later = clock.now_us() + 1_000_000 * (fresh.FRESH_S + 1)
    monkeypatch.setattr(clock, "now_us", lambda: later)
    ana.goto(f"{address}/models/decide?kind=promote&version=2")
    assert "Your key once more" in ana.inner_text("main") and violations(ana) == []
    for page in pages:
        page.context.close()
