"""Redaction in the service: whatever comes through whatever door, only redacted pixels are kept anywhere."""

import io
import json
import logging
import signal
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from command.load_settings import load
from contract import ids
from contract.errors import UsageError
from contract.storage import find_root_id, open_root
from inference.model.preprocess import decode
from inference.outbox.outbox import Outbox
from inference.service import Service
from inference.telemetry import JsonLines
from tests.inference.fetching.web import DEFAULT_TLS, HOST, Names, answer, web
from tests.inference.made_pictures import encode, picture
from tests.inference.published import publish_tiny
from tests.inference.redaction import hooks
from tests.inference.serving import IMAGE, ServiceProcess, serving, table_rows, until

HOOKS = "tests.inference.redaction.hooks"
WINDOW = 24  # bytes of compressed pixels, which do not come again by chance


def noise(seed, kind):
    """A picture whose compressed bytes are unlike any other's."""
    made = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 40, 3), dtype=np.uint8))
    return encode(made, kind, **({"lossless": True} if kind == "WEBP" else {}))


def windows(data):
    """Pieces of a file's compressed pixels."""
    return [data[at:at + WINDOW] for at in range(len(data) // 2, len(data) - 60, 97)]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("redacted") / "root")
    publish_tiny(root)
    return root


def test_no_raw_byte_is_kept_whatever_the_door(published, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    sent = [noise(10 * n + m, kind) for n in range(4) for m, kind in enumerate(("JPEG", "PNG", "WEBP"))]
    pages = {f"/{n}": answer(data) for n, data in enumerate(sent)}
    with web(pages) as far:
        sets = (f"serve.urls=['{HOST}:{far.port}']", "serve.url_http=true", "serve.url_networks=[127.0.0.1]",
                f"serve.redact={HOOKS}:inverted")
        with serving(published, tmp_path / "o", *sets) as client:
            service = client.service
            service.fetcher._resolve, service.fetcher._tls = Names(pictures_test=["127.0.0.1"]), DEFAULT_TLS
            answers = []
            for n, data in enumerate(sent):
                doors = ({"content": data, "headers": IMAGE}, {"files": {"image": ("secret.jpg", data)}},
                         {"json": {"url": f"http://{HOST}:{far.port}/{n}"}})
                answers.append(client.post("/v1/predictions", **doors[n // 3 % 3]))
            assert [a.status_code for a in answers] == [200] * len(sent), answers[0].text
            held = [path.read_bytes() for path in (tmp_path / "o").rglob("*") if path.is_file()]
            wanted = {a.json()["prediction_id"] for a in answers}
            until(lambda: wanted <= {r["prediction_id"] for r in table_rows(published, "predictions")})
            rows = {r["prediction_id"]: r for r in table_rows(published, "predictions")}
            for data, one in zip(sent, answers, strict=True):
                row = rows[one.json()["prediction_id"]]
                assert row["redacted_by"] == service.redactor.name and row["image_uri"].endswith(".png")
                kept = decode(service.storage.read(row["image_uri"]))
                assert (np.asarray(kept) == (255 - np.asarray(decode(data)))[:, ::-1]).all()
                shown = f"/pictures/one/{ids.day_of(row['prediction_id'])}/{row['prediction_id']}"
                assert client.get(shown, headers={"Accept": "text/html"}).status_code == 200
            # The network saw what is kept: the kept file, asked again without the hook, gets the very answer.
            service.redactor = None
            again = client.post("/v1/predictions", content=service.storage.read(row["image_uri"]), headers=IMAGE)
            assert again.json()["predictions"] == one.json()["predictions"]
    told = json.dumps([JsonLines().format(record) for record in caplog.records]).encode()
    held += [told, *(path.read_bytes() for folder in (tmp_path, Path(published)) for path in folder.rglob("*") if path.is_file())]
    everything = b"\n".join(held)
    assert [n for n, data in enumerate(sent) if any(piece in everything for piece in windows(data))] == []
    kept = service.storage.read(row["image_uri"])
    assert any(piece in everything for piece in windows(kept)), "the search finds nothing at all"


def test_a_hook_that_fails_stores_nothing_and_is_counted(published, tmp_path, caplog):
    def ask(red):
        image = Image.new("RGB", (24, 20), (red, 9, 9))
        return client.post("/v1/predictions", content=encode(image, "PNG"), headers=IMAGE)

    ways = len(hooks.NOT_A_PICTURE) + len(hooks.ENDINGS)
    with serving(published, tmp_path / "o", f"serve.redact={HOOKS}:moody", "serve.deadline_seconds=1.5") as client:
        before = client.service.outbox.measure_depth().rows
        refused = [ask(n) for n in [*range(ways), 255]]
        assert {(a.status_code, a.text) for a in refused} == {(503, refused[0].text)}
        assert refused[0].json()["error"]["code"] == "not_redacted" and int(refused[0].headers["Retry-After"]) > 0
        assert client.service.outbox.measure_depth().rows == before and client.service.outbox.list_images() == []
        assert f"trueup_redactions_failed_total {ways + 1}.0" in client.get("/metrics").text
        reasons = [r.fields["reason"] for r in caplog.records if r.getMessage() == "not redacted"]
        assert len(reasons) == ways + 1 and "no picture came back within 1.5 s" in reasons[-1]
        assert not any("\\x" in reason for reason in reasons)
        bad = client.post("/v1/predictions", content=picture()[:-200], headers=IMAGE)
        assert (bad.status_code, bad.json()["error"]["code"]) == (422, "bad_image")


def test_a_retry_by_the_same_id_is_of_the_bytes_that_came(published, tmp_path):
    mine = {"X-Prediction-Id": ids.uuid7()}
    with serving(published, tmp_path / "o", f"serve.redact={HOOKS}:blank") as client:
        first, second = (client.post("/v1/predictions", content=picture(8), headers=IMAGE | mine) for _ in range(2))
        assert first.status_code == 200 and first.json() == second.json()
        other = client.post("/v1/predictions", content=picture(9), headers=IMAGE | mine)
        assert other.json()["error"]["code"] == "id_in_use"


def test_a_service_whose_hook_cannot_be_used_does_not_start(published, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", "")
    settings = load(root=published, overrides=[f"serve.redact={HOOKS}:blank"], env={})
    storage = open_root(published)
    box = Outbox(tmp_path / "o", storage.root, 1 << 30, find_root_id(storage))
    with pytest.raises(UsageError, match="in the setting `allow_modules`"):
        Service(storage, settings, box, ["m"])
    box.close()


def test_rows_without_a_hook_say_so(published, tmp_path):
    with serving(published, tmp_path / "o") as client:
        id_ = client.post("/v1/predictions", content=picture(77), headers=IMAGE).json()["prediction_id"]
        until(lambda: id_ in {r["prediction_id"] for r in table_rows(published, "predictions")})
    (row,) = [r for r in table_rows(published, "predictions") if r["prediction_id"] == id_]
    assert row["redacted_by"] is None and row["image_uri"].endswith(".jpg")
    assert Image.open(io.BytesIO(open_root(published).read(row["image_uri"]))).format == "JPEG"


def test_a_bucket_cannot_make_a_service_import_anything(tmp_root, tmp_path, monkeypatch):
    """Somebody who may write to the bucket publishes a version whose card names a module: the live one goes on answering."""
    (tmp_path / "planted.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    publish_tiny(tmp_root)
    with serving(tmp_root, tmp_path / "o") as client:
        publish_tiny(tmp_root, network="planted:build")
        live = client.service.models["m"]
        until(lambda: live.refused is not None)
        assert live.refused.version == "2" and "`allow_modules: [planted]`" in live.refused.reason
        answered = client.post("/v1/predictions", content=picture(5), headers=IMAGE)
        assert answered.json()["model_version"] == "1" and not (tmp_path / "ran").exists()


def test_a_process_reads_what_may_run_from_its_settings_file(published, tmp_path, monkeypatch):
    monkeypatch.delenv("TRUEUP_ALLOW_MODULES")
    (tmp_path / "trueup.yaml").write_text(f"allow_modules: [tests]\nserve: {{redact: '{HOOKS}:blank'}}\n")
    with ServiceProcess(published, tmp_path, "--no-auth", "--outbox", str(tmp_path / "o")) as service:
        answered = httpx.post(f"{service.url()}/v1/predictions", content=picture(6), headers=IMAGE, timeout=60)
        assert answered.status_code == 200 and service.end(signal.SIGTERM) == 0
    (row,) = [r for r in table_rows(published, "predictions") if r["prediction_id"] == answered.json()["prediction_id"]]
    assert row["redacted_by"].startswith(f"{HOOKS}:blank@")
