"""The pictures' room in a real Chromium: by keyboard, on a phone, in the dark; axe finds nothing."""

import hashlib

import pytest

from contract import clock
from inference.pictures import kept_days
from tests.browser.visits import violations
from tests.inference.pictures import rows
from tests.inference.pictures.rows import DAYS
from tests.inference.small_service import MODEL, SmallService, picture, publish
from tests.suspects import make_suspect, put_suspects

pytestmark = pytest.mark.slow("browser")
ADDRESSES = ["/pictures", "/pictures?verdict=wrong", "/pictures?confidence_from=no", f"/pictures/one/{DAYS[0]}/ID?verdict=wrong",
             "/pictures?predicted=nothing", "/pictures/suspects"]


@pytest.fixture
def service(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: rows.NOW)
    monkeypatch.setattr(kept_days, "find_cache_folder", lambda root: tmp_path / "cache")
    made = SmallService(str(tmp_path / "root"))
    publish(made.storage, tmp_path)
    made.ids = rows.make(made.storage)
    sha256 = hashlib.sha256(picture(100)).hexdigest()  # of the second day's first prediction
    put_suspects(made.storage, MODEL, [
        make_suspect(sha256, "a label as long as labels of products are", 0.02, DAYS[1], made.ids[DAYS[1]][0]),
        make_suspect(sha256, "alone", 0.5, DAYS[1], None, "holdout")])
    return made


def go(page, site, service, address):
    page.goto(site + address.replace("ID", service.ids[DAYS[0]][3]))
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off_on_a_phone(browser, site, service, scheme):
    for width in (320, 390, 800, 1200):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        for address in ADDRESSES:
            go(page, site, service, address)
            if address == "/pictures":
                page.locator("summary").click()
                page.locator("input[name^=pick-]").nth(1).check()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
            if width in (390, 1200):
                assert violations(page) == [], (address, width)
        context.close()


def test_from_the_grid_to_a_picture_and_on_by_keyboard_alone(page, site, service):
    go(page, site, service, "/pictures?verdict=wrong")
    page.locator(".open").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert page.locator("input[name^=pick-]").nth(1).is_checked() and page.inner_text("#marked") == "1 marked"
    page.keyboard.press("Enter")
    page.wait_for_url("**/pictures/one/**")
    ids = [service.ids[DAYS[1]][3], service.ids[DAYS[0]][15]]  # the second, then the third of the newest mistakes
    assert ids[0] in page.url
    page.keyboard.press("z")
    assert page.get_attribute("#zoom", "aria-pressed") == "true"
    page.keyboard.press("z")
    page.keyboard.press("ArrowRight")
    page.wait_for_url(f"**/{ids[1]}?*")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(f"**/{ids[0]}?*")
    page.keyboard.press("u")
    page.wait_for_url("**/pictures?*verdict=wrong*")


def test_all_of_a_page_are_marked_sent_to_review_and_saved(page, site, service):
    go(page, site, service, f"/pictures?from={DAYS[1]}&verdict=unlabelled&predicted=eel")
    page.click("text=CSV")
    assert "Mark at least one" in page.inner_text("#marked")
    page.check("#all")
    with page.expect_download() as saved:
        page.click("text=CSV")
    assert saved.value.suggested_filename == f"{MODEL}-pictures.csv"
    page.click("text=Send to review")
    page.get_by_text("8 predictions sent to review").wait_for()
    page.click("main >> text=Review")
    page.get_by_text("Are these all").wait_for()
    assert page.locator("li.tile").count() == 8


def test_the_filters_lead_to_their_pictures_and_leave_no_empty_words_behind(page, site, service):
    go(page, site, service, "/pictures")
    page.locator("summary").click()
    page.fill("#f-predicted", "fox")
    page.select_option("#f-verdict", "wrong")
    page.click("text=Show")
    page.wait_for_url("**verdict=wrong**")
    assert page.locator(".chips li").count() == 2 and page.locator(".pictures li").count() == 6
    page.click("[aria-label='Without predicted: fox']")
    page.wait_for_url(lambda url: "predicted" not in url)
    assert page.url.endswith("/pictures?model=digits&verdict=wrong")
