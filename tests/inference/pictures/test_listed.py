"""Predictions that a program listed: asked once, under its name, on the page of reviews or blind on the page of audits."""

import asyncio
import json

import pytest

from contract import layout, samples
from contract.review import listed
from contract.review.listed import ListedItem
from inference.keys import KeyRing
from inference.labelling.listed import ListedQueue, open_queue
from tests.inference.asgi import ask
from tests.inference.page_text import words
from tests.inference.pictures.rows import DAYS
from tests.inference.pictures.test_pages import Browser
from tests.inference.small_service import CLASSES, MODEL

JSON = (b"content-type", b"application/json")


@pytest.fixture
def browser(service):
    return Browser(service)


def item(service, d, i):
    return ListedItem(day=DAYS[d], prediction_id=service.ids[DAYS[d]][i], predicted=CLASSES[i % 4], bin=3, image_sha256="0" * 64)


def send(service, strategy, *places, blind=False):
    return listed.send(service.storage, MODEL, strategy, "test", [item(service, *place) for place in places], blind)


def get_json(browser, path):
    return json.loads(asyncio.run(ask(browser.app, "GET", path.encode(), browser.headers[1:])).body)


def answer(browser, path, batch, label, **more):
    answers = [{"prediction_id": one["prediction_id"], "label": label} for one in batch["items"]]
    document = {"model": MODEL, "day": batch["day"], "batch": batch["batch"], "answers": answers} | more
    headers = [*browser.headers[1:], JSON]
    return asyncio.run(ask(browser.app, "POST", path.encode(), headers, json.dumps(document).encode())).status


def describe(rows):
    return {(row["strategy"], row["selection_probability"], row["origin"], row["saw_prediction"]) for row in rows}


def test_each_prediction_is_asked_once_under_the_name_that_listed_it_first(service, browser):
    assert send(service, "diverse", (1, 30), (1, 34)) == 2
    assert send(service, "picked", (1, 34), (1, 38), (1, 38)) == 1
    assert send(service, "diverse", (1, 30), (1, 34), (1, 38)) == 0
    found = listed.read(service.storage, MODEL, DAYS[1])
    assert [(strategy, found_item.prediction_id) for strategy, found_item in found.values()] == [
        ("diverse", service.ids[DAYS[1]][30]), ("diverse", service.ids[DAYS[1]][34]), ("picked", service.ids[DAYS[1]][38])]
    batch = get_json(browser, "/review?format=json")
    assert batch["predicted"] == "eel" and "learn most" in batch["asked_because"]
    assert answer(browser, "/review", batch, "eel") == 201
    assert describe(service.rows) == {("diverse", None, "feedback", True), ("picked", None, "feedback", True)}


def test_a_list_of_an_earlier_release_names_no_strategy(service):
    send(service, "picked", (1, 30))
    (entry,) = service.storage.list(layout.picked_folder(MODEL, DAYS[1]))
    document = json.loads(service.storage.read(entry.key))
    del document["strategy"]
    service.storage.put(entry.key, json.dumps(document).encode())
    assert [strategy for strategy, _ in listed.read(service.storage, MODEL, DAYS[1]).values()] == ["picked"]


def test_a_damaged_list_stops_no_other(service):
    send(service, "diverse", (1, 30))
    send(service, "diverse", (1, 34))
    first, _ = service.storage.list(layout.picked_folder(MODEL, DAYS[1]))
    service.storage.put(first.key, b"{")
    assert list(listed.read(service.storage, MODEL, DAYS[1])) == [service.ids[DAYS[1]][34]]


def test_what_is_listed_blind_is_asked_on_the_page_of_audits_without_the_answer(service, browser):
    assert send(service, "suspects", (1, 30), (1, 35), blind=True) == 2
    assert open_queue(service.storage, MODEL, DAYS[1], "review", "live", None) is None
    batch = get_json(browser, "/audit?format=json")
    assert batch["of"] == "listed" and batch["day"] == DAYS[1] and len(batch["items"]) == 2
    assert "predicted" not in batch and "another look" in batch["asked_because"]
    assert answer(browser, "/audit", batch, "cat", of="listed") == 201
    assert describe(service.rows) == {("suspects", None, "feedback", False)}
    assert {row["label"] for row in service.rows} == {"cat"}
    assert get_json(browser, "/audit?format=json&of=listed")["batch"] is None


