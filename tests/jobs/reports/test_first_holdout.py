"""The report draws what each version still knows of the first dataset, as the newest assessment of its line has it."""

import re

import pytest

from contract.assessed.first_holdout import find_newest
from contract.registry import Registry
from contract.runs import Plan, Runs, Timing
from contract.storage import open_root
from jobs.reports import page
from metrics.significance.paired import Paired
from tests.figures import cell, day, document
from tests.pipeline.roots import DAY, MODEL, make_root, write_version


def make_section(dataset="d1"):
    """Version 1 knew 95 of 100 rows, version 2 knows 80."""
    one, two = Paired(95, 0, 0, 5).live(), Paired(80, 0, 0, 20).live()
    return {"dataset": dataset, "version": "1", "rows": 100, "reason": None, "overall": Paired(78, 17, 2, 3).to_dict(),
            "by_origin": {}, "since_first": Paired(78, 17, 2, 3).to_dict(), "leakage": {},
            "versions": [{"version": v, "n": 100, "accuracy": a} for v, a in (("1", one), ("2", two))]}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Version 2 was made of version 1 by a run that compared them, version 3 of version 2 by hand."""
    folder = tmp_path_factory.mktemp("line")
    root = make_root(f"file://{folder}/root", right=9, n=10)
    registry = Registry(open_root(root), MODEL)
    plan = Plan(model=MODEL, window={"from": DAY, "to": DAY}, as_of=f"{DAY}T23:00:00Z", live="1", live_seq=1)
    run = Runs(registry.storage, MODEL).acquire(lambda: plan, Timing())
    write_version(registry, registry.claim(by="cycle", run=run.key), folder, parent="1")
    run.record("assess", {"first": make_section()})
    write_version(registry, registry.claim(by="test"), folder, parent="2")
    return registry


def test_the_newest_comparison_of_a_line_is_found(registry):
    assert find_newest(registry, "2") == find_newest(registry, "3") == find_newest(registry, "2", "d1") == make_section()
    assert find_newest(registry, "1") is find_newest(registry, "2", "d0") is find_newest(registry, "99") is None


def test_a_damaged_assessment_is_passed_over(registry):
    key = f"runs/{MODEL}/1/assess.json"
    whole = registry.storage.read(key)
    registry.storage.put(key, whole[:20])
    assert find_newest(registry, "2") is None
    registry.storage.put(key, whole)


def test_each_versions_accuracy_is_drawn_and_the_difference_since_the_first_told():
    evaluation = document(day([cell("a", "a", 0.9, origin="audit", n=90)]))
    html = page.render(evaluation, None, {"first_holdout": make_section()})
    section = html[html.index('id="s-first"'):html.index('id="s-rows"')]
    shown = " ".join(re.sub(r"<[^>]+>", " ", section).split())
    assert "1 100 95.0% 88.8 to 97.8%" in shown and "2 100 80% 71 to 87%" in shown
    assert "Since version 1: -15.0 points (" in shown and section.count('<svg class="bar"') == 2
    assert 'id="s-first"' not in page.render(evaluation)
