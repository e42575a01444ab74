"""The dataset job on real rows and images: same input, same dataset, on Spark and without it; readable by others; killed,
nothing shows."""

import json
from io import BytesIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from command.load_settings import load
from contract import clock
from contract.documents import manifest
from contract.documents.card import Card, Preprocess
from contract.documents.manifest import read_index
from contract.errors import DONE, ERROR, EmptyData
from contract.registry import Registry, file_sha256
from contract.storage import open_root
from jobs import dataset as dataset_job
from jobs import import_images
from jobs.datasets import petastorm_writer, tasks
from jobs.datasets.consensus import BESIDE, IMAGE_COLUMNS
from jobs.engines.day_files import list_day, read_footers
from tests.training.loop_root import LoopRoot, digits, jpeg, png

AS_OF = clock.parse_moment("2026-11-25T00:00:00Z")
OPTIONS = ["dataset.files=3", "dataset.rows_per_group=8"]


def make(root, *more, **window):
    settings = load(root=root, model="digits", overrides=[*OPTIONS, *more])
    return dataset_job.make(open_root(root), settings, window.get("first"), window.get("last"), AS_OF)


pytestmark = pytest.mark.usefixtures("without_spark")


@pytest.fixture(scope="module")
def pictures():
    pixels, labels = digits()
    return [png(p) for p in pixels[:120]], [str(int(label) % 3) for label in labels[:120]]


@pytest.fixture
def loop(tmp_root, pictures):
    """120 labelled digits of three classes on two days."""
    loop = LoopRoot(tmp_root)
    for day, part in (("2026-11-20", slice(0, 60)), ("2026-11-21", slice(60, 120))):
        loop.day(day, pictures[0][part], pictures[1][part])
    return loop


@pytest.mark.parametrize("where", ["spark", "here"])
def test_the_same_input_is_the_same_dataset_in_any_partitioning(loop, where, request, monkeypatch, tmp_path, pictures):
    one = make(loop.root)
    other = LoopRoot(str(tmp_path / "other"))
    for at in range(0, 120, 30):  # other files, the other way round
        day = "2026-11-20" if at < 60 else "2026-11-21"
        other.day(day, pictures[0][at:at + 30][::-1], pictures[1][at:at + 30][::-1])
    monkeypatch.setattr("jobs.datasets.consensus.MIN_PARTS", 5)
    monkeypatch.setattr("jobs.datasets.images.PER_TASK", 7)
    if where == "spark":
        request.getfixturevalue("spark")
        monkeypatch.setattr(tasks, "MOST_HERE", 0)
    again = make(other.root)
    assert again.dataset == one.dataset and again.attempt != one.attempt
    assert [(f.row_digest, f.sha256) for f in again.files] == [(f.row_digest, f.sha256) for f in one.files]


def test_what_is_too_much_for_this_process_and_what_has_settings_is_sparks(loop, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.session, "get_session", asked.append)
    for conf, rows in (({}, tasks.MOST_HERE), ({}, tasks.MOST_HERE + 1), ({"spark.master": "yarn"}, 1)):
        tasks.choose_session(conf, rows)
    monkeypatch.setattr(tasks.session, "is_running", lambda: True)
    tasks.choose_session({}, 1)
    assert asked == [{}, {"spark.master": "yarn"}, {}]
    monkeypatch.setattr(tasks, "choose_session", lambda conf, rows: asked.append(rows) or tasks.LocalSession())
    make(loop.root)
    assert asked[-1] == 120


def test_a_repeat_finds_the_manifest_and_writes_nothing(loop):
    one = make(loop.root)
    before = [(e.key, e.etag) for e in loop.storage.list()]
    assert make(loop.root) == one
    assert [(e.key, e.etag) for e in loop.storage.list()] == before
    assert make(loop.root, "dataset.rows_per_group=9").dataset != one.dataset


