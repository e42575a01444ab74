"""Batch scoring with a tiny network: rows like the service's, repeats, bad images, death in between."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest

from command.load_settings import load
from contract import ids, layout
from contract.errors import ForeignSchema, UsageError
from contract.records import PREDICTION
from contract.sections.pictures import choose_decoder
from contract.storage import open_root
from inference.model.preprocess import decode
from jobs.score_images import PART, Item, add_plan, list_parts_left, list_plans, list_under, main, read_table, score
from jobs.scoring import part as score_part
from tests.inference import own_formats
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.jobs.replayed_root import answer, predictor
from tests.jobs.stored_rows import read_rows


@pytest.fixture
def folder(tmp_path):
    """Nine pictures, a damaged one, one that is none, and a file of another kind."""
    made = tmp_path / "in coming"
    (made / "b").mkdir(parents=True)
    for n in range(9):
        (made / "b" / f"{n} x.jpg").write_bytes(picture(seed=n))
    (made / "cut.jpg").write_bytes(picture(seed=50)[:200])
    (made / "no.png").write_bytes(b"no picture")
    (made / "notes.txt").write_bytes(b"")
    return made


@pytest.fixture
def root(tmp_root):
    publish_tiny(tmp_root)
    return tmp_root


def scored(root, folder, part=PART, **options):
    return score(open_root(root), load(root=root, model="m"), None, list_under(str(folder)), batch=4, part=part, **options)


def rows_of(root):
    return read_rows(root, "predictions")


def test_rows_are_the_services_and_bad_images_have_a_reason(spark, root, folder):
    document = scored(root, folder, part=4)
    assert (document["found"], document["scored"], document["errors"]) == (11, 9, 2)
    rows, model = rows_of(root), predictor(root, "1")
    assert {r["role"] for r in rows} == {"batch"} and len({r["prediction_id"] for r in rows}) == 9
    for row in rows:
        label, p = answer(model, open_root(root).read(row["image_uri"]))
        assert row["predicted_label"] == label and row["confidence"] == pytest.approx(p, abs=1e-4)  # kernels add in another order
        assert row["source_uri"].endswith("%20x.jpg") and row["top_labels"][0] == label and row["recorded_at"]
    assert {e["reason"].split(",")[0] for e in document["first_errors"]} >= {"expected a JPEG"}


def test_a_repeat_scores_only_what_is_new(spark, root, folder):
    scored(root, folder)
    again = scored(root, folder)
    assert (again["scored"], again["errors"], again["files"]) == (0, 0, [])
    (folder / "new.png").write_bytes(picture(seed=77))
    assert scored(root, folder)["scored"] == 1 and len(rows_of(root)) == 10


def test_files_have_our_schema_and_lie_under_the_day_of_their_ids(spark, root, folder):
    (key,) = scored(root, folder)["files"]
    found = pq.read_schema(open_root(root).path(key))
    assert found.equals(PREDICTION.arrow()) and found.metadata[b"trueup.schema"] == b"1"
    assert {ids.day_of(r["prediction_id"]) for r in rows_of(root)} == {key.split("dt=")[1][:10]}


def test_a_worker_loads_the_model_once_however_many_parts_it_gets(root, folder):
    """In a process of its own: the shared session has idle workers of earlier tests, which Spark may use, too."""
    code = ("import json, sys; from tests.jobs.test_score_images import scored; "
            "print(json.dumps(scored(sys.argv[1], sys.argv[2], part=1)))")
    env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code, root, str(folder)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    document = json.loads(done.stdout.splitlines()[-1])
    assert len(document["files"]) == 9 and document["model_loads"] == document["workers"] <= 2


def test_a_run_that_died_is_finished_with_the_same_ids_and_files(root, folder):
    storage, job = open_root(root), score_part.Job("m", "1", 4, 1 << 20, 1 << 20, True, False)
    add_plan(storage, "m", "1", list_under(str(folder)), 4)
    ((n, plan),) = list_plans(storage, "m", "1")
    first, second, third = list_parts_left(storage, n, plan)
    score_part.score_part(storage, job, score_part.open_predictor(storage, job), first)
    storage.delete(layout.scoring_done("m", "1", n, first.first))  # it died between rows and done
    before = rows_of(root)
    for part in (*list_parts_left(storage, n, plan), second):  # and another run does one part at the same time
        score_part.score_part(storage, job, score_part.open_predictor(storage, job), part)
    assert list_parts_left(storage, n, plan) == [] and len(rows_of(root)) == 9
    assert [r for r in rows_of(root) if r["prediction_id"] in {b["prediction_id"] for b in before}] == before


def test_an_erased_picture_is_neither_scored_nor_stored_again(root, folder):
    storage = open_root(root)
    job = score_part.Job("m", "1", 4, 1 << 20, 1 << 20, True, False)
    (item, *_) = list_under(str(folder))
    found = score_part.fetch_picture(storage, job, score_part.open_predictor(storage, job), *item)
    storage.delete(layout.image(found.sha256, found.extension))
    storage.create(layout.erasure(found.sha256), b"{}")
    again = score_part.fetch_picture(storage, job, score_part.open_predictor(storage, job), *item)
    assert again.reason == "it was erased on request (trueup forget)" and not storage.exists(layout.image(found.sha256, "jpg"))


def test_the_command_reads_a_table_of_uris(spark, root, folder, tmp_path, capsys):
    table = tmp_path / "uris.csv"
    table.write_text("uri\n" + "\n".join(i.uri for i in list_under(str(folder))[:3]) + "\nimages/aa/missing.jpg\n")
    assert main(["--root", root, "--model", "m", "--uris", str(table), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["scored"], document["errors"]) == (3, 1)
    assert "images/aa/missing.jpg" in document["first_errors"][0]["uri"]


def test_what_cannot_be_a_list_of_images_is_said(tmp_path, root, capsys):
    (tmp_path / "a.csv").write_text("url\nx\n")
    with pytest.raises(ForeignSchema, match="expected a column uri, got url"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="expected a folder with pictures, or s3://bucket/prefix; there is none"):
        list_under(str(tmp_path / "typo"))
    with pytest.raises(UsageError, match="expected a table that ends in .csv"):
        read_table(tmp_path / "a.xls")
    assert main(["--root", root, "--model", "m"]) == 2 and "expected one of --images" in capsys.readouterr().err
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.npy").write_bytes(b"")
    assert main(["--root", root, "--model", "m", "--images", str(tmp_path / "own")]) == 0
    said = capsys.readouterr().out
    assert "0 images found" in said and ".webp; other endings: pictures.endings" in said
    assert Item("a") < Item("b")


@pytest.mark.slow("s3")
def test_from_s3_to_s3(spark, s3_root, folder):
    publish_tiny(s3_root)
    storage = open_root(s3_root)
    for path in sorted(folder.rglob("*.jpg")):
        storage.put(f"incoming/{path.name}", path.read_bytes())
    document = score(storage, load(root=s3_root, model="m"), None, list_under(f"{s3_root}/incoming"))
    assert (document["scored"], document["errors"]) == (9, 1)


def test_pictures_are_redacted_before_they_are_hashed_and_kept(spark, root, folder):
    """In the workers, as in the service; a picture that the hook fails for is an error with its reason, and not kept."""
    hook = "tests.inference.redaction.hooks:inverted"
    settings = load(root=root, model="m", overrides=[f"serve.redact={hook}"])
    document = score(open_root(root), settings, None, list_under(str(folder)), batch=4)
    assert (document["scored"], document["errors"]) == (9, 2)
    storage, sent = open_root(root), {f"{n} x.jpg": np.asarray(decode(picture(seed=n))) for n in range(9)}
    for row in rows_of(root):
        kept, came = np.asarray(decode(storage.read(row["image_uri"]))), sent[unquote(row["source_uri"]).rpartition("/")[2]]
        assert row["redacted_by"].startswith(f"{hook}@") and (kept == (255 - came)[:, ::-1]).all()


def test_a_format_of_ones_own_is_scored_in_the_workers_as_the_service_does(spark, root, tmp_path):
    name, made = "tests.inference.own_formats:decode", tmp_path / "own"
    made.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    (made / "1.trim").write_bytes(own_formats.encode(pixels))
    (made / "2.trim").write_bytes(b"something else")
    (made / "3.jpg").write_bytes(picture(seed=3))
    assert [item.uri.rpartition("/")[2] for item in list_under(str(made))] == ["3.jpg"]
    try:
        choose_decoder(name, [".trim"])
        found = list_under(str(made))
    finally:
        choose_decoder(None)
    settings = load(root=root, model="m", overrides=[f"pictures.decoder={name}"])
    document = score(open_root(root), settings, None, found, batch=4)
    assert (document["scored"], document["errors"]) == (2, 1) and "the decoder" in document["first_errors"][0]["reason"]
    own, jpeg = sorted(rows_of(root), key=lambda row: row["source_uri"])
    assert own["decoded_by"].startswith(f"{name}@") and jpeg["decoded_by"] is None
    assert (np.asarray(decode(open_root(root).read(own["image_uri"]))) == pixels).all()


def test_a_hook_that_is_not_listed_scores_nothing(spark, root, folder, monkeypatch):
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "[elsewhere]")
    settings = load(root=root, model="m", overrides=["serve.redact=tests.inference.redaction.hooks:blank"], env={})
    score_part.open_redactor.cache_clear()
    with pytest.raises(Exception, match="in the setting `allow_modules`"):
        score(open_root(root), settings, None, list_under(str(folder)), batch=4)
    assert rows_of(root) == [] and list(open_root(root).list("images/")) == []
