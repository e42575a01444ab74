"""`trueup forget`: no byte of the picture stays under the root or in an outbox, whenever it is interrupted."""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from contract import clock, ids, layout
from contract.dataset_record import INDEX, ROW
from contract.documents import manifest
from contract.errors import DONE, ERROR, USAGE
from contract.storage import open_root
from inference.model.strip_metadata import EXTENSIONS, strip_metadata
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from inference.outbox.tables import Image
from jobs import forget
from jobs.datasets.petastorm_writer import encode as parquet
from jobs.forget import KEPT_OF_AN_ATTEMPT
from pipeline import cli
from tests.faults import AFTER, BEFORE, Died, Process, patched
from tests.inference.made_pictures import encode, pixels
from tests.inference.published import publish_tiny
from tests.inference.serving import until
from tests.training.loop_root import LoopRoot

DAY = "2026-11-20"


def jpeg(seed: int) -> bytes:
    return strip_metadata(encode(pixels(seed, 96, 72), quality=90))[0]


def traces(folder: Path, data: bytes) -> list[str]:
    """Files that hold any 24 bytes of the picture's compressed pixels."""
    at = data.index(b"\xff\xda") + 14
    pieces = [data[i:i + 24] for i in range(at, len(data) - 24, 24)]
    return sorted(p.name for p in folder.rglob("*") if p.is_file()
                  for content in [p.read_bytes()] if any(piece in content for piece in pieces))


@pytest.fixture
def loop(tmp_root):
    """Two pictures with predictions, an attempt at a dataset by hand, two versions, reports."""
    loop = LoopRoot(tmp_root, "m")
    loop.pictures = [jpeg(1), jpeg(2)]
    loop.sha = hashlib.sha256(loop.pictures[0]).hexdigest()
    for data in loop.pictures:
        loop.storage.put(layout.image(hashlib.sha256(data).hexdigest(), "jpg"), data)
    at = clock.parse_moment(f"{DAY}T08:00:00Z")
    hashes = [hashlib.sha256(d).hexdigest() for d in loop.pictures]
    loop.ids = [ids.uuid7(at), ids.uuid7(at)]
    loop.write(layout.PREDICTIONS, DAY, [
        {"prediction_id": i, "predicted_at": at, "model": "m", "model_version": "1", "predicted_label": "a",
         "confidence": 0.5, "image_sha256": h, "image_uri": layout.image(h, "jpg")}
        for i, h in zip(loop.ids, hashes, strict=True)])
    dataset(loop.storage, "d1", loop.pictures, ["train", "holdout"])
    publish_tiny(tmp_root)  # 1: brought from outside
    publish_tiny(tmp_root, dataset="d1", parent="1", seed=2)
    publish_tiny(tmp_root, dataset="d2", parent="2", seed=3)
    for name, shown in (("a", loop.sha), ("b", "nothing")):
        loop.storage.put(layout.evaluation("m", name) + "report.html", f"<img src=/images/{shown}>".encode())
    return loop


def dataset(storage, name: str, pictures: list[bytes], splits: list[str]) -> None:
    """A finished attempt as jobs/dataset.py leaves it, without Spark."""
    rows = [dict.fromkeys(ROW.names) | dict.fromkeys(INDEX.names) | {
        "image_sha256": hashlib.sha256(d).hexdigest(), "image": d, "label": "a", "label_index": 0, "origin": "import",
        "votes": 1, "agreeing": 1, "day": DAY, "image_uri": "x", "width": 96, "height": 72, "split": s, "file": 0,
        "bytes": len(d), "near": 0} for d, s in zip(pictures, splits, strict=True)]
    folder = f"{layout.dataset(name)}attempt-1/"
    index = parquet(INDEX, [{k: r[k] for k in INDEX.names} for r in rows], 8)
    storage.put(folder + "rows.parquet", index)
    storage.put(folder + "left_out.json", b"[]")
    for row in rows:
        storage.put(f"{folder}{row['split']}/part-00000.parquet", parquet(ROW, [{k: row[k] for k in ROW.names}], 8))
    table = manifest.Table(key=folder + "rows.parquet", sha256=hashlib.sha256(index).hexdigest(), rows=len(rows))
    made = manifest.Manifest(
        dataset=name, attempt="attempt-1", model="m", created_at="x", as_of="x", classes=["a"], rows={}, per_class={},
        label_sources={}, replayed={}, files=[], index=table, left_out={}, listed=table,
        leakage=manifest.LeakageCheck(images_in_two_splits=0, near_bits=2, near_left_out=0), settings={}, split_by="",
        common_metadata={})
    storage.create(layout.manifest(name), made.to_bytes())


