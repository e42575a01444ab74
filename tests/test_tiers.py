"""Which tests belong to which run, and that nothing is left out silently."""

import sys
from collections import Counter

import pytest

from tests import prerequisites
from tests.tiers import report, wanted


@pytest.mark.parametrize(
    ("chosen", "runs"),
    [
        (None, {None}),
        ("all", {"s3", "s3a", "browser"}),
        ("s3", {"s3", "s3a"}),
        ("=s3", {"s3"}),
        ("browser,s3a", {"browser", "s3a"}),
        ("nothing", set()),
        ("any", {None, "s3", "s3a", "browser"}),
    ],
)
def test_a_run_has_the_tests_of_its_kind(chosen, runs):
    assert {name for name in (None, "s3", "s3a", "browser") if wanted(name, chosen)} == runs


def test_the_report_names_what_was_left_out_and_the_command():
    lines = list(report(Counter({"s3": 7, "browser": 5}), ["NOT RUN: x is missing; to cure it: get x"] * 2))
    assert lines == [
        "12 slow tests not run (browser: 5, s3: 7): make test-slow [K=browser]",
        "2 tests not run: x is missing; to cure it: get x",
    ]


def test_a_run_of_the_slow_tier_says_that_the_first_was_left_out():
    assert list(report(Counter({"": 3}), [])) == ["3 tests of the first tier not run: make test"]


def test_a_missing_prerequisite_is_named_with_its_cure(monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(prerequisites, "JARS", tmp_path)
    with pytest.raises(pytest.skip.Exception, match="NOT RUN: s3a is missing; to cure it: make jars"):
        prerequisites.need("s3a")


def test_a_missing_prerequisite_fails_in_ci(monkeypatch, tmp_path):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(prerequisites, "JARS", tmp_path)
    with pytest.raises(pytest.fail.Exception, match="hadoop-streaming is missing"):
        prerequisites.need("hadoop-streaming")


def test_make_jars_fetches_what_the_tests_ask_for():
    sys.path.insert(0, str(prerequisites.ROOT / "tools"))
    import jars

    asked = {name for prerequisite in prerequisites.PREREQUISITES.values() for name in prerequisite.jars}
    assert asked == {jars.file_name(artifact) for artifact in jars.ARTIFACTS}
    assert {p.folder for p in prerequisites.PREREQUISITES.values() if p.folder} == {jars.HADOOP}


def test_a_prerequisite_that_is_there_is_given_with_its_paths(monkeypatch, tmp_path):
    monkeypatch.setattr(prerequisites, "JARS", tmp_path)
    (tmp_path / "hadoop-streaming-3.3.4.jar").write_bytes(b"")
    assert prerequisites.need("hadoop-streaming") == [str(tmp_path / "hadoop-streaming-3.3.4.jar")]