def test_an_answer_to_a_blind_list_that_was_damaged_meanwhile_is_none_of_the_audit(service, browser, monkeypatch):
    send(service, "suspects", (1, 30), blind=True)
    send(service, "suspects", (1, 35), blind=True)
    batch = get_json(browser, "/audit?format=json")
    service.storage.put(next(iter(service.storage.list(layout.picked_folder(MODEL, DAYS[1], "listed")))).key, b"{")
    monkeypatch.setattr("inference.labelling.listed.LOOKED_S", -1.0)
    assert answer(browser, "/audit", batch, "cat", of="listed") == 201
    assert describe(service.rows) == {("suspects", None, "feedback", False)} and len(service.rows) == 2


def test_the_page_of_what_is_listed_blind_shows_neither_the_answer_nor_why_it_is_in_doubt(service, browser):
    send(service, "suspects", (1, 30), blind=True)
    shown = browser.get(browser.get("/audit").headers["location"][0])
    assert shown.status == 200 and "another look" in words(shown)
    assert "likely wrong" not in words(shown) and "suspect" not in words(shown)


def test_an_audit_of_the_same_day_asks_its_own_items_whoever_answered_them_in_a_blind_list(service, browser):
    """The sample's answers keep their probability: a list takes nothing out of an audit and adds nothing to it."""
    send(service, "suspects", (1, 30), (1, 35), blind=True)
    batch = get_json(browser, "/audit?format=json")
    answer(browser, "/audit", batch, "cat", of="listed")
    samples.write(service.storage, samples.draw(MODEL, DAYS[1], "audit", samples.Design("random-audit", "s", p=1.0)))
    audit = open_queue(service.storage, MODEL, DAYS[1], "audit", "live", None)
    assert not isinstance(audit, ListedQueue)
    assert audit.count_progress() == {"asked": 40, "answered": 0, "waiting": 40}
    batch = get_json(browser, "/audit?format=json&size=50")
    assert "of" not in batch and len(batch["items"]) == 40
    assert answer(browser, "/audit", batch, "cat") == 201
    assert describe(service.rows[2:]) == {("random-audit", 1.0, "audit", False)}


def test_whoever_may_label_does_not_see_the_answer_before_a_blind_list_was_answered(service):
    send(service, "suspects", (1, 30), blind=True)
    ring = KeyRing(service.storage)
    read, both = (Browser(service, ring, ring.add(name, roles)) for name, roles in (
        ("rita", ["read"]), ("ann", ["read", "label"])))
    one = f"/pictures/one/{DAYS[1]}/{service.ids[DAYS[1]][30]}"
    other = f"/pictures/one/{DAYS[1]}/{service.ids[DAYS[1]][31]}"
    assert read.get(one).status == 200 and both.get(one).status == 403 and both.get(other).status == 200


@pytest.mark.parametrize(("blind", "page"), [(False, "/review"), (True, "/audit")])
def test_another_replica_reads_what_was_handed_out_and_answered(service, browser, blind, page):
    send(service, "diverse", (1, 30), (1, 34), (1, 38), blind=blind)
    batch = get_json(browser, f"{page}?format=json&size=2")
    answer(browser, page, batch, "eel", **({"of": "listed"} if blind else {}))
    other = open_queue(service.storage, MODEL, DAYS[1], "audit" if blind else "review", "listed" if blind else "live", None)
    other.refresh()
    assert other.count_progress() == {"asked": 3, "answered": 2, "waiting": 1}


def test_where_nothing_is_listed_the_page_says_who_sends_some(browser):
    shown = browser.get("/audit", of="listed")
    assert "Nothing was listed yet" in words(shown) and "trueup labels suspects --model digits --send 50" in words(shown)
    assert "--role listed" not in words(shown)
    assert "Nothing was drawn yet" in words(browser.get("/audit"))


def test_my_page_and_the_overview_count_what_is_listed_blind(service, browser):
    send(service, "suspects", (1, 30), blind=True)
    mine = browser.get("/me")
    assert "of=listed" in mine.text and f"Audit 1 picture of {DAYS[1]}" in words(mine)
    assert "Waits for people 1 for audit" in words(browser.get("/overview"))
