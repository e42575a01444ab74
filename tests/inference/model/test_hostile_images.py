"""Files that are two things at once, files that grow when decoded, and pictures that nobody may keep."""

import io
import resource
import struct
import zipfile
import zlib

import pytest

from tests.inference.bombs import chunk, png
from tests.inference.made_pictures import encode, picture, pixels
from tests.inference.mutations import mutated
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

EVIL = b"<script>alert(1)</script><?php system($_GET[0]); ?>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    publish_tiny(str(folder / "root"))
    with serving(str(folder / "root"), folder / "outbox") as client:
        client.root = str(folder / "root")
        yield client


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("evil.html", EVIL)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tail", [EVIL, archive(), b"%PDF-1.4 " + EVIL], ids=["html", "zip", "pdf"])
def test_what_hides_behind_a_picture_is_not_kept(site, kind, tail):
    answer = site.post("/v1/predictions", content=picture(3, kind) + tail, headers=IMAGE)
    assert answer.status_code == 200
    mine = answer.json()["prediction_id"]
    until(lambda: [r for r in table_rows(site.root, "predictions") if r["prediction_id"] == mine])
    (row,) = [r for r in table_rows(site.root, "predictions") if r["prediction_id"] == mine]
    shown = site.get(f"/images/{row['image_sha256']}")
    assert shown.headers["Content-Type"] == f"image/{kind.lower()}" and "sandbox" in shown.headers["Content-Security-Policy"]
    assert tail not in shown.content and EVIL not in shown.content and shown.headers["X-Content-Type-Options"] == "nosniff"


def test_what_hides_inside_a_picture_is_not_kept(site):
    jpeg = picture(4, comment=EVIL)
    assert EVIL in jpeg
    answer = site.post("/v1/predictions", content=jpeg, headers=IMAGE)
    until(lambda: site.service.outbox.measure_depth().rows == 0)
    uri = [r["image_uri"] for r in table_rows(site.root, "predictions")
           if r["prediction_id"] == answer.json()["prediction_id"]][0]
    assert EVIL not in site.service.storage.read(uri)


BOMBS = {
    "pixels": png(30_000, 30_000, chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "side": png(70_000, 2, chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "text": png(10, 10, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9)),
                chunk(b"IDAT", zlib.compress(bytes(310)))),
    "colour profile": png(10, 10, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(64 << 20), 9)),
                          chunk(b"IDAT", zlib.compress(bytes(310)))),
    "jpeg header": encode(pixels(1)).replace(struct.pack(">HH", 36, 48), struct.pack(">HH", 65_535, 65_535)),
    "narrow": png(20_000, 1, chunk(b"IDAT", zlib.compress(bytes(60_001)))),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "half": picture(1)[:300],
    "nothing": b"\0" * 5000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_with_a_reason_or_answered_in_bounds(site, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = site.post("/v1/predictions", content=BOMBS[name], headers=IMAGE)
    assert answer.status_code in ({200, 422} if name in ("text", "colour profile", "narrow") else {422}), answer.text
    assert answer.status_code == 200 or answer.json()["error"]["message"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB
    assert site.post("/v1/predictions", content=picture(), headers=IMAGE).status_code == 200


def test_mutated_files_are_answered_or_refused_and_never_crash(site):
    codes = {site.post("/v1/predictions", content=data, headers=IMAGE).status_code for data in mutated(100, seed=7)}
    assert codes == {200, 422}


def test_a_service_that_stores_no_pictures_keeps_none_anywhere(tmp_root, tmp_path):
    publish_tiny(tmp_root)
    data = picture(5)
    with serving(tmp_root, tmp_path / "outbox", "serve.store_images=false", "serve.ship_seconds=900") as client:
        assert client.post("/v1/predictions", content=data, headers=IMAGE).status_code == 200
        assert client.service.outbox.list_images() == []
        kept = [p for p in (tmp_path / "outbox").rglob("*") if data[200:232] in p.read_bytes()]
    (row,) = table_rows(tmp_root, "predictions")
    assert kept == [] and len(row["image_sha256"]) == 64 and row["image_uri"] is None
    assert list(client.service.storage.list("images/")) == []
