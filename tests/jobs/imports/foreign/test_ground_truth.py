"""Labels from a Ground Truth output manifest."""

import json
import re

import pytest

from contract import clock, ids
from jobs import evaluate, import_table
from tests.jobs.imports.bring import COLUMNS, labels_of, put
from tests.jobs.stored_rows import read_rows
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
    loop.made = loop.day(DAY, loop.pictures, [None] * 3)
    loop.uris = [f"s3://bucket/any/{loop.image(p)[1]}" for p in loop.pictures]
    return loop


def run(root, path, lines, *options):
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return import_table.main(["labels", str(path), "--root", root, "--json", "--allow-other-labels", *options])


def test_pictures_are_found_by_the_stored_image_or_by_a_prediction_id(loop, tmp_root, tmp_path):
    other = ids.uuid7(clock.parse_moment(f"{DAY}T09:00:00Z"))
    lines = [line(loop.uris[0], " seven "), line(loop.uris[1], "one"),
             line("s3://elsewhere/x.jpg", "two") | {"prediction_id": other}]
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 0
    found = {r["prediction_id"]: r for r in read_rows(tmp_root, "labels")}
    assert {i: r["label"] for i, r in found.items()} == {loop.made[0]: "seven", loop.made[1]: "one", other: "two"}
    assert {(r["labeler"], r["origin"], r["day"]) for r in found.values()} == {("labeling-job/shop", "import", DAY)}
    assert found[other]["labeled_at"].isoformat() == "2026-11-21T10:00:00.123456+00:00"
    before = list(loop.storage.list("labels/"))
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 0 and list(loop.storage.list("labels/")) == before


def chain(source, a, b):
    """Two jobs' answers in one line, the second a day later."""
    return line(source, a, "2026-11-21T10:00:00") | {"check": 1, "check-metadata": line("", b, "2026-11-22T10:00:00", **{
        "job-name": "labeling-job/check"})["shop-metadata"]}


def test_of_chained_jobs_the_newest_answer_counts(loop, tmp_root, tmp_path):
    lines = [chain(loop.uris[0], "seven", "one"), chain(loop.uris[1], "one", "one")]
    assert run(tmp_root, tmp_path / "l.jsonl", lines) == 0
    assert [r["label"] for r in read_rows(tmp_root, "labels")] == ["one", "one"]


def test_of_chained_jobs_without_a_class_in_common_one_is_named(loop, tmp_root, tmp_path, capsys):
    lines = [chain(loop.uris[0], "cat", "day"), chain(loop.uris[1], "dog", "night")]
    assert run(tmp_root, tmp_path / "l.manifest", lines) == 1
    assert "check (day, night) and shop (cat, dog) have no class in common" in capsys.readouterr().err
    assert run(tmp_root, tmp_path / "l.manifest", lines, "--job", "nobody") == 2
    assert "no line has an answer of the job 'nobody'; there are check, shop" in capsys.readouterr().err
    for job, said in (("shop", ["cat", "dog"]), ("labeling-job/check", ["cat", "day", "dog", "night"])):
        assert run(tmp_root, tmp_path / "l.manifest", lines, "--job", job) == 0
        assert sorted(r["label"] for r in read_rows(tmp_root, "labels")) == said


@pytest.mark.parametrize("bad, said", [
    (line("s3://b/images/ab/" + "0" * 64 + ".jpg", "x"), "no prediction of"),
    (line("s3://b/x.jpg", "x"), "put `prediction_id` into the lines"),
    (line("", "x"), "expected the address of a picture, got none"),
    (line("", "x", type="groundtruth/object-detection"), "expected an answer of the type groundtruth/image-class"),
])
def test_lines_that_cannot_be_taken_are_named_and_nothing_is_written(loop, tmp_root, tmp_path, capsys, bad, said):
    lines = [line(loop.uris[0], "fine"), bad]
    assert run(tmp_root, tmp_path / "output.manifest", lines) == 1
    assert re.search(f"line 2: .*{said}", capsys.readouterr().err) and read_rows(tmp_root, "labels") == []
    assert run(tmp_root, tmp_path / "output.manifest", lines, "--skip-bad") == 0 and len(read_rows(tmp_root, "labels")) == 1


