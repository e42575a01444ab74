"""Replay with a tiny network on real Spark: figures against a brute-force count, repeats, deaths, several versions, erasure."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command.load_settings import load
from contract import clock, ids, layout
from contract.errors import UsageError
from contract.records import PREDICTION
from contract.rows.replay import Replay
from contract.storage import open_root
from jobs.evaluate import main as evaluate
from jobs.evaluation_request import request_of
from jobs.forget import forget
from jobs.replaying import part
from jobs.replaying.command import main, plan_window, replay
from jobs.reports.replay import write_replay_page
from jobs.scoring.part import Job
from tests.inference.serving import until
from tests.jobs.replayed_root import AS_OF, DAYS, answer, make, predictor, replay_here, request
from tests.jobs.stored_rows import read_rows
from tests.pipeline.roots import put_rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(root, its live rows); tests that write copy it."""
    root = str(tmp_path_factory.mktemp("replay") / "root")
    return root, make(root)


@pytest.fixture
def root(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "root")
    return str(tmp_path / "root")


def here(root, version="2", rows=8):
    """(storage, job, what is left to do) of a replay whose parts are done in this process, without Spark."""
    storage, job = open_root(root), Job("m", version, 8, 1 << 20, 1 << 24, True, False)
    return storage, job, plan_window(storage, request(root), version, rows)


def rows_of(root):
    return [row for row in read_rows(root, "predictions") if row["role"] == "replay"]


@pytest.fixture(scope="module")
def truth(made):
    """id -> (live answer, that of version 2, its confidence), picture by picture, of all pictures that are there."""
    storage, model = open_root(made[0]), predictor(made[0], "2")
    return {r["prediction_id"]: (r["predicted_label"], *answer(model, storage.read(r["image_uri"])))
            for r in made[1] if r["image_uri"] and storage.exists(r["image_uri"])}


def test_figures_are_those_of_a_brute_force_count(spark, truth, root):
    replay_id, document = replay(open_root(root), load(root=root, model="m"), request(root), "2", batch=8, part=8)
    assert len(document["now"]["files"]) == 6 and document["now"]["model_loads"] <= document["now"]["workers"]
    assert (document["predictions"], document["replayed"]) == (40, len(truth)) == (40, 32)
    assert {r["prediction_id"]: r["predicted_label"] for r in rows_of(root)} == {k: v[1] for k, v in truth.items()}
    assert document["agreed"] == sum(a == b for a, b, _ in truth.values())
    flips = Counter((a, b) for a, b, _ in truth.values() if a != b)
    assert {(f["live"], f["replay"]): f["count"] for f in document["flips"]} == flips and flips
    for of in document["per_class"]:
        assert of["live"] == sum(a == of["label"] for a, _, _ in truth.values())
        assert of["agreed"] == sum(a == b == of["label"] for a, b, _ in truth.values())
    assert {k: n for k, n in document["left_out"].items() if n} == {"not stored": 4, "gone": 4}
    assert Replay.load(open_root(root), layout.replay_document("m", replay_id)).replayed == 32


def test_tasks_may_import_the_modules_that_the_driver_may(root, monkeypatch):
    """On a cluster they have an environment of their own."""
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[my_networks]")
    jobs = []
    monkeypatch.setattr("jobs.replaying.command.compute", lambda storage, job, waiting, conf: jobs.append(job) or [])
    replay(open_root(root), load(root=root, model="m"), request(root), "2", batch=8, part=8)
    assert jobs[0].modules == ("my_networks",)


def test_accuracy_of_both_is_that_of_the_labels_by_origin(truth, root):
    _, document = replay_here(root)
    labels = [row for row in read_rows(root, "labels") if row["prediction_id"] in truth]
    said = [(row["origin"], row["label"], *truth[row["prediction_id"]][:2]) for row in labels]
    named = [row for row in said if row[1] != "≠"]
    assert document["labels"]["labelled"] == len(said) and document["labels"]["unnamed"] == len(said) - len(named) == 2
    assert set(document["labels"]["by_origin"]) == {row[0] for row in named} == {"audit", "review", "feedback"}
    for origin, of in document["labels"]["by_origin"].items():
        rows = [row[1:] for row in named if row[0] == origin]
        assert of["n"] == len(rows)
        assert of["only_live"] == sum(live == label != now for label, live, now in rows)
        assert of["only_candidate"] == sum(now == label != live for label, live, now in rows)
        assert of["both"] == sum(live == label == now for label, live, now in rows)
        assert sum(c["n"] for c in of["per_class"]) == len(rows)


