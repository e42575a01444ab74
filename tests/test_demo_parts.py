"""The demo's parts: pictures that never repeat across parts, a root that is not trampled on, errors that end it."""

import asyncio
import hashlib
import threading
import time
from collections import Counter

import httpx
import numpy as np
import pytest

from command import spans
from contract.clock import CLOCK_FILE
from contract.errors import EmptyData, UsageError
from contract.settings import Settings
from metrics.intervals import wilson
from pipeline.demo import accepting, digits, people, run, story, times, traffic
from pipeline.demo.service import run_service
from pipeline.demo.world import DAYS, MODEL, open_world
from pipeline.running.local import StageFailed
from tests.inference.published import publish_tiny


def hashes(part, seed=1):
    return {hashlib.sha256(p.data).hexdigest() for p in digits.make_part(part, seed)}


def test_no_picture_of_the_first_training_set_is_sent():
    first = hashes("first_training")
    assert len(first) == digits.PARTS["first_training"]
    assert all(first.isdisjoint(hashes(part)) for part in digits.PARTS if part != "first_training")
    assert sum(digits.PARTS.values()) == 1797


def test_the_same_seed_gives_the_same_pictures():
    assert hashes("drifted", 3) == hashes("drifted", 3) != hashes("drifted", 4)


@pytest.mark.parametrize(("judges", "missed"), [(story.JUDGES, (0, 0.01)), (1, (0.05, 1))])
def test_the_interval_holds_the_truth_though_labelers_err(judges, missed):
    """An audit of 400 answers of which 97.5% are right, played 300 times. One judge alone biases the estimate too much."""
    rng = np.random.default_rng(0)
    labelers = [people.Labeler(name, "", wrong, rng) for name, wrong in people.LABELERS.items()]
    drawn = rng.random((300, 400)) < story.AUDIT_P
    bounds = [wilson(sum(seen_as_right(n < 390, rng.permutation(labelers)[:judges]) for n in np.flatnonzero(audit)),
                     audit.sum()) for audit in drawn]
    assert missed[0] <= np.mean([not low <= 0.975 <= high for low, high in bounds]) <= missed[1]


def seen_as_right(right, labelers):
    """Whether the majority of labelers gives the class that was predicted, "1" (which it is, or else it is "2")."""
    votes = Counter(labeler.judge("1" if right else "2") for labeler in labelers)
    return votes.most_common(1)[0][0] == "1"


