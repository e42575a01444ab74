"""Reports as their readers meet them: in a browser, under the service's CSP, on paper, with assistive technology."""

import re

import pytest

from contract import jsonio, layout
from inference.auth import NoAuth
from jobs.reports import compare, index
from tests.browser.made_reports import CLASSES, NAMES, make_days, make_report
from tests.figures import document
from tests.inference.small_service import MODEL, application, serving

pytestmark = pytest.mark.slow("browser")
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
A4_MM, MARGINS_MM = (210, 297), 24
# What a thousand classes may take: pixels at 1,200 wide, and on a phone; pages of paper.
MOST_PX, MOST_PHONE_PX, MOST_PAGES = 6000, 7500, 8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page, name, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    page.set_content(make_report(name))
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [360, 390, 800, 1200])
def test_nothing_is_wider_than_the_screen(page, name, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(make_report(name))
    wide = page.evaluate("""() => [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, section") &&
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + " " + e.className).slice(0, 5)""")
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", NAMES)
def test_no_table_is_cut_on_paper(page, name, tmp_path):
    """Laid out at the width of A4's text, upright and across, every table ends before the margin; and it makes a PDF."""
    page.set_content(make_report(name))
    page.emulate_media(media="print")
    for side, chosen in zip(A4_MM, (".version > *:not(.landscape) table, section:not(.version) table", ".landscape table"),
                            strict=True):
        width = round((side - MARGINS_MM) / 25.4 * 96)
        page.set_viewport_size({"width": width, "height": 1000})
        cut = page.evaluate("""([chosen, width]) => [...document.querySelectorAll(chosen)]
            .filter(t => t.getBoundingClientRect().right > width + 1).map(t => t.className + t.innerText.slice(0, 60))""",
                            [chosen, width])
        assert cut == []
    assert page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True).startswith(b"%PDF")


def test_a_table_has_its_whole_head_on_every_page(page):
    """Chromium repeats the text of a head, not the buttons in it: on paper there are none."""
    page.set_content(make_report("100"))
    page.emulate_media(media="print")
    shown = page.locator("table.sortable thead button").evaluate_all("all => all.map(b => getComputedStyle(b).display)")
    assert set(shown) == {"contents"}


@pytest.mark.parametrize("classes", CLASSES)
def test_a_report_is_no_longer_than_somebody_reads(page, classes, tmp_path):
    for width, most in ((1200, MOST_PX), (390, MOST_PHONE_PX)):
        page.set_viewport_size({"width": width, "height": 800})
        page.set_content(make_report(classes))
        assert page.evaluate("document.documentElement.scrollHeight") < most
    made = page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", made)) <= MOST_PAGES


def test_a_class_is_found_and_all_are_shown(page):
    page.set_content(make_report("1000"))
    rows = page.locator("table.sortable.classes tbody tr:visible")
    assert rows.count() == 20
    page.get_by_label("Find a class").fill("class 07")
    assert rows.count() == 100 and page.locator(".find output").inner_text() == "100 classes"
    page.get_by_label("Find a class").fill("")
    page.locator("table.sortable thead button", has_text="Class").click()
    assert rows.count() == 20 and rows.last.locator("th").inner_text() == "class 0019"  # "a class …" is first
    page.get_by_label("Show all 1,000 classes").check()
    assert rows.count() == 1000


def test_charts_say_their_figures_by_mouse_and_by_keyboard(page):
    page.set_content(make_report("3"))
    marks = page.locator("svg.chart.for-wide .mark")
    marks.first.hover()
    assert page.locator(".tip").inner_text() == marks.first.get_attribute("aria-label")
    marks.first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tip").inner_text().startswith("2026-11-11, version 1: ")
    page.keyboard.press("Escape")
    assert not page.locator(".tip").is_visible()


def test_a_report_leads_to_its_pictures_where_the_service_shows_it_and_nowhere_else(page, service, tmp_path):
    name = "20261121T080000Z-0123abcd"
    service.storage.put(layout.evaluation_document(MODEL, name), jsonio.dumps(document(*make_days(3))))
    service.storage.put(layout.report(MODEL, name), make_report("10").encode())
    with serving(application(service, NoAuth())) as address:
        page.goto(f"{address}/reports/{MODEL}/{name}/report.html")
        link = page.locator("table.map tbody td a").first
        assert link.get_attribute("href").startswith("/pictures?model=m&version=1&from=2026-11-10&to=2026-11-15&predicted=")
        links = page.locator("main a[data-to]")
        assert links.count() == page.locator("main a[data-to][href]").count() > 100
        mark = page.locator("svg.chart.for-wide .mark").first
        mark.focus()
        with page.expect_request(re.compile("/pictures")) as asked:
            page.route(re.compile("/pictures"), lambda route: route.fulfill(body="<title>Pictures</title>"))
            mark.press("Enter")
        assert "from=2026-11-10&to=2026-11-10" in asked.value.url
    file = tmp_path / "report.html"
    file.write_text(make_report("10"))
    page.goto(file.as_uri())
    assert page.locator("main a[href]").count() == 0


def test_tables_sort_under_the_services_own_policy(page, service):
    folder = layout.evaluation(MODEL, "20261121T080000Z-0123abcd")
    service.storage.put(folder + "evaluation.json", jsonio.dumps(document(*make_days(3))))
    service.storage.put(folder + "report.html", make_report("10").encode())
    with serving(application(service, NoAuth())) as address:
        page.goto(f"{address}/reports/{MODEL}/20261121T080000Z-0123abcd/report.html")
        first = page.locator("table.sortable tbody th").first
        button = page.locator("table.sortable thead button", has_text="Class").first
        button.click()
        assert first.inner_text().startswith("a class")
        button.click()
        assert first.inner_text() == "class 0009"
        page.locator("table.sortable thead button", has_text="Labels").first.press("Enter")
        shown = page.locator("table.sortable tbody tr td:nth-child(2)").all_inner_texts()
        assert [int(n) for n in shown] == sorted(map(int, shown), reverse=True)
        assert page.locator("th[aria-sort=descending]").count() == 1


def test_comparison_and_index_are_accessible(page, tmp_root):
    from axe_playwright_python.sync_playwright import Axe

    from contract.storage import open_root

    storage = open_root(tmp_root, create=True)
    for name, classes in (("2026a", 3), ("2026b", 10)):
        storage.put(layout.evaluation("m", name) + "evaluation.json", jsonio.dumps(document(*make_days(classes))))
    index.write(storage, "m")
    where, _ = compare.write_comparison(storage, "m", "2026a", "2026b")
    for address in (where, storage.uri(layout.report_index("m"))):
        page.goto(address)
        found = Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()
