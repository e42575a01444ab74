"""One row that names no place, one picture that nobody can decode, one file that is none: left out, named, and nothing else."""

import hashlib
import io
import struct
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contract import layout
from contract.evaluations import newest, read_evaluation
from contract.settings import DatasetSettings, ReportSettings
from contract.storage import open_root
from jobs import evaluate, forget
from jobs.datasets import images, plan
from jobs.reports.examples import find_examples
from tests.jobs.datasets.test_plan import SETTINGS, look, reasons, row, sha
from tests.pipeline import small_dataset
from tests.training.loop_root import LoopRoot

NOWHERE = ["/etc/passwd", "../../x.png", "images/../../x.png", "a\0b.png", "https://host/x.png", "s3://other/x.png", "x" * 300,
           "ü" * 200]


def huge() -> bytes:
    """A PNG of a few bytes that says it has 10^10 pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("uri", NOWHERE)
def test_a_row_that_names_no_place_is_left_out_of_a_dataset_with_its_reason(uri):
    rows = [row(n) for n in range(40)] + [row(99, image_uri=uri)]
    found, listed = plan.choose_candidates(rows, [], SETTINGS, set())
    made = plan.finish(found, listed, {r["image_sha256"]: look(n << 20) for n, r in enumerate(found)}, (), SETTINGS)
    assert len(made.rows) == 40 and reasons(made) == {sha(99): plan.NOT_A_PLACE}
    assert len(made.listed[0]["detail"]) < 120


def test_another_row_of_the_same_picture_that_names_its_place_is_taken():
    found, _ = plan.choose_candidates([row(1, image_uri="../x"), row(1, prediction_id="p")], [], DatasetSettings(), set())
    assert [r["prediction_id"] for r in found] == ["p"]


def test_a_picture_of_huge_dimensions_is_left_out_and_named(tmp_root):
    storage = open_root(tmp_root, create=True)
    data = huge()
    storage.put("images/x.png", data)
    found = images.look(storage, hashlib.sha256(data).hexdigest(), "images/x.png")
    assert found.reason == images.UNDECODABLE and "10000000000 pixels" in found.detail


@pytest.fixture
def loop(tmp_root):
    """Twelve pictures that were all called 0 and are 1."""
    made = LoopRoot(tmp_root, "m")
    pictures = []
    for n in range(12):
        out = io.BytesIO()
        Image.new("RGB", (32, 32), (n * 20, 255 - n * 20, 7 * n)).save(out, "PNG")
        pictures.append(out.getvalue())
    made.day("2026-11-20", pictures, ["1"] * 12)
    return made


def rewrite(loop, **columns):
    """The day's predictions with some values of some columns replaced: {column: {row: value}}."""
    (key,) = [e.key for e in loop.storage.list("predictions/")]
    table = pq.read_table(pa.BufferReader(loop.storage.read(key)))
    rows = table.to_pylist()
    for column, values in columns.items():
        for n, value in values.items():
            rows[n][column] = value
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, table.schema), out)
    loop.storage.put(key, out.getvalue())


def test_a_report_shows_the_other_pictures_and_names_those_that_it_cannot(loop, caplog):
    rewrite(loop, image_uri=dict(enumerate(NOWHERE)), image_sha256={8: "../../keys/x", 9: "a\0b"})
    data = huge()
    loop.storage.put("images/huge.png", data)
    rewrite(loop, image_uri={10: "images/huge.png"})
    assert evaluate.main(["--root", loop.root, "--model", "m", "--no-report"]) == 0
    evaluation = read_evaluation(loop.storage, "m", newest(loop.storage, "m"))
    (cell,) = find_examples(loop.storage, evaluation, "1", ReportSettings(examples=12))
    assert len(cell["images"]) == 1
    assert caplog.text.count("left out: the picture of prediction") == 11 and "10000000000 pixels" in caplog.text


def test_a_file_that_only_looks_like_rows_stops_no_report(loop, caplog):
    assert evaluate.main(["--root", loop.root, "--model", "m"]) == 0
    evaluation = read_evaluation(loop.storage, "m", newest(loop.storage, "m"))
    (key,) = [e.key for e in loop.storage.list("predictions/")]
    whole = loop.storage.read(key)
    loop.storage.put("predictions/dt=2026-11-20/foreign.parquet", b"no Parquet")
    loop.storage.put("predictions/dt=2026-11-20/cut.parquet", whole[:4] + b"\xff" * 400 + whole[404:])
    (cell,) = find_examples(loop.storage, evaluation, "1", ReportSettings(examples=12))
    assert len(cell["images"]) == 12
    assert "foreign.parquet" in caplog.text and "cut.parquet" in caplog.text


def test_forgetting_goes_past_damaged_documents_and_names_them(loop):
    (uri, *_) = [e.key for e in loop.storage.list("images/")]
    name = uri.rpartition("/")[2].partition(".")[0]
    for dataset, damaged in (("d1", "manifest"), ("d2", "index")):
        made = small_dataset.put(loop.storage, dataset, "m")
        loop.storage.put(layout.manifest(dataset) if damaged == "manifest" else made.index.key, b"{")
    loop.storage.put(layout.card("m", "1"), b"[]")
    done = forget.forget(loop.storage, name, asked=name, by="t")
    assert done["images"] == [uri] and not loop.storage.exists(uri)
    assert len(done["unread"]) == 3, done["unread"]
    for said in ("d1/manifest.json", "rows.parquet", "1/card.json"):
        assert sum(said in line for line in done["unread"]) == 1, said
    assert done["datasets"] == []  # what the index of the first says is known without its manifest