def answer(name, at="2026-11-19T10:00:00.123456", **more):
    """A job's answer as `Classification job output` of the developer guide has it."""
    return {"class-name": name, "confidence": 0.77, "type": "groundtruth/image-classification", "human-annotated": "yes",
            "creation-date": at, "job-name": "labeling-job/job-a"} | more


def g(n, name="cat", more=(), **metadata):
    return {"source-ref": f"s3://b/{n}.png", "prediction_id": f"g{n}", "job-a": 0,
            "job-a-metadata": answer(name, **metadata)} | dict(more)


CHECKED = {"verify-metadata": {"class-name": "bad", "type": "groundtruth/label-verification", "human-annotated": "yes",
                               "creation-date": "2026-11-20T10:00:00", "job-name": "v"}}
PREDICTED = [f"g{n},2026-11-18T0{n}:00:00Z,m,1,{said},.9" for n, said in enumerate(("cat", "dog", "cat", "dog", "7"))]


@pytest.mark.parametrize("lines, labelled, said", [
    ([g(0), g(1, "dog"), g(2, "dog")], (3, 2 / 3), ""),
    ([{"source-ref": "s3://b/9.png"}, {"source-ref": "s3://b/8.png"}, g(0)], (1, 1.0), "2 without an answer"),
    ([g(0), g(3, "dog", **{"human-annotated": "no"})], (1, 1.0), "1 labelled by a machine"),
    ([g(0), g(2, **{"failure-reason": "timeout"})], (1, 1.0), "1 without an answer"),
    ([g(0, more=CHECKED)], (1, 1.0), "1 line with the answer of a verification job, too ('bad' 1)"),
    ([g(4, 7)], (1, 1.0), ""),
    ([g(4, None, more={"job-a": 7})], (1, 1.0), ""),
    ([g(1, None, more={"job-a": 3}, **{"class-map": {"3": "dog"}})], (1, 1.0), ""),
])
def test_manifests_as_people_have_them(tmp_path, capsys, lines, labelled, said):
    p = put(tmp_path / "p.csv", PREDICTED, COLUMNS)
    manifest = tmp_path / "out.manifest"
    manifest.write_text("\n".join(map(json.dumps, lines)), "utf-8-sig")
    assert evaluate.main(["--predictions", str(p), "--labels", str(manifest), "--json"]) == 0
    out, err = capsys.readouterr()
    version = json.loads(out)["versions"]["1"]
    assert (version["labelled"], version["accuracy"]["value"]) == pytest.approx(labelled) and said in err


def test_ids_that_are_names_of_pictures(tmp_root, tmp_path, capsys):
    ids_ = ["img1.jpg", "s3://b/in/img2.jpg", "in/img3.jpg", "img4.jpg"]
    import_table.main(["predictions", "--root", tmp_root, str(put(tmp_path / "p.csv", [
        f"{i},2026-11-18T01:00:00Z,m,1,cat,.9" for i in ids_], COLUMNS))])
    lines = [line(f"s3://b/in/img{n}.jpg", "cat") for n in (1, 2, 3)]
    assert run(tmp_root, tmp_path / "o.manifest", lines) == 0
    assert labels_of(tmp_root) == sorted((i, "2026-11-18", "cat") for i in ids_[:3])
    capsys.readouterr()
    assert run(tmp_root, tmp_path / "o.manifest", [line(f"s3://b/{n}/img4.jpg", "cat") for n in "ab"]) == 1
    assert "the id 'img4.jpg' in the root could be of each of 's3://b/a/img4.jpg', 's3://b/b/img4" in capsys.readouterr().err
    assert run(tmp_root, tmp_path / "o.manifest", [line("s3://b/in/IMG4.png", "cat")]) == 1
    assert "'s3://b/in/IMG4.png' (nearest: 'img4.jpg')" in capsys.readouterr().err


def test_a_picture_that_two_models_judged(loop, tmp_root, tmp_path, capsys):
    LoopRoot(tmp_root, "other").day("2026-11-21", loop.pictures[:1], [None])
    assert run(tmp_root, tmp_path / "o.manifest", [line(loop.uris[0], "one")]) == 1
    assert "of the models 'm', 'other': say by `--model`" in capsys.readouterr().err
    assert run(tmp_root, tmp_path / "o.manifest", [line(loop.uris[0], "one")], "--model", "m") == 0
    assert [i for i, _, _ in labels_of(tmp_root)] == [loop.made[0]]
