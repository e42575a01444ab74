"""After a rollback the verdict is the one on the version that is live again, on every page and on the command line."""

import re

import pytest

from contract import clock
from contract.registry import Registry
from inference.auth import NoAuth
from pipeline import status
from tests import figures
from tests.inference.overview.years import write_evaluation
from tests.inference.page_text import words
from tests.inference.small_service import MODEL, SmallService, application, publish
from tests.inference.versions.client import Client

NOW = clock.parse_moment("2026-11-21T13:00:00Z")


def make_days(version, first, last, right):
    return [figures.day([figures.cell("cat", "cat", 0.9, "audit", 0.5, version=version, n=right),
                         figures.cell("cat", "dog", 0.8, "audit", 0.5, version=version, n=40 - right)], f"2026-11-{day}")
            for day in range(first, last + 1)]


@pytest.fixture
def service(tmp_root, tmp_path, monkeypatch):
    """Version 1 failed, version 2 took its place and passes; then somebody went back to version 1."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    made = SmallService(tmp_root)
    publish(made.storage, tmp_path)
    write_evaluation(made.storage, make_days("1", 14, 18, 28), "fail", "1")
    publish(made.storage, tmp_path)
    write_evaluation(made.storage, [*make_days("1", 14, 18, 28), *make_days("2", 19, 20, 38)], "pass", "2")
    return made


def ask_all(service):
    """The verdict that each door shows, by its name."""
    client = Client(application(service, NoAuth()))
    found = {path: set(re.findall(r'class="badge verdict-([a-z-]+)"', client.get(path).text))
             for path in ("/overview", "/models")}
    reports = client.get("/reports").text
    found["/reports"] = set(re.findall(r"Version \d (pass|fail)e?s\.", reports)[:1])
    described = status.describe_model(service.storage, MODEL, service.settings.gates.max_age_days)
    return found | {"status": {described["decision"]["verdict"]}}


def test_every_door_says_what_was_said_of_the_version_that_is_live(service):
    assert set(map(frozenset, ask_all(service).values())) == {frozenset({"pass"})}
    Registry(service.storage, MODEL).promote("1", by="ana", reason="r", expected_live="2", kind="rollback")
    assert set(map(frozenset, ask_all(service).values())) == {frozenset({"fail"})}


def test_versions_show_their_accuracy_on_live_traffic_side_by_side(service):
    said = words(Client(application(service, NoAuth())).get("/models", {"compare": "1,2"}))
    assert "Version 1 Version 2 live" in said and re.search(r"Accuracy on live traffic 70\.?\d*% \([\d.]+ to [\d.]+%\)", said)
    assert "Two versions that served on different days" in said
    assert Client(application(service, NoAuth())).get("/models", {"compare": "1,9"}).status_code == 422
