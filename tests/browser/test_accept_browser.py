"""Accept or review in a browser: the classify page says it, overview and versions say how much, /review asks the rest first."""

import json
import re

import pytest

from contract import clock
from contract.accepting.thresholds import find_thresholds
from contract.deciding.thresholds import accept_thresholds
from contract.documents.history import ThresholdsOf
from contract.registry import Registry
from contract.storage import open_root
from inference import review
from jobs import evaluate
from pipeline import model
from tests.browser.visits import violations
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

pytestmark = pytest.mark.slow("browser")
N = 30


def classify(page, site, n):
    page.goto(site)
    page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture(n)})
    page.wait_for_selector("#result:not([hidden])")
    shown = page.locator("#decision")
    return shown.inner_text() if shown.is_visible() else ""


def run(capsys, main, *options):
    capsys.readouterr()
    assert main([*options, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.timeout(300)
def test_what_is_accepted_is_said_on_every_page(browser, tmp_root, tmp_path, capsys):
    publish_tiny(tmp_root)
    registry, at = Registry(open_root(tmp_root), "m"), ("--root", tmp_root, "--model", "m")
    page = browser.new_context(viewport={"width": 1200, "height": 850}).new_page()
    page.set_default_timeout(30_000)
    with serving(tmp_root, tmp_path / "outbox") as client:
        site = str(client.base_url).rstrip("/")
        assert classify(page, site, 0) == ""
        answers = [client.post("/v1/predictions", content=picture(n), headers=IMAGE).json() for n in range(N)]
        said = [{"prediction_id": a["prediction_id"], "label": a["predictions"][0]["label"]} for a in answers]
        assert client.post("/v1/labels", json={"labels": said}).status_code == 201
        until(lambda: len(table_rows(tmp_root, "labels")) == N and len(table_rows(tmp_root, "predictions")) == N + 1)
        made = run(capsys, evaluate.main, *at, "--no-report")
        run(capsys, model.main, "thresholds", "accept", made["id"], "--by", "ana", *at)
        until(lambda: client.service.models["m"].thresholds is not None)
        assert classify(page, site, 40).startswith("Accepted")
        assert violations(page) == []
        run(capsys, evaluate.main, *at)
        page.goto(f"{site}/overview")
        told = page.locator("div", has=page.locator("dt", has_text="Accepted unseen")).last.inner_text()
        assert re.search(r"\d+\.\d% *, \d+% \(\d+ to 100%\) of them right by labels that chose the thresholds", told), told
        assert "none for 98% right" in told and violations(page) == []

        of = ThresholdsOf(version="1", evaluation=made["id"], first="2026-11-01", last="2026-11-02")
        accept_thresholds(registry, {"another class": 0.5}, of, by="ana", reason="test")
        until(lambda: "another class" in client.service.models["m"].thresholds.at)
        assert classify(page, site, 41).startswith("For review")
        today = clock.day_of(clock.now())
        for options in (("--kind", "review", "--p", "0.05"), ("--review-first",)):
            run(capsys, review.main, "sample", *at, "--day", today, *options)
        page.goto(f"{site}/review?model=m")
        assert "of=live-rest" in page.url and "what the thresholds do not accept" in page.inner_text("main")
        page.goto(f"{site}/models?model=m")
        assert "another class" in page.inner_text("main") and "Stale" not in page.inner_text("main")
        publish_tiny(tmp_root, seed=2)
        page.goto(f"{site}/models?model=m")
        assert "Stale: these thresholds are of version 1" in page.inner_text("main") and violations(page) == []
        page.set_viewport_size({"width": 320, "height": 640})
        for path in ("/models?model=m", "/overview"):
            page.goto(site + path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.goto(f"{site}/overview")
        assert "nothing: the thresholds are of version 1" in page.inner_text("main")
    page.context.close()
    assert find_thresholds(registry, clock.iso(clock.now())).version == "1"
