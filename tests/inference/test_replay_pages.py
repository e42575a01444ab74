"""What a replay shows in the service and in a report: listed at /reports, its page with pictures, rendered again when it went."""

import re

import pytest

from command.load_settings import load
from contract import layout
from contract.evaluations import read_evaluation
from contract.storage import open_root
from jobs.evaluate import main as evaluate
from jobs.reports.page import render
from jobs.reports.replay import write_replay_page
from jobs.reports.sources import read_sources
from tests.inference.serving import serving
from tests.jobs.replayed_root import AS_OF, make, replay_here


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """(root, id of its replay, its document)."""
    root = str(tmp_path_factory.mktemp("pages") / "root")
    make(root, versions=2)
    return root, *replay_here(root)


def test_a_replay_is_listed_and_shown_with_its_pictures(replayed, tmp_path):
    root, replay_id, document = replayed
    with serving(root, tmp_path / "outbox") as client:
        client.headers["Accept"] = "text/html"
        listed = client.get("/reports").text
        address = re.search(r'href="(/reports/replays/[^"]+report.html)"', listed)[1]
        assert address == f"/reports/replays/m/{replay_id}/report.html"
        page = client.get(address)  # it was never written
        assert page.is_success and "sandbox allow-scripts" in page.headers["Content-Security-Policy"]
        assert client.get(address.replace("report.html", "replay.json")).json()["replayed"] == document["replayed"]
        for missing in (f"/reports/replays/m/{replay_id}/nothing.json", "/reports/replays/m/nothing/report.html",
                        "/reports/replays/m/..%2F..%2Fkeys/session-secret.json"):
            assert client.get(missing).status_code == 404, missing
    shown = document["strongest"]
    assert page.text.count("data:image/jpeg;base64,") == len(shown) > 5
    for row in shown:
        assert f'data-image="{row["image_sha256"]}"' in page.text
        assert f'prediction_id={row["prediction_id"]}' in page.text
    assert open_root(root).exists(layout.replay_page("m", replay_id))


def test_a_report_of_the_window_names_the_replay(replayed, capsys):
    root, replay_id, document = replayed
    assert evaluate(["--root", root, "--model", "m", "--as-of", AS_OF]) == 0
    (name,) = open_root(root).folders(layout.evaluations("m"))
    page = open_root(root).read(layout.report("m", name)).decode()
    section = page[page.index('id="s-replays"'):page.index('id="s-lineage"')]
    assert f"/reports/replays/m/{replay_id}/report.html" in section and "2026-11-10 to 2026-11-11" in section
    other = read_evaluation(open_root(root), "m", name) | {"window": {"from": "2026-12-01", "to": "2026-12-02"}}
    found = read_sources(open_root(root), other, name, None, load(root=root, model="m").report)
    assert found["replays"] == [] and 'id="s-replays"' not in render(other, None, found)


@pytest.mark.slow("browser")
def test_a_picture_leads_to_its_prediction_in_one_click(replayed, tmp_path):
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import QUIET
    from tests.prerequisites import need

    root, replay_id, document = replayed
    write_replay_page(open_root(root), "m", replay_id)
    path = need("chromium")[0]
    with sync_playwright() as playwright, serving(root, tmp_path / "outbox") as client:
        chromium = playwright.chromium.launch(executable_path=path, args=QUIET)
        page = chromium.new_page()
        page.goto(f"{client.base_url}/reports/replays/m/{replay_id}/report.html")
        first = document["strongest"][0]
        page.locator("#s-strongest ~ .scroll tbody tr a img").first.click()
        page.wait_for_url(re.compile("/pictures"))
        assert first["prediction_id"] in page.url
        page.wait_for_selector(f'img[src*="{first["image_sha256"]}"], a[href*="{first["prediction_id"]}"]', timeout=60_000)
        chromium.close()