def test_the_strongest_disagreements_come_in_the_stated_order(truth, made, root, monkeypatch):
    monkeypatch.setattr("metrics.significance.replayed.MOST_STRONGEST", 5)
    live = {r["prediction_id"]: r["confidence"] for r in made[1]}
    _, document = replay_here(root)
    apart = [(min(live[k], p), max(live[k], p), k) for k, (a, b, p) in truth.items() if a != b]
    expected = [k for _, _, k in sorted(apart, key=lambda x: (-x[0], -x[1], x[2]))][:5]
    assert [d["prediction_id"] for d in document["strongest"]] == expected
    assert all(d["image_uri"] and d["live"] != d["replay"] for d in document["strongest"])


def test_rows_have_the_ids_and_the_days_of_the_live_ones(made, root):
    replay_here(root)
    live = {r["prediction_id"]: r for r in made[1]}
    for row in rows_of(root):
        of = live[row["prediction_id"]]
        same = ("predicted_at", "model", "image_sha256", "image_uri", "width", "height", "bytes", "client")
        assert {name: row[name] for name in same} == {name: of[name] for name in same}
        assert row["attributes"] == of["attributes"] and row["model_version"] == "2" and row["recorded_at"] > row["predicted_at"]
    storage = open_root(root)
    files = [e.key for e in storage.list("predictions/") if "/replay" in e.key]
    assert {key.split("dt=")[1][:10] for key in files} == set(DAYS)
    assert all(pq.read_schema(storage.path(key)).equals(PREDICTION.arrow()) for key in files)


def test_a_repeat_computes_nothing_and_says_the_same(root):
    first_id, first = replay_here(root)
    second_id, second = replay_here(root)
    assert (first["now"]["computed"], second["now"]["computed"]) == (32, 0) and second_id == first_id
    assert {**first, "now": 0} == {**second, "now": 0} and len(rows_of(root)) == 32


def test_a_run_that_died_is_finished_with_the_same_files(root):
    storage, job, parts = here(root)
    whole = [part.replay_part(storage, job, part.open_predictor(storage, job), one) for one in parts]
    files = {one["file"]: storage.read(one["file"]) for one in whole}
    storage.delete(layout.replay_done("m", "2", parts[0].day, parts[0].plan, parts[0].first))  # between rows and done
    storage.delete(layout.replay_done("m", "2", parts[-1].day, parts[-1].plan, parts[-1].first))
    storage.delete(whole[-1]["file"])  # before its rows
    left = here(root)[2]
    assert left == [parts[0], parts[-1]]
    for one in (*left, parts[1]):  # and another run does one part at the same time
        part.replay_part(storage, job, part.open_predictor(storage, job), one)
    assert here(root)[2] == [] and {key for key in files if storage.exists(key)} == set(files) and len(rows_of(root)) == 32
    assert storage.read(whole[0]["file"]) == files[whole[0]["file"]]


def test_live_rows_that_come_late_are_replayed_alone(made, root):
    replay_here(root)
    at = clock.parse_moment(f"{DAYS[0]}T23:00:00Z")
    late = made[1][0] | {"prediction_id": ids.uuid7(at, entropy=b"late______"), "predicted_at": at, "recorded_at": at}
    put_rows(open_root(root), PREDICTION, "predictions", [late], DAYS[0], "w2")
    _, document = replay_here(root)
    assert document["now"]["computed"] == 1 and (document["predictions"], document["replayed"]) == (41, 33)


@pytest.mark.parametrize("engine", ["embedded", "mapreduce"])
def test_two_versions_of_one_window_are_each_counted_by_themselves(root, capsys, engine):
    documents = {version: replay_here(root, version)[1] for version in ("2", "3")}
    for version, document in documents.items():
        assert document["replayed"] == 32 and document["version"] == version
        asked = ["--root", root, "--model", "m", "--role", "replay", "--model-version", version, "--engine", engine, "--json",
                 "--as-of", "2099-01-01", "--no-report", *(["--runner", "inline"] if engine == "mapreduce" else [])]
        assert evaluate(asked) == 0
        found = json.loads(capsys.readouterr().out)
        assert list(found["versions"]) == [version] and found["rows"]["duplicate_predictions"] == 0
        of = found["versions"][version]
        assert of["predictions"] == 32
        origins = document["labels"]["by_origin"]
        right = {o: row["both"] + row["only_candidate"] for o, row in origins.items()}
        for origin, row in origins.items():  # a `≠` of the very answer counts there as wrong, and is left out here
            labelled = of["by_origin"][origin]["labelled"]
            assert row["n"] <= labelled <= row["n"] + 2
            assert round(of["by_origin"][origin]["accuracy"]["value"] * labelled) == right[origin]


