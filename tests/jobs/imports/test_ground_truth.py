"""Labels from a Ground Truth output manifest."""

import json

import pytest

from contract import ids
from jobs import import_table
from tests.jobs.test_import_table import rows
from tests.training.loop_root import LoopRoot, digits, png

DAY = "2026-11-20"


def line(source: str, label: str | None, at: str = "2026-11-21T10:00:00.123456", **more) -> dict:
    """As the service writes it (single-label image classification)."""
    metadata = {"class-name": label, "job-name": "labeling-job/shop", "confidence": 0.9, "human-annotated": "yes",
                "creation-date": at, "type": "groundtruth/image-classification"} | more
    return {"source-ref": source, "shop": 3, "shop-metadata": metadata}


@pytest.fixture
def loop(tmp_root):
    loop = LoopRoot(tmp_root, "m")
    loop.pictures = [png(p) for p in digits()[0][:3]]
    loop.made = loop.day(DAY, [*loop.pictures, loop.pictures[0]][:3], [None] * 3)
    loop.uris = [f"s3://bucket/any/{loop.image(p)[1]}" for p in loop.pictures]
    return loop


def run(root, path, lines, *options):
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return import_table.main(["labels", str(path), "--root", root, "--json", "--allow-other-labels", *options])


def test_pictures_are_found_by_the_stored_image_or_by_a_prediction_id(loop, tmp_root, tmp_path):
    other = ids.uuid7(import_table.clock.parse_moment(f"{DAY}T09:00:00Z"))
    lines = [line(loop.uris[0], " seven "), line(loop.uris[1], "one"),
             line("s3://elsewhere/x.jpg", "two") | {"prediction_id": other}]
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 0
    found = {r["prediction_id"]: r for r in rows(tmp_root, "labels")}
    assert {i: r["label"] for i, r in found.items()} == {loop.made[0]: "seven", loop.made[1]: "one", other: "two"}
    assert {(r["labeler"], r["origin"], r["day"]) for r in found.values()} == {("labeling-job/shop", "import", DAY)}
    assert found[other]["labeled_at"].isoformat() == "2026-11-21T10:00:00.123456+00:00"
    before = list(loop.storage.list("labels/"))
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 0 and list(loop.storage.list("labels/")) == before


def test_of_chained_jobs_the_newest_answer_counts(loop, tmp_root, tmp_path):
    both = line(loop.uris[0], "old", "2026-11-21T10:00:00") | {
        "check-metadata": line("", "new", "2026-11-22T10:00:00")["shop-metadata"]}
    assert run(tmp_root, tmp_path / "l.jsonl", [both]) == 0
    assert [r["label"] for r in rows(tmp_root, "labels")] == ["new"]


@pytest.mark.parametrize("bad, said", [
    (line("s3://b/images/ab/" + "0" * 64 + ".jpg", "x"), "no prediction of"),
    (line("s3://b/x.jpg", "x"), "put `prediction_id` into the lines"),
    (line("", "x", **{"human-annotated": "no"}), "no person labelled it"),
    (line("", None, **{"failure-reason": "ClientError"}), "no person labelled it .ClientError"),
    (line("", "x", type="groundtruth/object-detection"), "expected an answer of the type groundtruth/image-class"),
])
def test_lines_that_cannot_be_taken_are_named_and_nothing_is_written(loop, tmp_root, tmp_path, capsys, bad, said):
    import re

    lines = [line(loop.uris[0], "fine"), bad]
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 1
    assert re.search(f"line 2: .*{said}", capsys.readouterr().err) and rows(tmp_root, "labels") == []
    assert run(tmp_root, tmp_path / "output.manifest", lines, "--skip-bad") == 0 and len(rows(tmp_root, "labels")) == 1
