"""Audit and review by keyboard alone, taken back, without a network, in two tabs, on a phone; a logout gives back."""

import re

import pytest

from contract import samples
from inference.auth import NoAuth
from tests.browser.visits import violations
from tests.inference.small_service import DAY, MODEL, SmallService, application, publish, serving, ship

pytestmark = pytest.mark.slow("browser")
DIGITS, MANY = list("0123456789"), [f"kind {i} of thing" for i in range(60)]


def make(tmp_path, classes, n=30):
    """A site without keys whose model has these classes; (service, application)."""
    service = SmallService(str(tmp_path / "root"), classes)
    publish(service.storage, tmp_path, classes)
    service.ids = ship(service.storage, n, labels=classes[:2])
    for kind in samples.KINDS:
        samples.write(service.storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=1.0)))
    return service, application(service, NoAuth())


@pytest.fixture
def plain(tmp_path):
    """(service, address) of a model with cat, dog and eel."""
    service, app = make(tmp_path, ["cat", "dog", "eel"])
    with serving(app) as address:
        yield service, address


def wait_for_number(page, n):
    page.wait_for_function("n => document.getElementById('number').textContent.startsWith(`picture ${n} of`)", arg=n)


def settle(page):
    """Waits until the service has everything that was answered."""
    page.wait_for_function("() => !Answers.waiting()")


def labels(service):
    return [None if r["withdraws"] else r["label"] for r in service.rows]


def test_a_whole_audit_by_keyboard_with_every_kind_of_answer(page, plain):
    service, address = plain
    page.goto(f"{address}/audit")
    order = page.locator(".choice bdi").all_inner_texts()
    for n, key in enumerate(["1", "Backspace", "2", "ArrowRight", "Backspace", "?", "3"]):
        page.keyboard.press(key)
        wait_for_number(page, [2, 1, 2, 3, 2, 3, 4][n])
        assert page.locator(".choice bdi").all_inner_texts() == order
    page.keyboard.press("+")
    assert page.locator("#zoom[open]").count() == 1
    page.keyboard.press("1")  # a larger picture answers nothing
    page.keyboard.press("+")
    assert page.locator("#zoom[open]").count() == 0
    for n in range(4, 11):
        wait_for_number(page, n)
        page.keyboard.press("1")
    page.wait_for_url("**batch=2")
    assert labels(service) == [order[0], None, order[1], order[2], *[order[0]] * 7]
    page.keyboard.press("Backspace")  # the last answer of the batch before
    page.wait_for_url("**batch=1")
    wait_for_number(page, 10)
    assert labels(service)[-1] is None
    page.keyboard.press("2")
    page.wait_for_url("**batch=2")
    assert labels(service)[-1] == order[1]


@pytest.mark.parametrize("classes", [DIGITS, MANY], ids=["typed", "search"])
def test_classes_are_chosen_by_their_character_or_by_search(page, tmp_path, classes):
    service, app = make(tmp_path, classes, 12)
    with serving(app) as address:
        page.goto(f"{address}/audit")
        if classes is DIGITS:
            page.keyboard.press("0")
            page.keyboard.press("7")
        else:
            page.keyboard.type("kind 17")
            page.keyboard.press("Enter")
            wait_for_number(page, 2)
            page.keyboard.press("Backspace")  # the field is empty: takes back
            wait_for_number(page, 1)
            page.keyboard.type("kind 3")
            page.keyboard.press("ArrowDown")
            second = page.locator(".choice.best").inner_text()
            page.keyboard.press("Enter")
            wait_for_number(page, 2)
            page.keyboard.type("newt")
            page.keyboard.press("Enter")
            page.keyboard.press("Escape")  # no, a slip
            assert page.locator("#new-class[open]").count() == 0
            page.keyboard.press("Enter")
            page.keyboard.press("Enter")  # yes, make it
        wait_for_number(page, 3)
        settle(page)
        assert violations(page) == []
        page.goto("about:blank")
    assert labels(service) == (["0", "7"] if classes is DIGITS else ["kind 17 of thing", None, second, "newt"])


