"""A root as the loop leaves it: digits as stored images, predictions of version 1 and human labels, on given days."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from contract import clock, ids, layout
from contract.records import LABEL, PREDICTION
from contract.storage import open_root


def digits():
    """scikit-learn's digits as uint8 [n, 32, 32] and their labels as text."""
    from sklearn.datasets import load_digits

    data = load_digits()
    small = (data.images * (255 / 16)).astype(np.uint8)
    return [np.asarray(Image.fromarray(x).resize((32, 32), Image.Resampling.BILINEAR)) for x in small], \
        [str(t) for t in data.target]


def png(pixels) -> bytes:
    """A picture, uint8 [H, W], as a PNG in colour."""
    out = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(out, "PNG")
    return out.getvalue()


def jpeg(pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


class LoopRoot:
    """Writes rows as the service would; ids are made from day and image, so the same rows come out whatever the files."""

    def __init__(self, root: str, model: str = "digits") -> None:
        self.root, self.model = root, model
        self.storage = open_root(root, create=True)
        self.n = 0

    def image(self, data: bytes, extension: str = "png") -> tuple[str, str]:
        sha = hashlib.sha256(data).hexdigest()
        key = layout.image(sha, extension)
        self.storage.put(key, data)
        return sha, key

    def day(self, day: str, images: list[bytes], labels: list[str | None], origin: str = "import",
            labelers: tuple[str, ...] = ("ann", "bob"), predicted: str = "0", decoded_by: str | None = None,
            **more) -> list[str]:
        """One prediction per image, and for each label that is not None one label row. Returns the prediction ids."""
        predictions, rows = [], []
        for data, label in zip(images, labels, strict=True):
            at = clock.parse_moment(f"{day}T08:00:00Z")
            sha, key = self.image(data)
            entropy = hashlib.sha256(f"{day} {sha}".encode()).digest()[:10]
            prediction = ids.uuid7(at, entropy)
            predictions.append({"prediction_id": prediction, "predicted_at": at, "model": self.model, "model_version": "1",
                                "predicted_label": predicted, "confidence": 0.5, "image_sha256": sha, "image_uri": key,
                                "decoded_by": decoded_by})
            if label is not None:
                rows.append({"label_id": ids.uuid7(at, entropy[::-1]), "prediction_id": prediction, "label": label,
                             "labeler": labelers[entropy[0] % len(labelers)], "labeled_at": at, "origin": origin,
                             "saw_prediction": False} | more)
        self.write(layout.PREDICTIONS, day, predictions)
        self.write(layout.LABELS, day, rows)
        return [p["prediction_id"] for p in predictions]

    def write(self, table: str, day: str, rows: list[dict]) -> None:
        record = {layout.PREDICTIONS: PREDICTION, layout.LABELS: LABEL}[table]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, record.arrow()), out)
        self.n += 1
        self.storage.create(layout.row_file(table, day, "test", self.n, self.n), out.getvalue())


def main() -> None:
    """python -m tests.training.loop_root FOLDER [N]: a root with N labelled digits, for trying things by hand."""
    import sys

    n = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    pixels, labels = digits()
    LoopRoot(str(Path(sys.argv[1]))).day("2026-11-20", [png(p) for p in pixels[:n]], labels[:n])


if __name__ == "__main__":
    main()
