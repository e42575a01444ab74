"""Every version on the first dataset's held-out rows, one figure everywhere: command line, models page, overview."""

import json
from time import sleep

import pytest

from contract import layout
from contract.assessed.first_holdout import EARLIER, NO_FIRST, NOT_ASKED, UNREADABLE, FirstHoldouts, find_newest
from contract.errors import RootError
from contract.registry import Registry
from contract.runs import Plan, Runs, Timing
from contract.sequence import NumberedDocuments
from contract.storage import open_root
from inference.auth import NoAuth
from inference.overview import forgotten
from inference.overview.facts import Facts
from metrics.significance.paired import Paired
from pipeline import model
from tests.inference.asgi import call
from tests.inference.pictures.test_pages import words
from tests.inference.small_service import SmallService, application
from tests.jobs.reports.test_first_holdout import make_section
from tests.pipeline.roots import DAY, MODEL, make_root, write_version

PAGE = {"Accept": "text/html"}


def assess(registry, folder, document, parent="1"):
    """A version that a run made and assessed, and that was refused."""
    plan = Plan(model=MODEL, window={"from": DAY, "to": DAY}, as_of=f"{DAY}T23:00:00Z", live="1", live_seq=1)
    run = Runs(registry.storage, MODEL).acquire(lambda: plan, Timing())
    version = registry.claim(by="cycle", run=run.key)
    write_version(registry, version, folder, parent=parent)
    run.record("assess", document)
    run.finish("refused", 3, "not good enough")
    return version


def publish(registry, folder, parent="1"):
    version = registry.claim(by="test")
    write_version(registry, version, folder, parent=parent)
    return version


@pytest.fixture
def registry(tmp_path):
    """Version 1 is live, version 2 was compared with it and refused."""
    root = make_root(f"file://{tmp_path}/root", right=9, n=10)
    registry = Registry(open_root(root), MODEL)
    assess(registry, tmp_path, {"first": make_section()})
    return registry


def describe(registry):
    return {version: one.describe() for version, one in FirstHoldouts(registry).find().items()}


def test_a_live_version_has_the_figure_of_a_candidate_that_was_refused(registry):
    assert describe(registry) == {"2": "80% (71 to 87%) on 100 held-out rows of dataset d1",
                                  "1": "95.0% (88.8 to 97.8%) on 100 held-out rows of dataset d1"}


def test_of_each_that_was_not_measured_it_says_why(registry, tmp_path):
    unknown = {"dataset": "d1", "versions": [], "reason": "dataset d1: 5 held-out rows are training rows of version 2"}
    made = {publish(registry, tmp_path): NOT_ASKED, assess(registry, tmp_path, {"first": None}): NO_FIRST,
            assess(registry, tmp_path, {"dataset": "d1"}): EARLIER,
            assess(registry, tmp_path, {"first": unknown}): unknown["reason"]}
    said = describe(registry)
    assert {version: said[version] for version in made} == {v: f"not measured: {why}" for v, why in made.items()}
    assert list(said) == ["6", "5", "4", "3", "2", "1"] and said["2"].startswith("80%")


def test_a_converted_version_has_the_figure_of_its_own_comparison(registry, tmp_path):
    version = publish(registry, tmp_path, parent="2")
    row = {"version": version, "n": 100, "accuracy": Paired(79, 0, 0, 21).live()}
    section = make_section() | {"versions": [*make_section()["versions"], row]}
    NumberedDocuments(registry.storage, layout.assessments(MODEL, version)).add({"first": section})
    assert describe(registry)[version] == "79% (70 to 86%) on 100 held-out rows of dataset d1"


def test_a_converted_version_that_is_assessed_again_has_its_new_figure(registry, tmp_path):
    """A service reads for weeks, and `trueup model convert` of the same version makes no new one."""
    version, reader = publish(registry, tmp_path, parent="2"), FirstHoldouts(registry)
    kept = NumberedDocuments(registry.storage, layout.assessments(MODEL, version))
    for n, right in ((50, 40), (100, 79)):
        row = {"version": version, "n": n, "accuracy": Paired(right, 0, 0, n - right).live()}
        kept.add({"first": make_section() | {"versions": [row]}})
        assert reader.find()[version].n == n


def test_a_report_reads_no_comparison_of_a_converted_version(registry, tmp_path, monkeypatch):
    """The roles of stages may not read it: each report on a cluster would lack the section of its line."""
    version = publish(registry, tmp_path, parent="2")
    NumberedDocuments(registry.storage, layout.assessments(MODEL, version)).add({"first": make_section("d0")})
    plain = type(registry.storage).read

    def read(self, key):
        if "/assessment-" in key:
            raise RootError(f"{key}: access denied")
        return plain(self, key)

    monkeypatch.setattr(type(registry.storage), "read", read)
    assert find_newest(registry, version) == make_section()


@pytest.mark.parametrize(("document", "said"), [
    (b"{", UNREADABLE), (b"[]", UNREADABLE), (b"{}", EARLIER),
    (b'{"first": {"dataset": "d1", "versions": [7, {"version": "1"}, {"accuracy": {}}]}}', NOT_ASKED)])
def test_a_damaged_assessment_has_no_figure_and_stops_no_other(registry, tmp_path, document, said):
    later = assess(registry, tmp_path, {"first": None})
    registry.storage.put(layout.stage(MODEL, 2, "assess"), document)
    assert describe(registry)[later] == f"not measured: {said}" and describe(registry)["2"].startswith("80%")
    assert model.main(["show", later, "--root", registry.storage.root, "--model", MODEL]) == 0