def test_all_days_differ_and_none_lies_after_the_present(tmp_path, monkeypatch):
    (tmp_path / "clock").write_text("-86400")
    monkeypatch.setenv(CLOCK_FILE, str(tmp_path / "clock"))
    world = open_world(str(tmp_path / "demo"), 1, 1.0, False)
    days = [world.day(name) for name in DAYS]
    assert days == sorted(set(days)) and days[-1] < world.facts["today"][:10]
    world.go_to("now")
    assert float((world.work / "clock").read_text()) == -86400


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not empty and holds no demo"):
        open_world(str(tmp_path), 1, 1.0, fresh=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_another_seed_needs_fresh(tmp_path):
    open_world(str(tmp_path / "demo"), 1, 1.0, False)
    with pytest.raises(UsageError, match="--fresh"):
        open_world(str(tmp_path / "demo"), 2, 1.0, False)
    assert open_world(str(tmp_path / "demo"), 2, 1.0, fresh=True).seed == 2


def test_a_stage_that_fails_is_an_error_with_the_stages_own_words_and_code(tmp_path, capfd):
    """The folder has no pictures, so the import refuses it; the demo ends with this error."""
    world = open_world(str(tmp_path / "demo"), 1, 1.0, False)
    (world.work / "pictures").mkdir()
    with pytest.raises(StageFailed, match="expected class folders") as failed:
        world.run("jobs.import_images", str(world.work / "pictures"), "--model", "digits")
    assert failed.value.exit_code == EmptyData.exit_code


def test_an_s3_root_is_refused():
    assert run.main(["--root", "s3://bucket/demo"]) == 2


def test_the_demo_takes_90_seconds_and_its_bound_is_the_policys_own():
    assert sum(step.budget for step in story.STEPS) <= 90
    assert Settings().gates.min_accuracy == 0.9


def test_steady_traffic_ends_with_its_block_and_keeps_the_answers_of_what_was_asked(monkeypatch):
    """One request each second for a quarter of an hour is left to send. The first is still being answered when the block ends."""
    asked, ends = threading.Event(), threading.Event()

    async def ask(client, picture, at=None):
        asked.set()
        while not ends.is_set():
            await asyncio.sleep(0.01)
        return traffic.Answer(picture, "1", "id", "2", "1", [])

    monkeypatch.setattr(traffic, "ask", ask)
    with traffic.Steady("http://nobody", "key", [str(n) for n in range(900)], 1.0) as steady:
        assert asked.wait(30)
        steady._stop.set()
        ends.set()
    assert 1 <= len(steady.answers) < 60 and steady.answers[0].picture == "0"


@pytest.mark.slow("accept")
def test_what_the_demo_accepts_is_taken_over_by_its_service_and_said_with_the_truth(tmp_path):
    """The step alone, with a network that guesses and people who call every answer right."""
    world = open_world(str(tmp_path / "root"), 1, 1.0, fresh=True)
    publish_tiny(str(world.root), model=MODEL, classes=tuple("0123456789"))
    world.facts |= {"second": "1", "keys": {who: world.run("inference.keys", "add", who, "--role", role)[1]["token"]
                                            for who, role in (("camera", "predict"), ("website", "label"))}}
    world.go_to("recovered")
    pictures = list(digits.make_part("recovered", 1))[:150]
    with run_service(str(world.root), MODEL, world.work) as url:
        world.url = url
        answers = traffic.send(url, world.facts["keys"]["camera"], pictures, 50, "traffic", world.moment("recovered"))
        said = [{"prediction_id": a.prediction_id, "label": a.label} for a in answers]
        made = httpx.post(f"{url}/v1/labels", json={"labels": said}, headers=traffic.make_authorization(
            world.facts["keys"]["website"]), timeout=60)
        assert made.status_code == 201
        truths = {a.prediction_id: a.label if n % 3 else "other" for n, a in enumerate(answers)}
        world.facts["sent_recovered"] = {"truths": truths, "said": {a.prediction_id: (a.label, a.top[0]["probability"])
                                                                    for a in answers},
                                         "feedback": len(answers)}
        world.facts["audit_labels"] = {"recovered": 0}
        story.wait_for_rows(world, world.day("recovered"), len(answers))
        story.check_recovery(world)
        accepting.accept_answers(world)
    automatic = world.facts["automatic"]
    assert (automatic["target"], automatic["labelled"], automatic["accuracy"]["value"]) == (0.98, 150, 1.0)
    assert automatic["truth"] == pytest.approx(2 / 3) and automatic["share"] == 1
    assert "100.0% of version 1's answers" in accepting.write_automatic(automatic)


def test_the_table_of_times_adds_up_and_a_step_that_goes_on_later_is_added(tmp_path, monkeypatch):
    monkeypatch.setenv(spans.SPANS_FILE, "")
    world = open_world(str(tmp_path / "demo"), 1, 1.0, fresh=True)
    times.begin(world)
    for _ in range(2):
        with times.measure(world, times.SERVICE), spans.span(spans.WAITING):
            time.sleep(0.2)
    with times.measure(world, "day"), spans.span(spans.TRAFFIC):
        time.sleep(0.3)
    seconds, spent = times.list_seconds(world), world.facts["spent"]
    assert 0.4 <= spent[times.SERVICE][spans.WAITING] <= seconds[times.SERVICE] and spent["day"][spans.TRAFFIC] >= 0.3
    head, *rows, whole = times.write_times(world).splitlines()
    assert head.startswith("where the time went  ") and len(rows) == 2
    assert float(whole.split()[1]) == pytest.approx(sum(seconds.values()), abs=0.051)
    world.facts.pop("spent")  # of a demo that an earlier release played
    assert times.list_seconds(world) == {} and len(times.write_times(world).splitlines()) == 2
