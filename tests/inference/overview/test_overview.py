"""The overview: every model on one screen, from the documents that are there, damaged ones named."""

import re

import httpx
import pytest

from contract import clock, layout, samples
from contract.evaluations import list_newest_first
from contract.registry import Registry
from contract.storage import open_root
from inference.auth import NoAuth
from inference.keys import KeyRing
from inference.labelling.documents import BatchHolder
from inference.labelling.queue import Queue
from inference.overview.chart import draw
from inference.overview.facts import Facts
from inference.overview.summaries import Summaries
from inference.overview.trend import Trends
from tests import figures
from tests.inference.overview.years import write_evaluation, write_history
from tests.inference.page_text import words
from tests.inference.small_service import DAY, MODEL, SmallService, application, publish, serving, ship

NOW = clock.parse_moment("2026-11-21T13:00:00Z")


@pytest.fixture
def service(tmp_root, tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    made = SmallService(tmp_root)
    publish(made.storage, tmp_path)
    return made


def read(service, keyring=None, path="/overview", **headers):
    with (serving(application(service, keyring or NoAuth())) as address,
          httpx.Client(base_url=address, headers={"Accept": "text/html"} | headers) as client):
        return client.get(path)


def test_it_says_the_verdict_and_since_when_traffic_and_what_waits(service):
    write_history(service.storage, 28, bad_from=14)
    ship(service.storage, 24)
    samples.write(service.storage, samples.draw(MODEL, DAY, "audit", samples.Design("random-audit", "audit", p=0.9)))
    said = words(read(service))
    assert "digits version 1 live fail since 2026-11-14 Version 1 fails." in said
    assert "Predictions, 7 days to 2026-11-20 280, 280 of them labelled" in said
    assert re.search(r"Waits for people \d+ for audit", said) and "bound 90%" in said


def test_what_was_answered_at_another_replica_waits_no_more(service):
    ship(service.storage, 24)
    sample = samples.draw(MODEL, DAY, "audit", samples.Design("random-audit", "audit", p=1.0))
    samples.write(service.storage, sample)
    queue = Queue(service.storage, sample)
    n, batch = queue.hand_out(BatchHolder(actor="ann", labeler="ann"), 10)
    queue.save_answers(n, {item.prediction_id: "cat" for item in batch.items})
    assert f"Waits for people {24 - len(batch.items)} for audit" in words(read(service))


def test_a_fresh_root_and_one_without_any_version_say_what_to_do(service, tmp_path):
    for one in (service, SmallService(str(tmp_path / "empty"))):
        assert "No evaluation tells how good it is yet: trueup evaluate --model digits" in words(read(one))


def test_models_that_were_only_evaluated_are_there_too(service):
    write_evaluation(service.storage, [figures.day([figures.cell("cat", "cat", 0.9, "audit", 0.5, n=40)])], "pass")
    folder = layout.evaluations(MODEL)
    for entry in list(service.storage.list(folder)):
        service.storage.put(entry.key.replace(folder, layout.evaluations("foreign model")), service.storage.read(entry.key))
    assert "foreign model pass" in words(read(service))


def test_what_cannot_be_read_is_named_and_stops_nothing(service):
    write_history(service.storage, 14)
    newest = list_newest_first(service.storage, MODEL)[0]
    service.storage.put(layout.evaluation_document(MODEL, newest), b'{"schema": "1"')
    said = words(read(service))
    assert f"Cannot be read: evaluations/digits/{newest}/evaluation.json" in said
    assert "Nobody has judged it since 2026-11-14." in said


def test_it_asks_for_the_role_read_and_is_where_a_reader_lands(service):
    ring = KeyRing(service.storage)
    label, all_of_it = ring.add("lea", ["label"]), ring.add("ann", ["read", "label"])
    assert read(service, ring, Authorization=f"Bearer {label}").status_code == 403
    assert read(service, ring, Authorization=f"Bearer {all_of_it}").status_code == 200


def test_the_part_that_renews_itself_is_no_whole_page(service):
    part = read(service, path="/overview?part=models").text
    assert "<html" not in part and "digits" in part


def test_all_days_of_a_long_history_are_found_each_once(tmp_root):
    storage = open_root(tmp_root, create=True)
    days = write_history(storage, 100, window=14, every=7)
    points = Trends(Summaries(storage)).find(MODEL, list_newest_first(storage, MODEL))
    assert [p["day"] for p in points] == days


def test_an_evaluation_that_is_finished_after_a_look_is_shown_at_the_next(tmp_root):
    storage = open_root(tmp_root, create=True)
    write_history(storage, 14)
    name = list_newest_first(storage, MODEL)[0]
    data, trends = storage.read(layout.evaluation_document(MODEL, name)), Trends(Summaries(storage))
    storage.delete(layout.evaluation_document(MODEL, name))
    assert len(trends.find(MODEL, list_newest_first(storage, MODEL))) == 7
    storage.put(layout.evaluation_document(MODEL, name), data)
    assert len(trends.find(MODEL, list_newest_first(storage, MODEL))) == 14


def test_all_days_are_shown_and_no_document_of_them_is_read_twice(tmp_root):
    storage = open_root(tmp_root, create=True)
    write_history(storage, 120, window=28, every=28)
    facts = Facts(storage, None)
    assert len(facts.describe(MODEL)["chart"]["lines"][0]["marks"]) == 120
    counting = facts._trends._summaries._storage = _Counting(storage)
    facts.describe(MODEL)
    assert counting.keys == []


class _Counting:
    """A store that says what was read."""

    def __init__(self, storage):
        self._storage, self.keys = storage, []

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def read(self, key):
        self.keys.append(key)
        return self._storage.read(key)


def test_the_drawing_stays_in_its_frame_and_shows_events_of_its_days():
    rows = [figures.day([figures.cell("cat", "cat", 0.9, "audit", 0.5, n=30), figures.cell("cat", "dog", 0.9, "audit", n=10)], d)
            for d in ("2026-11-01", "2026-11-05")]
    drawn = draw(figures.document(*rows)["trend"], 0.9, [("2026-11-05", "version 2 went live"), ("2026-12-01", "later")])
    assert [e["text"] for e in drawn["events"]] == ["2026-11-05: version 2 went live"]
    for mark in drawn["lines"][0]["marks"]:
        assert drawn["left"] <= mark["x"] <= drawn["right"] and drawn["top"] <= mark["high"] <= mark["low"] <= drawn["base"]
    assert drawn["top"] <= drawn["bound"]["y"] <= drawn["base"]
    assert draw(figures.document(figures.day([figures.cell(n=3)]))["trend"], None, []) is None


def test_the_version_that_is_live_is_the_one_that_is_judged(service, tmp_path):
    write_history(service.storage, 7)
    publish(service.storage, tmp_path)
    facts = Facts(service.storage, None).describe(MODEL)
    assert facts["live"] == Registry(service.storage, MODEL).live() == "2" and facts["verdict"] is None
