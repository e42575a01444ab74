"""A service core small enough for tests of the pages: real storage, real rows, the seam that the pages rely on."""

import hashlib
import io
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from fastapi import Depends, FastAPI, Request
from PIL import Image

from contract import clock, ids, layout, samples
from contract.documents.card import Card, Preprocess
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_root
from inference.auth import Caller, install, require
from inference.outbox.tables import Depth
from inference.pages.routes import add_pages
from inference.telemetry import Metrics
from tests.inference.serving import until

MODEL, DAY = "digits", "2026-11-20"
CLASSES = ["cat", "dog", "eel", "fox"]


class EmptyOutbox:
    """What the overview asks of an outbox, of one in which nothing waits."""

    def measure_depth(self):
        return Depth(0, 0, None)


class SmallService:
    """Keeps each judgement as the row that would be shipped; predicts by the hash of the bytes."""

    def __init__(self, root: str, classes=CLASSES):
        self.storage = open_root(root, create=True)
        self.settings = Settings()
        self.default_model, self.models = MODEL, {}
        self.classes = classes
        self.rows: list[dict] = []
        self.metrics, self.outbox = Metrics(), EmptyOutbox()

    async def label(self, judgements, *, caller, origin, labeler_default=None, strategy=None,
                    selection_probability=None, saw_prediction=None, shown_label=None, day=None):
        now = clock.now()
        made = [dict.fromkeys(LABEL.names) | j | {
            "label_id": ids.uuid7(now), "labeler": j.get("labeler") or labeler_default or caller.id, "labeled_at": now,
            "origin": origin, "strategy": strategy, "selection_probability": selection_probability,
            "saw_prediction": j.get("saw_prediction", saw_prediction), "actor": caller.id,
            "shown_label": shown_label if j["label"] == "≠" else None} for j in judgements]
        pa.Table.from_pylist(made, LABEL.arrow())  # a row that the schema refuses fails here
        self.rows += made
        return [row["label_id"] for row in made]

    async def predict(self, data, *, caller, model=None, top_k=5):
        first = data[0] % len(self.classes)
        order = self.classes[first:] + self.classes[:first]
        shares = [0.5 / 2**i for i in range(len(order))]
        return {"prediction_id": ids.uuid7(), "model": model or MODEL, "model_version": "1",
                "predictions": [{"label": c, "probability": s} for c, s in zip(order, shares, strict=True)][:top_k]}


def publish(storage, tmp_path, classes=CLASSES, **facts):
    """A first version, live; its weights are a few bytes that nobody loads here."""
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"w" * 64)
    registry = Registry(storage, MODEL)
    version = registry.claim(by="test")
    card = Card(model=MODEL, version=version, created_at="2026-11-19T08:00:00.000000Z", network="resnet18",
                classes=classes, preprocess=Preprocess(resize=32, crop=32), weights_bytes=64,
                weights_sha256=hashlib.sha256(weights.read_bytes()).hexdigest(), **facts)
    registry.write_version(card, weights)
    registry.promote(version, by="test", reason="the first", expected_live=None if version == "1" else "1")


def picture(i: int) -> bytes:
    """A small PNG that differs for each i."""
    image = Image.fromarray(np.random.default_rng(i).integers(90, 170, (32, 32, 3), dtype=np.uint8))
    image.paste((30 + 37 * i % 200, 180, 40 + 91 * i % 200), (8, 8, 24, 24))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def ship(storage, n=40, day=DAY, model=MODEL, labels=CLASSES, confidence=0.87, writer="w", images=True):
    """Writes n predictions of a day as the shipper would, with their images; returns their ids."""
    at = clock.parse_moment(f"{day}T12:00:00Z")
    rows = []
    for i in range(n):
        data = picture(i)
        sha = hashlib.sha256(data).hexdigest()
        uri = layout.image(sha, "png")
        if images:
            storage.put(uri, data)
        rows.append(dict.fromkeys(PREDICTION.names) | {
            "prediction_id": ids.uuid7(at, hashlib.sha256(f"{writer}{i}".encode()).digest()[:10]), "predicted_at": at,
            "model": model, "model_version": "1", "predicted_label": labels[i % len(labels)],
            "confidence": confidence, "role": "live", "image_sha256": sha, "image_uri": uri if images else None})
    table = pa.Table.from_pylist(rows, PREDICTION.arrow())
    out = io.BytesIO()
    pq.write_table(table, out)
    storage.create(layout.row_file(layout.PREDICTIONS, day, writer, 1, n), out.getvalue())
    return [r["prediction_id"] for r in rows]


def application(service, keyring) -> FastAPI:
    """The pages over a small service, with the two API calls that the start page makes."""
    app = FastAPI(docs_url=None, description="The pages and what they ask, without a network.")
    install(app, keyring)

    @app.post("/v1/predictions")
    async def predict(request: Request, top_k: int = 5, caller: Caller = Depends(require("predict"))):
        return await service.predict(await request.body(), caller=caller, top_k=top_k)

    @app.post("/v1/labels", status_code=201)
    async def labels(request: Request, caller: Caller = Depends(require("label"))):
        return {"label_ids": await service.label([await request.json()], caller=caller, origin="feedback")}

    add_pages(app, service, keyring)
    return app


@contextmanager
def serving(app):
    """A real server on a free port of this machine; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def make_sampled_root(folder: Path, n: int) -> tuple[Path, list[str]]:
    """A root with a version, n predictions and both samples, to be copied; and the predictions' ids."""
    storage = open_root(str(folder / "root"), create=True)
    publish(storage, folder)
    shipped = ship(storage, n)
    for kind in samples.KINDS:
        samples.write(storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=1.0)))
    return folder / "root", shipped


def copy_service(made: tuple[Path, list[str]], root: str) -> SmallService:
    """The service of a copy of such a root, with the predictions' ids."""
    shutil.copytree(made[0], root)
    service = SmallService(root)
    service.ids = made[1]
    return service
