"""`trueup model thresholds` on a real root: what is refused, and what evaluations, gates, reports and pages then say."""

import json
import random
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract import clock, ids, layout, samples
from contract.confidence import confidence_bin
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.storage import open_storage
from inference import review
from inference.labelling.queue import Queue
from inference.overview.facts import Facts
from inference.pages.queue_page import order_for
from jobs import evaluate
from pipeline import gate, model
from pipeline.verifying import command as verify
from tests.pipeline.roots import MODEL, make_root, put_rows, write_version

DAYS = [clock.day_of(clock.now() - timedelta(days=n)) for n in range(6, 0, -1)]
ROWS = 300


def make_day(storage, day, seed, version="1"):
    rng, noon, predictions, labels = random.Random(seed), clock.parse_moment(f"{day}T06:00:00Z"), [], []
    for i in range(ROWS):
        at, confidence = noon + timedelta(seconds=i), rng.betavariate(6, 1)
        name = ids.uuid7(at, entropy=f"{seed:>2}{i:08d}".encode())
        said, other = ("a", "b") if i % 3 else ("b", "a")
        sha256 = f"{seed:032x}{i:032x}"
        predictions.append({"prediction_id": name, "predicted_at": at, "model": MODEL, "model_version": version,
                            "predicted_label": said, "confidence": confidence, "role": "live", "image_sha256": sha256,
                            "image_uri": layout.image(sha256, "png")})
        if rng.random() < 0.6:
            labels.append({"label_id": ids.uuid7(at, entropy=f"l{seed:>1}{i:08d}".encode()), "prediction_id": name,
                           "label": said if rng.random() < 1 - (1 - confidence) ** 1.3 else other, "labeler": "ana",
                           "labeled_at": at + timedelta(hours=1), "origin": "audit", "saw_prediction": False,
                           "selection_probability": 0.6})
    put_rows(storage, PREDICTION, "predictions", predictions, day)
    put_rows(storage, LABEL, "labels", labels, day)


def run(capsys, main, root, *options, codes=(0, 3, 4)):
    capsys.readouterr()
    code = main([*options, "--root", root, "--model", MODEL, "--json"])
    printed = capsys.readouterr()
    assert code in codes, printed
    return json.loads(printed.out)


@pytest.fixture
def root(tmp_root):
    """Version 1 is live; its first four days."""
    storage = open_storage(tmp_root)
    make_root(tmp_root, right=1, n=1, day=DAYS[0])
    for i, day in enumerate(DAYS[:4]):
        make_day(storage, day, i + 1)
    return tmp_root


def test_from_acceptance_to_gate_verification_and_pages(capsys, root):
    storage = open_storage(root)
    made = run(capsys, evaluate.main, root)
    assert "evidence" not in made, "nothing is in force, and nobody asked"
    accepted = run(capsys, model.main, root, "thresholds", "accept", made["id"], "--by", "ana")
    told = {row["predicted"]: row["threshold"] for row in made["versions"]["1"]["confidence_thresholds"]}
    assert accepted["state"]["thresholds"] == {name: at for name, at in told.items() if at is not None}
    same = run(capsys, gate.main, root, "--dry-run", "--set", "gates.min_accepted_accuracy=0.8", "--evaluation", made["id"])
    assert find_gate(same)["verdict"] == "not judged", "at its moment none were in force"

    for i, day in enumerate(DAYS[4:], start=5):
        make_day(storage, day, i)
    again = run(capsys, evaluate.main, root)
    section = again["evidence"]["automatic"]["versions"]["1"]
    assert section["hold"] and section["afterwards"]["predictions"] == 2 * ROWS
    judged = run(capsys, gate.main, root, "--set", "gates.min_accepted_accuracy=0.8")
    found = find_gate(judged)
    assert found["n"] == section["afterwards"]["labelled"] and found["verdict"] == "pass"
    assert found["value"] == section["afterwards"]["accuracy"]["value"]
    report = storage.read(layout.report(MODEL, again["id"])).decode()
    assert all(words in report for words in ("Accepted unseen", "Accept or review", "what a target accuracy would automate"))
    checked = run(capsys, verify.main, root, again["id"])
    assert {f["state"] for f in checked["findings"]} <= {"equal", "not recomputed"}, checked["findings"]
    assert any("evidence.automatic" in f["said"] for f in checked["findings"] if f["state"] == "equal")

    shown = Facts(storage, None).describe(MODEL)["automatic"]
    assert shown["figures"] == section["afterwards"] and not shown["stale"] and not shown["flatters"]
    promote_another(storage)
    assert Facts(storage, None).describe(MODEL)["automatic"]["stale"]
    stale = run(capsys, model.main, root, "thresholds", "show")
    assert (stale["live"], stale["hold"], stale["of"]["version"]) == ("2", False, "1")
    model.main(["thresholds", "show", "--root", root, "--model", MODEL])
    assert "version 2 is live, so they are stale" in capsys.readouterr().out