def test_the_card_is_shown_to_whoever_may_not_read_the_runs(registry, capsys, monkeypatch):
    plain = type(registry.storage).read

    def read(self, key):
        if key.startswith("runs/"):
            raise RootError(f"{key}: access denied")
        return plain(self, key)

    monkeypatch.setattr(type(registry.storage), "read", read)
    told = ["show", "1", "--root", registry.storage.root, "--model", MODEL]
    assert model.main(told) == 0
    text = capsys.readouterr().out
    assert "weights" in text and f"first dataset\n  not known: runs/{MODEL}/1/run.json: access denied" in text
    assert model.main([*told, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first_holdout"] is None


def test_what_was_found_is_read_no_more_and_what_is_new_is(registry, tmp_path):
    reader = FirstHoldouts(registry)
    before = reader.find()
    key = layout.stage(MODEL, 1, "assess")
    registry.storage.delete(key)
    later = publish(registry, tmp_path)
    assert reader.find() == {later: reader.find()[later], **before} and FirstHoldouts(registry).find()["1"].accuracy is None


def test_many_versions_are_read_side_by_side_in_their_order_and_not_all_at_once(registry, tmp_path, monkeypatch):
    for _ in range(30):
        publish(registry, tmp_path)
    before, plain, now, most = describe(registry), type(registry.storage).read, [], [0]

    def read(self, key):
        now.append(key)
        most[0] = max(most[0], len(now))
        sleep(0.02)
        now.remove(key)
        return plain(self, key)

    monkeypatch.setattr(type(registry.storage), "read", read)
    assert list(describe(registry).items()) == list(before.items()) and 8 <= most[0] <= 16


def test_the_command_shows_all_versions(registry, capsys, tmp_path):
    publish(registry, tmp_path)
    told = ["--root", registry.storage.root, "--model", MODEL]
    assert model.main(["show", "1", *told]) == 0
    text = capsys.readouterr().out
    assert "accuracy on the held-out rows of the first dataset\n  version 3   not measured: no assessment that is" in text
    assert "  version 1   95.0% (88.8 to 97.8%) on 100 held-out rows of dataset d1" in text
    assert max(map(len, text.splitlines())) <= 80
    assert model.main(["show", "1", *told, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["first_holdout"]
    assert [(row["version"], row["n"]) for row in rows] == [("3", 0), ("2", 100), ("1", 100)]
    assert [row["reason"] for row in rows] == [NOT_ASKED, None, None] and rows[2]["accuracy"]["value"] == 0.95


def test_of_many_versions_the_command_shows_the_newest_and_the_one_that_was_asked_for(registry, capsys, tmp_path):
    for _ in range(13):
        publish(registry, tmp_path)
    assert model.main(["show", "1", "--root", registry.storage.root, "--model", MODEL]) == 0
    text = capsys.readouterr().out
    assert "  version 15" in text and "  version 1   95.0%" in text
    assert "  version 3 " not in text and "and 2 more (--json" in text


def test_the_pages_have_the_same_figure(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(forgotten, "LOOKED_S", -1.0)
    service = SmallService(registry.storage.root)
    service.default_model = MODEL
    publish(registry, tmp_path)
    models, overview = (words(call(application(service, NoAuth()), "GET", path, PAGE)) for path in ("/models", "/overview"))
    assert "dataset's held-out rows 80% (71 to 87%) on 100 held-out rows of dataset d1" in models
    assert f"not measured: {NOT_ASKED}" in models
    assert ("Still known of the first dataset Version 1: 95.0% (88.8 to 97.8%) on 100 held-out rows of dataset d1 version 2 80% "
            "(71 to 87%)") in overview


def test_the_overview_says_why_the_live_version_was_not_measured(registry, tmp_path):
    later = publish(registry, tmp_path)
    registry.promote(later, by="test", reason="test", expected_live="1")
    known = Facts(registry.storage, None).describe(MODEL)["first"]
    assert known.live.describe() == f"not measured: {NOT_ASKED}" and [one.version for one in known.others] == ["2", "1"]


def test_the_overview_knows_what_was_published_since_its_last_look(registry, tmp_path, monkeypatch):
    now, facts = [100.0], Facts(registry.storage, None)
    monkeypatch.setattr(forgotten.clock, "monotonic", lambda: now[0])
    assert facts.describe(MODEL)["first"].live.version == "1"
    later = publish(registry, tmp_path)
    registry.promote(later, by="test", reason="test", expected_live="1")
    now[0] += 6
    assert facts.describe(MODEL)["first"].live.version == later


def test_where_nothing_is_live_nothing_new_is_looked_for(registry, monkeypatch):
    now, looks = [100.0], []
    monkeypatch.setattr(forgotten.clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(forgotten.FirstHoldouts, "find", lambda _: looks.append(now[0]) or {})
    known = forgotten.Forgotten(registry.storage)
    for _ in range(4):
        assert known.find(MODEL, None) is None
        now[0] += 20
    assert looks == [100.0]


def test_where_nothing_is_live_nothing_is_said(tmp_path):
    storage = open_root(f"file://{tmp_path}/root", create=True)
    assert Facts(storage, None).describe("none")["first"] is None
