"""What /metrics says of the models: from the documents alone, the same in every replica, and never waiting for the store."""

import shutil
import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from contract import clock, jsonio, layout
from contract.storage import open_root
from inference.monitoring.predicted import MOST_CLASSES, PredictedMetrics
from inference.monitoring.watch import STATES, Watch
from tests.inference.overview.years import write_history
from tests.inference.small_service import MODEL, publish

NOW = clock.parse_moment("2026-11-21T13:00:00Z")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A root with a version, and one that has an evaluation of a week, too, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    publish(open_root(str(folder / "fresh"), create=True), folder)
    shutil.copytree(folder / "fresh", folder / "judged")
    write_history(open_root(str(folder / "judged")), 7)
    return folder


@pytest.fixture
def fresh(made, tmp_root, monkeypatch):
    """The root without evaluations."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    shutil.copytree(made / "fresh", tmp_root, dirs_exist_ok=True)
    return open_root(tmp_root)


@pytest.fixture
def storage(made, tmp_root, monkeypatch):
    """The root whose newest evaluation passes."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    shutil.copytree(made / "judged", tmp_root, dirs_exist_ok=True)
    return open_root(tmp_root)


def look(storage, max_age_days=3.0) -> CollectorRegistry:
    registry, watch = CollectorRegistry(), Watch(storage, max_age_days)
    registry.register(watch)
    watch.look()
    return registry


def verdicts(registry) -> dict[str, float]:
    return {state: registry.get_sample_value("trueup_verdict", {"model": MODEL, "version": "1", "verdict": state})
            for state in STATES}


def test_the_newest_evaluation_by_version_with_interval_labels_and_age(storage):
    registry = look(storage)
    of = {"model": MODEL, "version": "1"}
    low, value, high = (registry.get_sample_value(f"trueup_accuracy{end}_ratio", of) for end in ("_low", "", "_high"))
    assert 0.9 < low < value < high < 1 and value == pytest.approx(0.95)
    assert registry.get_sample_value("trueup_evaluated_labels", of) == 280
    assert registry.get_sample_value("trueup_evaluation_age_seconds", {"model": MODEL}) == 3600
    assert registry.get_sample_value("trueup_data_age_seconds", {"model": MODEL}) == 13 * 3600
    assert registry.get_sample_value("trueup_accuracy_bound_ratio", {"model": MODEL}) == 0.9


@pytest.mark.parametrize(("said", "days", "expected"), [("pass", 3, "pass"), ("fail", 3, "fail"), ("pass", 0.01, "cannot tell")])
def test_the_verdict_is_one_state_of_all_by_the_rule_of_the_other_pages(storage, said, days, expected):
    key = layout.decision(MODEL, storage.folders(layout.evaluations(MODEL))[-1])
    storage.put(key, jsonio.dumps(jsonio.loads(storage.read(key)) | {"verdict": said}))
    assert verdicts(look(storage, days)) == {state: float(state == expected) for state in STATES}


def test_without_an_evaluation_there_is_no_figure_rather_than_a_zero(fresh):
    registry = look(fresh)
    assert verdicts(registry)["none"] == 1
    assert registry.get_sample_value("trueup_accuracy_ratio", {"model": MODEL, "version": "1"}) is None


def test_two_replicas_give_the_same_figures(storage):
    one, two = (generate_latest(look(storage)).decode().splitlines() for _ in range(2))
    assert [a for a in one if "figures_age" not in a] == [b for b in two if "figures_age" not in b]


def test_a_damaged_document_leaves_the_figures_of_other_models(storage):
    folder, other = layout.evaluations(MODEL), layout.evaluations("b/ad")
    for entry in list(storage.list(folder)):
        storage.put(entry.key.replace(folder, other), b'{"schema": "1"')
    registry = look(storage)
    assert verdicts(registry)["pass"] == 1
    assert registry.get_sample_value("trueup_verdict", {"model": "b/ad", "version": "", "verdict": "none"}) == 1


def test_a_store_that_hangs_holds_no_scrape_and_one_that_fails_leaves_what_was_known(storage, monkeypatch):
    watch, hangs, asked = Watch(storage, 3.0, every_s=0.01), threading.Event(), threading.Event()
    watch.look()
    monkeypatch.setattr(storage, "folders", lambda _: (asked.set(), hangs.wait(20)))
    watch.start()
    assert asked.wait(10)
    names = {sample.name for metric in watch.collect() for sample in metric.samples}
    assert {"trueup_accuracy_ratio", "trueup_verdict", "trueup_figures_age_seconds"} <= names
    watch.stop()
    hangs.set()

    def fail(_):
        raise OSError("gone")

    monkeypatch.setattr(storage, "folders", fail)
    watch.look()
    assert "trueup_accuracy_ratio" in {sample.name for metric in watch.collect() for sample in metric.samples}


def test_the_predicted_classes_have_a_bounded_number_of_series():
    registry = CollectorRegistry()
    counted = PredictedMetrics(registry)
    classes = [f"class {n}" for n in range(200)]
    for n, label in enumerate(reversed(classes)):
        counted.count("m", "1", label, n / 200, classes)
    series = [s for metric in registry.collect() for s in metric.samples if s.name == "trueup_predicted_class_total"]
    assert len(series) == MOST_CLASSES + 1 and sum(s.value for s in series) == 200
    assert {s.labels["class"]: s.value for s in series}["other"] == 150
    read = registry.get_sample_value
    assert read("trueup_prediction_confidence_ratio_bucket", {"model": "m", "version": "1", "le": "0.5"}) == 101


def test_an_evaluation_that_nobody_judged_yet_has_figures_and_no_verdict(storage):
    name = storage.folders(layout.evaluations(MODEL))[-1]
    document = jsonio.loads(storage.read(layout.evaluation_document(MODEL, name)))
    later = name.replace("T12", "T13")
    storage.put(layout.evaluation_document(MODEL, later), jsonio.dumps(document | {"as_of": "2026-11-21T13:00:00.000000Z"}))
    registry = look(storage)
    assert registry.get_sample_value("trueup_evaluation_age_seconds", {"model": MODEL}) == 0 and verdicts(registry)["pass"] == 1


def test_large_documents_are_read_again_only_when_there_are_others(storage, monkeypatch):
    watch, read = Watch(storage, 3.0), []
    watch.look()
    original = storage.read
    monkeypatch.setattr(storage, "read", lambda key: (read.append(key), original(key))[1])
    watch.look()
    assert [key for key in read if "evaluations/" in key] == []
    storage.delete(layout.decision(MODEL, sorted(storage.folders(layout.evaluations(MODEL)))[-1]))
    watch.look()
    assert any(key.endswith("evaluation.json") for key in read)