def test_nothing_is_lost_without_a_network_nor_by_a_reload(browser, plain):
    service, address = plain
    page = browser.new_page()  # its console names what is cut here
    page.goto(f"{address}/audit")
    order = page.locator(".choice bdi").all_inner_texts()
    lost = []

    def cut(route):  # the first is taken, and its answer lost on the way back; the others never arrive
        if not lost:
            lost.append(route.fetch())
        route.abort()

    page.route("**/audit", cut)
    for n, key in enumerate("123", start=2):
        page.keyboard.press(key)
        wait_for_number(page, n)
    page.get_by_text("3 answers are kept in this browser").wait_for()
    assert labels(service) == [order[0]]
    page.unroute("**/audit")
    page.reload()
    wait_for_number(page, 4)
    settle(page)
    assert labels(service) == order and page.locator("#sending").is_hidden()
    page.close()


def test_two_tabs_send_each_answer_once(browser, plain):
    service, address = plain
    context = browser.new_context()
    context.add_cookies([{"name": "trueup_name", "value": "ada", "url": address}])
    tabs = [context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto(f"{address}/audit")
    for tab in tabs:  # both show the same picture: the last word counts
        tab.keyboard.press("1" if tab is tabs[0] else "2")
        wait_for_number(tab, 2)
        settle(tab)
    assert len(service.rows) == 2 and service.rows[0]["prediction_id"] == service.rows[1]["prediction_id"]
    assert service.rows[0]["label"] != service.rows[1]["label"]
    context.close()


def test_a_whole_review_by_keyboard_taken_back_and_opened_again(page, plain):
    service, address = plain
    page.goto(f"{address}/review")
    n, predicted = page.locator(".tile").count(), page.input_value("input[name=predicted]")
    other = next(c for c in ("cat", "dog") if c != predicted)
    page.keyboard.press("2")
    page.keyboard.press("/")
    page.keyboard.type(other)
    page.keyboard.press("Enter")
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("?")
    page.reload()  # the marks are kept
    assert page.locator(".verdict").all_inner_texts()[:6] == ["right", "wrong", "right", "wrong", "not sure", "right"]
    page.keyboard.press("Enter")
    page.get_by_text("answers kept").wait_for()
    assert labels(service) == [predicted, other, predicted, "≠"] + [predicted] * (n - 5)
    assert "What is this?" in page.inner_text("h1")  # what was called wrong without a class comes back
    page.keyboard.press("u")
    page.get_by_text("your answers from before").wait_for()
    assert labels(service)[n - 1:] == [None] * (n - 1)
    assert page.locator(".verdict").nth(3).inner_text() == "wrong" and page.input_value("#class-2") == other
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    page.wait_for_url("**taken=*")
    page.keyboard.press("r")
    page.get_by_text("your answers from before").wait_for()
    page.keyboard.press("2")
    assert violations(page) == []
    page.keyboard.press("Enter")
    page.wait_for_url("**taken=*")
    assert labels(service)[-1] == predicted and len(service.rows) == 3 * (n - 1) + 1


def test_keys_can_be_switched_off(page, plain):
    service, address = plain
    page.goto(f"{address}/audit")
    page.uncheck("#keys-on")
    page.keyboard.press("1")
    page.reload()
    page.keyboard.press("1")
    assert page.locator("kbd:visible").count() == 0 and not page.is_checked("#keys-on")
    page.locator(".choice").first.click()
    wait_for_number(page, 2)
    settle(page)
    assert len(service.rows) == 1


@pytest.mark.parametrize("path", ["audit", "review", "me"])
def test_one_hand_on_a_phone(browser, plain, path):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{plain[1]}/{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390 and violations(page) == []
    for button in page.locator(".choice, .actions button, #submit").all():
        where = button.bounding_box()
        assert where["height"] >= 48 and where["y"] > 844 / 2 and where["y"] + where["height"] <= 844
    if path == "audit":
        page.locator(".choice").first.tap()
        wait_for_number(page, 2)
        settle(page)
    context.close()


def test_a_logout_gives_back_and_a_label_key_never_meets_a_refusal(page, keyed):
    address, ring = keyed
    held = []
    for name in ("ada", "bob"):
        token = ring.add(name, ["label"])
        page.goto(address)
        page.get_by_label("Key").fill(token)
        page.keyboard.press("Enter")
        page.wait_for_url("**/audit?*")  # not on a refusal
        held.append(page.input_value("input[name=prediction_id]"))
        page.get_by_role("link", name="My work").click()
        page.get_by_text(re.compile("held for you until")).wait_for()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
    assert held[0] == held[1]
