"""Reports as their readers meet them: in a browser, under the service's CSP, on paper, with assistive technology."""

import random

import pytest

from contract import jsonio, layout
from inference.auth import NoAuth
from jobs.reports import compare, index, page
from metrics.tables import class_days
from metrics.window import by_class
from tests.figures import cell, day, document
from tests.inference.small_service import MODEL, application, serving
from tests.jobs.test_report import DECISION

pytestmark = pytest.mark.slow("browser")
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
A4_MM, MARGINS_MM = (210, 297), 24
LONG = "a class with a rather long name and-one-very-long-word-without-a-space"


def days(classes, labelled=0.8):
    """Six days of 40 predictions a class, most of them right, mistaken for a neighbour otherwise."""
    rng, names = random.Random(1), [LONG, *(f"class {i:04}" for i in range(1, classes))]
    def one(i):
        other = names[(i + rng.choice([1, 2])) % classes]
        label = names[i] if rng.random() < 0.85 else other
        label = label if rng.random() < labelled else None
        return cell(names[i], label, rng.random() ** 0.3, origin="audit", n=rng.randint(1, 9))
    return [day([one(i) for i in range(classes) for _ in range(4)], f"2026-11-{d}",
                people=[{"labeler": LONG, "votes": 9, "agreements": 8}]) for d in range(10, 16)]


def pages():
    """Name -> HTML of reports with few, many and no classes."""
    for classes in (1, 3, 10, 100, 1000):
        made = days(classes)
        of_class = class_days({d.day: by_class(d.tables["cells"]) for d in made})
        yield str(classes), page.render(document(*made), DECISION, {"class_days": of_class})
    yield "no labels", page.render(document(*days(3, labelled=0)))
    yield "one label", page.render(document(day([cell("cat", "dog", 0.9), cell("cat", n=30)])))
    yield "no data", page.render(document())


PAGES = dict(pages())


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation(page, name):
    from axe_playwright_python.sync_playwright import Axe

    page.set_content(PAGES[name])
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_screen(page, name, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.set_content(PAGES[name])
    wide = page.evaluate("""() => [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, section") &&
        e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + " " + e.className).slice(0, 5)""")
    assert wide == []


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_cut_on_paper(page, name, tmp_path):
    """Laid out at the width of A4's text, upright and across, every table ends before the margin; and it makes a PDF."""
    page.set_content(PAGES[name])
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


def test_a_table_has_its_whole_head_on_every_page(page, tmp_path):
    """Chromium repeats the text of a head, not the buttons in it: on paper there are none."""
    page.set_content(PAGES["100"])
    page.emulate_media(media="print")
    shown = page.locator("table.sortable thead button").evaluate_all("all => all.map(b => getComputedStyle(b).display)")
    assert set(shown) == {"contents"}


def test_tables_sort_under_the_services_own_policy(page, service):
    folder = layout.evaluation(MODEL, "20261121T080000Z-0123abcd")
    service.storage.put(folder + "evaluation.json", jsonio.dumps(document(*days(3))))
    service.storage.put(folder + "report.html", PAGES["10"].encode())
    with serving(application(service, NoAuth())) as address:
        page.goto(f"{address}/reports/{MODEL}/20261121T080000Z-0123abcd/report.html")
        first = page.locator("table.sortable tbody th").first
        assert first.inner_text().startswith("a class")
        page.locator("table.sortable thead button", has_text="Class").first.click()
        page.locator("table.sortable thead button", has_text="Class").first.click()
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
        storage.put(layout.evaluation("m", name) + "evaluation.json", jsonio.dumps(document(*days(classes))))
    index.write(storage, "m")
    where, _ = compare.write_comparison(storage, "m", "2026a", "2026b")
    for address in (where, storage.uri(layout.report_index("m"))):
        page.goto(address)
        found = Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()