@pytest.mark.slow("accept")
def test_what_if_judges_each_day_by_the_thresholds_of_then(capsys, root, tmp_path):
    storage, name = open_storage(root), run(capsys, evaluate.main, root)["id"]
    run(capsys, model.main, root, "thresholds", "accept", name, "--by", "ana")
    for i, day in enumerate(DAYS[4:], start=5):
        make_day(storage, day, i)
    run(capsys, evaluate.main, root)
    judged = run(capsys, gate.main, root, "--set", "gates.min_accepted_accuracy=0.8")
    policy = tmp_path / "policy.yaml"
    policy.write_text("min_accepted_accuracy: 0.8\n")
    today = clock.day_of(clock.now())
    calendar = run(capsys, gate.main, root, "--what-if", str(policy), "--from", DAYS[0], "--to", today)
    gates = {row["day"]: {g["gate"]: g for g in row["gates"]}["accepted_accuracy"] for row in calendar["days"]}
    assert {gates[day]["verdict"] for day in DAYS} == {"not judged"}
    assert (gates[today]["verdict"], gates[today]["n"]) == ("pass", find_gate(judged)["n"])


def find_gate(decision):
    return next(g for g in decision["gates"] if g["gate"] == "accepted_accuracy")


def promote_another(storage):
    registry = Registry(storage, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        write_version(registry, registry.claim(by="test"), Path(folder))
    registry.promote("2", by="test", reason="better", expected_live="1")


def refuse(capsys, root, *options):
    assert model.main(["thresholds", "accept", *options, "--by", "ana", "--root", root, "--model", MODEL]) == 2
    return capsys.readouterr().err


def test_what_is_refused(capsys, root):
    storage, name = open_storage(root), run(capsys, evaluate.main, root)["id"]
    said = refuse(capsys, root, name, "--target", "0.9999")
    assert "known to be right in 99.99% of cases" in said and "would tell" in said
    assert "is of version 1: expected version 7" in refuse(capsys, root, name, "--version", "7")
    promote_another(storage)
    said = refuse(capsys, root, name)
    assert "is of version 1: expected version 2, which is live. Name the version" in said
    run(capsys, model.main, root, "thresholds", "accept", name, "--by", "ana", "--version", "1")
    batch = run(capsys, evaluate.main, root, "--role", "batch")["id"]
    assert "expected live" in refuse(capsys, root, batch)


def test_a_target_gives_every_class_one_threshold(capsys, root):
    asked = run(capsys, evaluate.main, root, "--evidence", "automatic", "--set", "evaluate.accept_targets=[0.9, 0.95]")
    [ninety, _] = asked["evidence"]["automatic"]["versions"]["1"]["targets"]
    made = run(capsys, model.main, root, "thresholds", "accept", asked["id"], "--by", "ana", "--target", "0.9")
    model.main(["show", "--root", root, "--model", MODEL])
    assert "accepted unseen by thresholds of 2 classes" in capsys.readouterr().out
    assert made["state"]["thresholds"] == {"a": ninety["threshold"], "b": ninety["threshold"]}
    assert made["state"]["thresholds_of"]["target"] == 0.9


def test_what_is_left_to_people_is_asked_first(capsys, root):
    storage = open_storage(root)
    assert review.main(["sample", "--review-first", "--root", root, "--model", MODEL, "--day", DAYS[1]]) == 2
    assert "thresholds in force do not accept, and there are none" in capsys.readouterr().err
    name = run(capsys, evaluate.main, root)["id"]
    run(capsys, model.main, root, "thresholds", "accept", name, "--by", "ana")
    held = Registry(storage, MODEL).newest().state.thresholds
    drawn = run(capsys, review.main, root, "sample", "--review-first", "--day", DAYS[1])
    assert (drawn["below"], drawn["evaluation"]) == (held, name)
    empty = ["--from", "2025-01-01", "--to", "2025-01-02"]
    assert review.main(["sample", "--review-first", "--root", root, "--model", MODEL, *empty]) == 2
    assert "on any day that was asked for: nothing to draw from" in capsys.readouterr().err
    sample = samples.read(storage, MODEL, DAYS[1], "review", "live-rest")
    waiting = {w.item.prediction_id: w.item for w in Queue(storage, sample).list_waiting()}
    rows = [row for file in storage.list(layout.day_folder(layout.PREDICTIONS, DAYS[1]))
            for row in pq.read_table(pa.BufferReader(storage.read(file.key))).to_pylist()]
    left = {row["prediction_id"] for row in rows if row["image_uri"]
            and confidence_bin(row["confidence"]) < 20 * held.get(row["predicted_label"], 2)}
    assert waiting.keys() == left and 0 < len(left) < len(rows)
    assert order_for("review", ["live", "batch", "live-rest"]) == ["live-rest", "live", "batch"]
    assert order_for("audit", ["live", "batch", "live-rest"]) == ["live", "batch", "live-rest"]
    promote_another(storage)
    assert review.main(["sample", "--review-first", "--root", root, "--model", MODEL, "--day", DAYS[2]]) == 2
    assert "they are of version 1, and another one is live" in capsys.readouterr().err
