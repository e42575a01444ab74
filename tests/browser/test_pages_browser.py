"""The pages in a real Chromium: what they do with a mouse, with the keyboard and on a phone; axe finds nothing."""

import pytest

from tests.browser.conftest import HEBREW, HOSTILE, LONG
from tests.browser.visits import violations
from tests.inference.serving import until
from tests.inference.small_service import picture

pytestmark = pytest.mark.slow("browser")
PATHS = ["/", "/overview", "/docs", "/audit", "/review", "/me", "/models", "/reports", "/login", "/audit?day=2026-11-01"]
FILE = {"name": "a picture.png", "mimeType": "image/png", "buffer": picture(3)}


def classify(page):
    page.set_input_files("#file", FILE)
    page.wait_for_selector("#result:not([hidden])")


def test_axe_would_find_something(browser):
    bad = browser.new_page()
    bad.set_content("<html><title>x</title><main><h1>x</h1><input><img src='data:,'></main></html>")
    assert any(v.startswith("label") for v in violations(bad))
    bad.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_nothing(page, site, path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(site + path)
    if path == "/":
        classify(page)
    if path == "/review":
        page.locator("input[type=checkbox]").nth(1).uncheck()
    assert violations(page) == []


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_cut_off_on_a_phone(page, site, path):
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(site + path)
    if path == "/":
        classify(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("path", PATHS)
def test_hostile_labels_do_nothing(page, site, path):
    page.goto(site + path)
    if path == "/":
        classify(page)
        assert HOSTILE in page.inner_text("#answers")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_labels_of_all_kinds_are_shown_whole(page, site):
    page.goto(site)
    classify(page)
    names = page.locator("#answers bdi")
    assert sorted(names.all_inner_texts()) == sorted(["cat", HOSTILE, LONG, HEBREW])
    hebrew = names.filter(has_text=HEBREW)
    assert hebrew.evaluate("e => getComputedStyle(e).direction") == "rtl"


def test_classify_says_correct_another_of_the_five_and_a_new_label(page, site, service):
    page.goto(site)
    classify(page)
    first = page.locator("#answers bdi").nth(0).inner_text()
    third = page.locator("#answers bdi").nth(2).inner_text()
    page.click("#correct")
    page.get_by_text("Thank you").wait_for()
    page.locator("#answers button").nth(2).click()
    page.locator("#answers li:nth-child(3) .chosen").wait_for()
    page.fill("#label", "quokka <b>")
    page.keyboard.press("Enter")
    page.get_by_text("Kept as “quokka <b>”").wait_for()
    assert [r["label"] for r in service.rows] == [first, third, "quokka <b>"]
    assert {(r["origin"], r["saw_prediction"]) for r in service.rows} == {("feedback", True)}


def test_classify_takes_a_dropped_image(page, site):
    page.goto(site)
    data = page.evaluate_handle("""async () => {
        const canvas = new OffscreenCanvas(8, 8); canvas.getContext('2d').fillRect(0, 0, 4, 4);
        const data = new DataTransfer();
        data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
        return data; }""")
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_selector("#result:not([hidden])")
    assert page.get_attribute("#preview", "alt") == "The chosen image, x.png"


def test_an_audit_by_keyboard_alone(page, site, service):
    page.goto(f"{site}/audit")
    expected = []
    for key in ("1", "3"):
        expected.append(page.locator(".choice bdi").nth(int(key) - 1).inner_text())
        before = page.input_value("input[name=prediction_id]")
        page.keyboard.press(key)
        page.wait_for_function("before => document.querySelector('[name=prediction_id]').value !== before", arg=before)
    page.focus("#other")
    page.keyboard.type("1 of them")  # digits in the field press nothing
    page.keyboard.press("Enter")
    page.get_by_text("is not among the classes").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("picture 4 of 10").wait_for()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("0")
    page.get_by_text("picture 5 of 10").wait_for()
    until(lambda: [r["label"] for r in service.rows] == [*expected, "1 of them"])  # a row may come a moment after the page


def test_a_review_by_keyboard_submitted_once(page, site, service):
    page.goto(f"{site}/review")
    predicted = page.input_value("input[name=predicted]")
    page.focus("#ok-1")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("newt")
    assert page.inner_text("#count") == "1 marked as wrong"
    count = page.locator(".tile").count()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "ok-2" and not service.rows
    page.dblclick("#submit")
    page.get_by_role("button", name="Make it").click()
    page.get_by_text(f"{count} answers kept").wait_for()
    assert sorted(r["label"] for r in service.rows) == sorted(["newt"] + [predicted] * (count - 1))


def test_two_reviewers_see_different_pictures(browser, site):
    seen = []
    for _ in range(2):
        context = browser.new_context()
        visitor = context.new_page()
        visitor.goto(f"{site}/review")
        seen.append(set(visitor.input_value("input[name=items]").split()))
        visitor.goto(f"{site}/review")  # the same batch again
        assert set(visitor.input_value("input[name=items]").split()) == seen[-1]
        context.close()
    assert seen[0] and seen[1] and not seen[0] & seen[1]


def test_login_with_a_key_then_feedback_and_logout(page, keyed, service):
    address, ring = keyed
    token = ring.add("Ada <b>", ["predict", "label"])
    page.goto(f"{address}/review")
    page.get_by_label("Key").fill(token)
    page.keyboard.press("Enter")
    page.wait_for_url("**/review?*")
    assert violations(page) == [] and page.locator(".who bdi").inner_text() == "Ada <b>"
    page.goto(address)
    classify(page)
    page.click("#correct")
    page.get_by_text("Thank you").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    assert [r["labeler"] for r in service.rows] == [token.partition(".")[0]]


def test_the_first_administrator(page, keyed):
    address, ring = keyed
    page.goto(f"{address}/login?invite={ring.invite()}")
    page.get_by_role("button", name="Make the key").click()
    token = page.inner_text(".token")
    page.get_by_role("button", name="I have kept it").click()
    page.wait_for_url("**/overview")
    assert [(k.id, k.roles) for k in ring.list_keys()] == [(token.partition(".")[0], ["admin"])] and violations(page) == []


def test_every_page_is_reached_by_tab_with_a_visible_focus(page, site):
    page.goto(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Audit"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit?*")