def test_the_files_are_what_the_manifest_says(loop):
    made = make(loop.root)
    assert made.window == {"from": "2026-11-20", "to": "2026-11-21"} and made.label_sources == {"import": 120}
    for file in made.files:
        path = loop.storage.path(file.key)
        table = pq.ParquetFile(path)
        assert (file_sha256(path), path.stat().st_size) == (file.sha256, file.size)
        assert (table.metadata.num_rows, table.metadata.num_row_groups) == (file.rows, file.row_groups)
        hashes = table.read(["image_sha256"]).column(0).to_pylist()
        assert hashes == sorted(hashes)
    assert sum(f.rows for f in made.files) == sum(made.rows.values()) == 120 - sum(made.left_out.values())


def test_others_read_it_plain_petastorm_and_pandas(loop):
    from petastorm import make_reader

    made = make(loop.root)
    folder = loop.storage.path(f"datasets/{made.dataset}/{made.attempt}/train")
    with make_reader(f"file://{folder}", reader_pool_type="dummy") as reader:
        rows = {row.image_sha256: row for row in reader}
    frame = pd.read_parquet(sorted(folder.glob("*.parquet")))
    assert len(rows) == len(frame) == made.rows["train"]
    row = frame.iloc[0]
    assert rows[row.image_sha256].image.shape == (32, 32, 3) and rows[row.image_sha256].label == row.label
    assert loop.storage.read(row.image_uri) == row.image


def test_killed_before_the_manifest_nothing_shows_and_the_next_attempt_has_its_own_folder(loop, monkeypatch):
    class Died(BaseException):
        pass

    def dies(*_):
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(petastorm_writer, "_digest_of_metadata", dies)
        make(loop.root)
    assert not [e for e in loop.storage.list("datasets/") if e.key.endswith("manifest.json")]
    left = {e.key: e.etag for e in loop.storage.list("datasets/")}
    made = make(loop.root)
    assert left and all(made.attempt not in key for key in left)
    assert {e.key: e.etag for e in loop.storage.list("datasets/") if e.key in left} == left


def test_a_damaged_and_a_missing_image_are_listed_and_stop_nothing(loop):
    made = make(loop.root)
    rows = read_index(loop.storage, made).to_pylist()
    loop.storage.put(rows[0]["image_uri"], b"other bytes")
    loop.storage.delete(rows[1]["image_uri"])
    again = make(loop.root)
    assert again.left_out == {"image is not the one that its hash names": 1, "image missing": 1}
    listed = json.loads(loop.storage.read(again.listed.key))
    assert {e["image_sha256"] for e in listed} == {rows[0]["image_sha256"], rows[1]["image_sha256"]}


def publish(loop, made, tmp_path):
    weights = tmp_path / "w"
    weights.write_bytes(b"weights")
    registry = Registry(loop.storage, "digits")
    version = registry.claim("test")
    registry.write_version(Card(model="digits", version=version, created_at="", network="resnet18", classes=made.classes,
                                preprocess=Preprocess(), weights_sha256=file_sha256(weights), weights_bytes=7,
                                dataset=made.dataset), weights)
    registry.promote(version, "test", "test", None)


def test_the_live_versions_dataset_is_replayed_and_its_rows_keep_their_side(loop, tmp_path):
    first = make(loop.root)
    publish(loop, first, tmp_path)
    pixels, labels = digits()
    loop.day("2026-11-23", [jpeg(p) for p in pixels[200:240]], [str(int(label) % 3) for label in labels[200:240]])
    made = make(loop.root, first="2026-11-23", last="2026-11-23")
    assert made.parent == first.dataset and sum(made.replayed.values()) == 120 - sum(first.left_out.values())
    sides = {r["image_sha256"]: r["split"] for r in read_index(loop.storage, made).to_pylist()}
    before = {r["image_sha256"]: r["split"] for r in read_index(loop.storage, first).to_pylist()}
    assert before.items() <= sides.items()
    assert sum(made.rows.values()) == sum(made.replayed.values()) + 40 - sum(made.left_out.values())


