"""Picture drift as people meet it: the report of a real service, from an unusual picture to its page, and the overview."""

import pytest

from contract import layout
from inference.auth import NoAuth
from jobs.reports.written import write_report
from tests.inference.small_service import MODEL, SmallService, application, serving
from tests.jobs.evidence.test_pictures import ask
from tests.jobs.pictures import pictures_root
from tests.jobs.pictures.pictures_root import DAYS, draw, put_day

pytestmark = pytest.mark.slow("browser")


@pytest.fixture
def site(tmp_path):
    """(address, evaluation, section): a quiet day and a dark one; pages by a real server."""
    storage = pictures_root.make(str(tmp_path / "root"), trained=60, tmp=tmp_path)
    put_day(storage, DAYS[1], [draw(i) for i in range(40)])
    put_day(storage, DAYS[2], [draw(500 + i, pictures_root.darken) for i in range(40)], labelled=10)
    _, section, name = ask(storage)
    write_report(storage, MODEL, name)
    with serving(application(SmallService(storage.root), NoAuth())) as address:
        yield address, name, section


@pytest.mark.parametrize("width", [390, 1200])
def test_from_the_overview_to_the_report_to_a_picture(browser, site, width):
    address, name, section = site
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(f"{address}/overview")
    assert "are darker" in page.inner_text("#models")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.click(f'a[href="/{layout.report(MODEL, name).replace("evaluations", "reports")}#s-evidence-pictures"]')
    assert page.inner_text("#s-evidence-pictures") == "Have the pictures changed?"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    first = next(one for one in section["unusual"] if one["day"] == DAYS[2])
    page.click(f'.unusual a[href*="{first["prediction_id"]}"]')
    assert first["prediction_id"] in page.url and page.locator("main img").count() >= 1
    page.close()