def test_no_byte_stays_and_the_versions_that_learnt_from_it_are_named(loop, tmp_root, capsys):
    data, root = loop.pictures[0], Path(tmp_root)
    (root / "images" / loop.sha[:2] / ".trueup-7-dead").write_bytes(data[:len(data) // 2])  # of a shipper that died
    assert traces(root, data) == [".trueup-7-dead", f"{loop.sha}.jpg", "part-00000.parquet"]
    assert cli.main(["forget", loop.ids[0], "--root", tmp_root, "--json"]) == DONE
    (done,) = json.loads(capsys.readouterr().out)["images"]
    assert traces(root, data) == [] and len(traces(root, loop.pictures[1])) == 1
    assert done["predictions"] == 1 and done["datasets"] == ["datasets/d1/attempt-1/"]
    assert [(v["version"], v["because"]) for v in done["versions"]] == [
        ("2", "trained on dataset d1"), ("3", "descends from version 2")]
    assert done["reports"] == [layout.evaluation("m", "a") + "report.html"]
    kept = {e.key.rpartition("/")[2] for e in loop.storage.list("datasets/")}
    assert kept == {"manifest.json", *KEPT_OF_AN_ATTEMPT} and manifest.load(loop.storage, "d1").erased == [loop.sha]
    assert len(list(loop.storage.list("predictions/"))) == 1 and set(forget.EXTENSIONS) == set(EXTENSIONS.values())


def dying(n: int, when: str) -> Process:
    """A process that dies before or after its nth write."""
    process = Process(lambda _: when if len(process.writes) == n else None)  # it looks at itself
    return process


def again(loop) -> None:
    """The picture is everywhere, and nobody has asked for its erasure."""
    loop.storage.erase("erasures/")
    loop.storage.erase("datasets/")
    loop.storage.put(layout.image(loop.sha, "jpg"), loop.pictures[0])
    loop.storage.put(layout.evaluation("m", "a") + "report.html", loop.sha.encode())
    dataset(loop.storage, "d1", loop.pictures, ["train", "holdout"])


def test_killed_at_any_write_and_run_again_it_ends_the_same(loop, tmp_root, monkeypatch):
    command, clean = ["--image", loop.sha, "--root", tmp_root], Process()
    with monkeypatch.context() as patch:
        patched(patch, clean)
        forget.main(command)
    assert len(clean.writes) > 8 and clean.writes[0].startswith("create erasures/")
    for n, when in ((n, when) for n in range(1, len(clean.writes) + 1) for when in (BEFORE, AFTER)):
        again(loop)
        with monkeypatch.context() as patch, pytest.raises(Died):
            patched(patch, dying(n, when))
            forget.main(command)
        assert forget.main(command) == DONE
        assert traces(Path(tmp_root), loop.pictures[0]) == []
        assert manifest.load(loop.storage, "d1").erased == [loop.sha]
        assert not loop.storage.exists(layout.evaluation("m", "a") + "report.html")


def test_an_outbox_drops_it_and_brings_it_back_never(loop, tmp_root, tmp_path):
    box = Outbox(tmp_path / "outbox", loop.storage.root, 10 << 20)
    data = loop.pictures[0]
    row = {"prediction_id": ids.uuid7(), "predicted_at": clock.now_us(), "model": "m", "model_version": "1",
           "predicted_label": "a", "confidence": 0.5, "image_sha256": loop.sha}
    asyncio.run(box.append_prediction(row, Image(loop.sha, "jpg", data), "body", {}))
    assert traces(tmp_path / "outbox", data)
    assert forget.main(["--image", loop.sha, "--root", tmp_root]) == DONE
    assert Shipper(box, open_root(tmp_root), 900, 1 << 20, lambda *_, **__: None).ship(everything=False)
    until(lambda: traces(tmp_path / "outbox", data) == [])  # the log is emptied right after the deletion's commit
    assert traces(Path(tmp_root), data) == []
    box.close()


def test_on_s3_every_version_and_unfinished_upload_goes(s3_root):
    import boto3

    storage, client = open_root(s3_root, create=True), boto3.client("s3")
    bucket, prefix = s3_root.removeprefix("s3://").split("/", 1)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    sha = hashlib.sha256(b"x").hexdigest()
    for key in (layout.image(sha, "png"), layout.image(sha, "png"), f"images/{sha[:2]}/{sha}2.png"):
        storage.put(key, b"x")
    storage.delete(layout.image(sha, "png"))
    client.create_multipart_upload(Bucket=bucket, Key=f"{prefix}/{layout.image(sha, 'png')}")
    assert forget.main(["--image", sha, "--root", s3_root]) == DONE
    left = client.list_object_versions(Bucket=bucket, Prefix=f"{prefix}/images/")
    assert [v["Key"][-5:] for v in left["Versions"]] == ["2.png"] and "DeleteMarkers" not in left
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_a_row_cannot_name_another_object_for_erasure(loop, tmp_root, capsys):
    loop.storage.put("pictures/one", loop.pictures[0])
    loop.storage.put("pictures/one.txt", b"another")
    at = clock.parse_moment(f"{DAY}T09:00:00Z")
    loop.write(layout.PREDICTIONS, DAY, [
        {"prediction_id": f"foreign-{n}", "predicted_at": at, "model": "m", "model_version": "1", "predicted_label": "a",
         "confidence": 0.5, "image_sha256": loop.sha, "image_uri": uri}
        for n, uri in enumerate(["models/m/live.json", "../../etc/passwd", "s3://b/x", "pictures/one"])])
    assert forget.main(["foreign-0", "--root", tmp_root, "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["images"][0]["images"][1:] == ["pictures/one"]
    assert loop.storage.exists("models/m/live.json") and loop.storage.read("pictures/one.txt") == b"another"


def test_what_cannot_be_forgotten_is_said(loop, tmp_root, capsys):
    assert forget.main(["--root", tmp_root]) == USAGE
    assert forget.main(["--image", "abc", "--root", tmp_root]) == USAGE
    assert forget.main([ids.uuid7(), "--root", tmp_root]) == ERROR
    assert "may still be in an outbox" in capsys.readouterr().err
    loop.storage.put(f"{layout.day_folder('predictions', DAY)}bad.parquet", b"")
    assert forget.main(["--image", loop.sha, "--root", tmp_root]) == DONE
    assert "could not be read: predictions/dt=2026-11-20/bad.parquet" in capsys.readouterr().out