def test_a_dataset_says_which_decoders_made_its_pixels_also_of_rows_that_it_replays(loop, tmp_path):
    pixels, labels = digits()
    first_, second = "own:read@0123456789ab", "own:read@ba9876543210"
    of = [str(int(label) % 3) for label in labels]
    loop.day("2026-11-22", [png(p) for p in pixels[200:230]], of[200:230], decoded_by=first_)
    first = make(loop.root)
    assert first.decoders == {first_: 30} and sum(first.rows.values()) > 100
    publish(loop, first, tmp_path)
    loop.day("2026-11-23", [png(p) for p in pixels[230:240]], of[230:240], decoded_by=second)
    loop.day("2026-11-24", [png(p) for p in pixels[240:244]], of[240:244], decoded_by="what another system says there")
    made = make(loop.root, first="2026-11-23", last="2026-11-24")
    assert made.decoders == {first_: 30, second: 10}
    index = read_index(loop.storage, made).to_pylist()
    assert sum(row["decoded_by"] == first_ for row in index) == 30 and sum(row["decoded_by"] is None for row in index) > 50


def test_a_log_whose_decoded_by_is_no_text_is_in_the_dataset_all_the_same(loop):
    [file] = loop.storage.path("predictions/dt=2026-11-20").glob("*.parquet")
    table = pq.read_table(file, partitioning=None)
    at = table.column_names.index("decoded_by")
    pq.write_table(table.set_column(at, "decoded_by", pa.array([7] * table.num_rows, pa.int64())), file)
    made = make(loop.root)
    assert sum(made.rows.values()) > 100 and made.decoders == {}


def test_what_made_the_pixels_has_one_column_read_and_no_other(loop):
    [(of_slices, of_all)] = [(without.predictions[0].columns, day.predictions[0].columns) for without, day in zip(*(
        read_footers(loop.storage, [list_day(loop.storage, "2026-11-20")], IMAGE_COLUMNS, beside=beside)[0]
        for beside in ((), BESIDE)), strict=True)]
    assert set(of_all) - set(of_slices) == {"decoded_by"} and "attributes" not in of_all


def test_what_people_took_back_corrected_or_dispute_since_is_not_replayed_as_it_was(loop, tmp_path):
    first = make(loop.root)
    publish(loop, first, tmp_path)
    rows = [r for r in read_index(loop.storage, first).to_pylist() if r["split"] == "train"]
    withdrawn, corrected, disputed = (next(r for r in rows[place:] if r["day"] == "2026-11-20") for place in (0, 20, 40))
    later = clock.parse_moment("2026-11-22T00:00:00Z")
    old = {r["prediction_id"]: r for f in loop.storage.path("labels/dt=2026-11-20").glob("*.parquet")
           for r in pq.read_table(f, partitioning=None).to_pylist()}

    def change(row, **more):
        return old[row["prediction_id"]] | {"label_id": None, "labeled_at": later, "withdraws": None} | more

    other = str((int(corrected["label"]) + 1) % 3)
    loop.write("labels", "2026-11-20", [
        change(withdrawn, withdraws=True, label=None), change(corrected, label=other),
        *(change(disputed, labeler=who, label=label) for who, label in (("eve", "0"), ("joe", "1"), ("kim", "2")))])
    pixels, labels = digits()
    loop.day("2026-11-23", [jpeg(p) for p in pixels[200:240]], [str(int(label) % 3) for label in labels[200:240]])
    made = make(loop.root, "dataset.min_agreement=0.6", first="2026-11-23", last="2026-11-23")
    found = {r["image_sha256"]: r for r in read_index(loop.storage, made).to_pylist()}
    assert withdrawn["image_sha256"] not in found and disputed["image_sha256"] not in found
    row = found[corrected["image_sha256"]]
    assert (row["label"], row["split"], row["came_with"]) == (other, "train", first.dataset)
    assert {"label withdrawn": 1, "agreement too low": 1}.items() <= made.left_out.items()
    assert sum(made.holdout_sources.values()) == made.rows["holdout"]