def test_both_versions_together_are_doubted(root, capsys):
    for version in ("2", "3"):
        replay_here(root, version)
    assert evaluate(["--root", root, "--model", "m", "--role", "replay", "--json", "--as-of", "2099-01-01", "--no-report"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]["duplicate_predictions"] == 32
    assert any("--model-version" in doubt["sentence"] for doubt in found["doubts"])


def test_live_figures_do_not_change(root, capsys):
    asked = ["--root", root, "--model", "m", "--json", "--as-of", AS_OF, "--no-report"]
    evaluate(asked)
    before = json.loads(capsys.readouterr().out)
    replay_here(root)
    evaluate(asked)
    after = json.loads(capsys.readouterr().out)
    assert after["versions"] == before["versions"] and after["rows"] == before["rows"]


def test_an_erased_picture_is_not_computed_and_leaves_the_page(root):
    storage = open_root(root)
    replay_id, document = replay_here(root)
    page = write_replay_page(storage, "m", replay_id)
    shown = document["strongest"][0]["image_sha256"]
    assert f'data-image="{shown}"' in storage.read(page).decode()
    done = forget(storage, shown, asked=shown, by="test")
    assert page in done["reports"] and not storage.exists(page)
    again = storage.read(write_replay_page(storage, "m", replay_id)).decode()
    assert f'data-image="{shown}"' not in again and 'data-image="' in again
    third = replay_here(root, "3")[1]
    assert third["left_out"]["erased"] == 1 and third["replayed"] == 31


def test_pictures_that_are_none_or_another_one_are_named(made, root):
    storage = open_root(root)
    rows = [r for r in made[1] if r["image_uri"] and storage.exists(r["image_uri"])]
    storage.put(rows[0]["image_uri"], storage.read(rows[1]["image_uri"]))
    storage.put(rows[2]["image_uri"], b"no picture")
    _, document = replay_here(root)
    assert document["left_out"]["bad"] == 2 and document["replayed"] == 30
    bad = [row for row in document["left_out_first"] if row["kind"] == "bad"]
    assert {row["prediction_id"] for row in bad} == {rows[0]["prediction_id"], rows[2]["prediction_id"]}


def test_the_command_prints_one_document(spark, root, capsys):
    asked = ["--root", root, "--model", "m", "--version", "2", "--from", DAYS[0], "--to", DAYS[0], "--as-of", AS_OF]
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["window"] == {"from": DAYS[0], "to": DAYS[0]} and document["replayed"] == 16
    assert open_root(root).exists(layout.replay_page("m", document["id"]))
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "16 have its answer, 0 of them computed now" in text and "not computed: 2 not stored" in text


def test_wrong_usage_is_said(root, capsys):
    assert main(["--root", root, "--model", "m", "--version", "9"]) == 2
    assert "expected a version of model 'm': 1, 2, 3" in capsys.readouterr().err
    assert main(["--root", root, "--model", "m"]) == 2
    assert main(["--root", root, "--model", "n", "--version", "2"]) == 1
    with pytest.raises(UsageError):
        replay_here(root, "9")


def test_a_window_without_rows_has_no_figures(root):
    empty = request_of(load(root=root, model="m"), "2026-10-01", (), "live", None, ())
    _, document = replay(open_root(root), load(root=root, model="m"), empty, "2")
    assert (document["predictions"], document["replayed"]) == (0, 0) and document["agreement"]["value"] is None


def test_the_live_version_itself_agrees_with_all_its_answers(root):
    _, document = replay_here(root, "1")
    assert document["agreed"] == document["replayed"] == 32 and document["flips"] == document["strongest"] == []


@pytest.mark.slow("kills")
def test_a_process_that_is_killed_in_between_is_finished_by_the_next_one(root):
    """With Spark, one prediction a part: killed when some parts are done and others are not."""
    code = ("import json, sys; from command.load_settings import load; from contract.storage import open_root; "
            "from jobs.replaying.command import replay; from tests.jobs.replayed_root import request; root = sys.argv[1]; "
            "print(json.dumps(replay(open_root(root), load(root=root, model='m'), request(root), '2', part=1)[1]['now']))")
    start = [sys.executable, "-c", code, root]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    storage, killed = open_root(root), subprocess.Popen(start, env=env, start_new_session=True, stdout=subprocess.DEVNULL)
    until(lambda: sum("/done-" in e.key for e in storage.list("scoring/")) > 5 or killed.poll() is not None, 300)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = {e.key: e.etag for e in storage.list("predictions/") if "/replay" in e.key}
    done = subprocess.run(start, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    now = json.loads(done.stdout.splitlines()[-1])
    after = {e.key: e.etag for e in storage.list("predictions/") if "/replay" in e.key}
    assert 0 < len(before) < 32 and 0 < now["computed"] < 32, (len(before), now)
    assert len(after) == 32 and {key: after[key] for key in before} == before
    assert len({row["prediction_id"] for row in rows_of(root)}) == len(rows_of(root)) == 32
