"""From the first key to a promoted version: an operator and two labelers in one service, each in a browser of their own."""

import httpx
import pytest

from contract import clock
from contract.registry import Registry
from contract.storage import open_root
from inference import keys, review
from inference.keys import KeyRing
from jobs import evaluate
from pipeline import gate
from tests.browser.visits import sign_in
from tests.inference.published import publish_tiny
from tests.inference.serving import serving, table_rows, until
from tests.inference.small_service import picture

pytestmark = pytest.mark.slow("browser")
PICTURES = 24


def open_page(browser):
    page = browser.new_context(viewport={"width": 1200, "height": 850}).new_page()
    page.set_default_timeout(60_000)
    return page


@pytest.mark.timeout(600)
def test_from_the_first_key_to_a_promoted_version(browser, tmp_path, capsys):
    root = f"file://{tmp_path}/root"
    for seed in (1, 2):
        publish_tiny(root, seed=seed)
    ring = KeyRing(open_root(root), cache_seconds=0.1)
    invitation = ring.invite()
    with serving(root, tmp_path / "outbox", keyring=ring) as client:
        address = str(client.base_url).rstrip("/")
        operator = open_page(browser)
        operator.goto(f"{address}/login?invite={invitation}")
        operator.fill("input[name=name]", "ada")
        operator.click("main button")
        admin = operator.inner_text("code.token").strip()
        operator.click("text=I have kept it")
        operator.wait_for_url("**/overview")

        tokens = {}
        for name in ("lea", "ben"):
            assert keys.main(["add", name, "--role", "label", "--root", root, "--json"]) == 0
            tokens[name] = capsys.readouterr().out.split('"token": "')[1].split('"')[0]
        for n in range(PICTURES):
            httpx.post(f"{address}/v1/predictions", content=picture(n), headers={
                "Authorization": f"Bearer {admin}", "Content-Type": "image/png"}).raise_for_status()
        until(lambda: len(table_rows(root, "predictions")) == PICTURES)
        today = clock.day_of(clock.now())
        assert review.main(["sample", "--model", "m", "--day", today, "--p", "1", "--root", root]) == 0

        labelers = {}
        for name, token in tokens.items():
            labelers[name] = page = open_page(browser)
            sign_in(page, address, token)
            assert page.url.startswith(f"{address}/audit"), page.url
        while any("Nothing waits" not in page.inner_text("main") for page in labelers.values()):
            for page in labelers.values():
                answer_batch(page)
        until(lambda: len(table_rows(root, "labels")) == PICTURES)
        rows = table_rows(root, "labels")
        assert {r["origin"] for r in rows} == {"audit"} and len({r["prediction_id"] for r in rows}) == PICTURES
        assert len({r["actor"] for r in rows}) == 2

        assert evaluate.main(["--root", root, "--model", "m"]) == 0
        assert gate.main(["--root", root, "--model", "m", "--set", "gates.min_new_labels=10"]) == 3
        operator.goto(f"{address}/overview")
        assert "Version 2 does not hold" in operator.inner_text("main")
        operator.click("text=Mistakes of these days")
        operator.wait_for_load_state()
        assert "Pictures" in operator.inner_text("h1")
        operator.goto(f"{address}/models")
        operator.click("text=Go back to version 1")
        operator.fill("#reason", "the new one names every picture alike")
        operator.click("main form button >> nth=0")
        operator.wait_for_url("**done=*", timeout=120_000)
        assert Registry(open_root(root), "m").live() == "1"
        until(lambda: httpx.get(f"{address}/health/ready").json()["models"]["m"]["version"] == "1")
        operator.goto(f"{address}/overview")
        assert "version 1 live" in operator.inner_text("main")
        labelers["lea"].goto(f"{address}/me")
        assert "What you answered" in labelers["lea"].inner_text("main")


def answer_batch(page):
    """Answers every picture that the page has, by its first key, if there is any."""
    while "Nothing waits" not in page.inner_text("main"):
        number = page.inner_text("#number")
        page.keyboard.press(page.locator(".choice .key, .choice kbd").first.inner_text().strip())
        page.wait_for_function(
            "before => !document.getElementById('number') || document.getElementById('number').textContent !== before",
            arg=number)
        if number.split(" of ")[0].split()[-1] == number.split(" of ")[1]:
            page.wait_for_load_state()
            return