def test_training_copies_are_shrunk_and_held_out_ones_keep_their_bytes(loop):
    made = make(loop.root, "dataset.max_side=16")
    widths = {}
    for file in made.files:
        for row in pq.ParquetFile(loop.storage.path(file.key)).read().to_pylist():
            stored = loop.storage.read(row["image_uri"])
            widths.setdefault(file.split, set()).add(row["image"] == stored)
    assert widths == {"train": {False}, "validation": {True}, "holdout": {True}}


def test_an_empty_window_and_an_export(loop, tmp_path, capsys):
    with pytest.raises(EmptyData, match="found none"):
        make(loop.root, first="2025-01-01", last="2025-01-02")
    made = make(loop.root)
    arguments = ["--root", loop.root, "--dataset", made.dataset, "--imagefolder", str(tmp_path / "out")]
    assert dataset_job.main([*arguments, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["images"] == len(list((tmp_path / "out").glob("*/*/*.png")))
    assert dataset_job.main([*arguments[:3], "nothing", *arguments[4:]]) == ERROR
    assert made.dataset in capsys.readouterr().err


def test_an_export_names_a_picture_by_what_the_dataset_holds():
    sink = BytesIO()
    Image.new("RGB", (32, 32)).save(sink, "WEBP")
    whole = sink.getvalue()
    for image, suffix in ((whole, ".webp"), (petastorm_writer.shrink(whole, 16), ".jpg")):
        found = dataset_job.find_suffix(image, "images/ab/ab.webp")
        assert found == suffix == f".{Image.open(BytesIO(image)).format.lower().replace('jpeg', 'jpg')}"


def test_a_folder_of_class_folders_becomes_a_dataset(tmp_path, tmp_root, capsys):
    pixels, labels = digits()
    for n in range(60):
        target = tmp_path / "mine" / f"class {int(labels[n]) % 2}"
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{n}.jpg").write_bytes(jpeg(pixels[n]))
    (tmp_path / "mine" / "class 0" / "broken.jpg").write_bytes(b"no picture")
    assert import_images.main([str(tmp_path / "mine"), "--root", tmp_root, "--model", "mine", "--json"]) == DONE
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == ["class 0", "class 1"] and sum(document["rows"].values()) == 60
    assert [entry["file"] for entry in document["refused"]] == ["class 0/broken.jpg"]
    assert manifest.load(open_root(tmp_root), document["dataset"]).rows == document["rows"]


def test_on_s3_it_is_written_and_read_for_training(s3_root, pictures):
    """Over HTTP, by the ranks (which stage the files), by plain Petastorm, and by pandas."""
    from petastorm import make_reader

    from jobs.datasets.petastorm_s3 import make_filesystem
    from jvm.task_store import describe
    from training.feed import reader as ranks

    LoopRoot(s3_root).day("2026-11-20", *(part[:60] for part in pictures))
    made = make(s3_root)
    storage = open_root(s3_root)
    files = made.split("train")
    rows = list(ranks.read_rows(storage, files, 0, made.rows["train"]))
    assert len({row.image_sha256 for row in rows}) == made.rows["train"] == sum(f.rows for f in files)
    folder = f"{s3_root}/datasets/{made.dataset}/{made.attempt}/train"
    url = folder.replace("s3://", "file:///")  # for the scheme s3 Petastorm would ask for s3fs
    with make_reader(url, reader_pool_type="dummy", filesystem=make_filesystem(describe(storage))) as reader:
        read = {row.image_sha256: row.image.shape for row in reader}
    assert read == {row.image_sha256: (32, 32, 3) for row in rows}
    frame = pd.read_parquet(folder.removeprefix("s3://"), filesystem=storage.arrow()[0])
    assert set(frame.image_sha256) == set(read)
