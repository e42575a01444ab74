"""Pictures of several sizes, of a card without a crop: each is answered as it is alone, those of one shape together, in order."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from contract import clock
from contract.documents.card import Card, Preprocess
from contract.registry import Registry
from contract.storage import open_root
from inference.model.by_shape import compute_by_shape
from inference.model.embedding import Embedder
from inference.model.predictor import Predictor
from inference.shadow.worker import compute
from jobs.scoring import part as scoring
from tests.inference.made_pictures import encode, pixels
from tests.inference.published import NETWORK, publish_tiny, tiny_weights
from tests.jobs import replayed_root
from training.assess import Side
from training.check_folder import check_on

CLASSES = ["a", "b", "c"]
UNCUT = Preprocess(resize=36, crop=None)
SIZES = [(48, 36), (36, 60), (60, 60), (48, 36), (36, 60)]
PICTURES = [encode(pixels(n, *size)) for n, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def card():
    weights = tiny_weights(3, 1)
    return Card(model="m", version="1", created_at="", network=NETWORK, classes=CLASSES, preprocess=UNCUT, weights_sha256="",
                weights_bytes=len(weights))


@pytest.fixture(scope="module")
def predictor(card):
    return Predictor(card, tiny_weights(3, 1), device="cpu")


@pytest.fixture(scope="module")
def alone(predictor):
    """The probabilities of each picture, asked alone."""
    return np.concatenate([predictor.probabilities(predictor.stack([predictor.prepare(data)])) for data in PICTURES])


def test_a_batch_has_one_shape_and_rows_come_in_the_order_of_the_pictures():
    shapes = []

    def compute_sums(batch):
        shapes.append(tuple(batch.shape))
        return batch.sum((1, 2, 3))[:, None]

    pictures = [torch.full((1, 1, width), float(n)) for n, width in enumerate((2, 3, 2, 4, 3))]
    assert compute_by_shape(pictures, compute_sums, torch.empty(0, 1)).tolist() == [[0], [3], [4], [12], [12]]
    assert shapes == [(2, 1, 1, 2), (2, 1, 1, 3), (1, 1, 1, 4)]
    assert compute_by_shape([], compute_sums, torch.empty(0, 1)).shape == (0, 1)


def test_a_version_that_cuts_nothing_answers_pictures_of_any_sizes(predictor, alone):
    found = predictor.to_probabilities(predictor.ask([predictor.prepare(data) for data in PICTURES]))
    np.testing.assert_allclose(found, alone, atol=1e-6)
    assert predictor.ask([]).shape == (0, 3)


def test_it_is_assessed(card, alone):
    side = Side(card, tiny_weights(3, 1), CLASSES)
    side.ask(PICTURES)
    side.time(PICTURES)
    assert [label for label, _ in side.first] == [CLASSES[n] for n in alone.argmax(1)]
    np.testing.assert_allclose([p for _, p in side.first], alone.max(1), atol=1e-6)
    assert len(side.milliseconds) == len(PICTURES) - 1


def test_it_is_checked_on_a_folder(predictor, alone, tmp_path):
    for n, data in enumerate(PICTURES):
        file = tmp_path / CLASSES[alone[n].argmax() if n else (alone[n].argmax() + 1) % 3] / f"{n}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    found = check_on(predictor, tmp_path)
    assert (found["right"], found["images"]) == (len(PICTURES) - 1, len(PICTURES))


def test_a_folder_of_damaged_pictures_has_none_right(predictor, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cut.jpg").write_bytes(PICTURES[0][:100])
    assert check_on(predictor, tmp_path)["right"] == 0


def test_it_computes_beside_the_live_one(predictor, alone):
    found = compute(predictor, PICTURES, 3)
    np.testing.assert_allclose([[dict(top)[name] for name in CLASSES] for top in found], alone, atol=1e-6)


def read_rows(root, role):
    storage = open_root(root)
    rows = [row for entry in storage.list("predictions/") for row in pq.read_table(storage.path(entry.key)).to_pylist()]
    return sorted((row for row in rows if row["role"] == role), key=lambda row: row.get("source_uri") or row["prediction_id"])


def test_it_scores_pictures_in_batches(tmp_root, tmp_path, predictor, alone):
    publish_tiny(tmp_root, preprocess=UNCUT)
    items = []
    for n, data in enumerate(PICTURES):
        (tmp_path / f"{n}.jpg").write_bytes(data)
        items.append((f"file://{tmp_path}/{n}.jpg", "", len(data)))
    storage, job = open_root(tmp_root), scoring.Job("m", "1", 8, 1 << 20, 1 << 24, False, False)
    scoring.score_part(storage, job, scoring.open_predictor(storage, job), scoring.Part(1, 0, clock.now_us(), "items", items))
    assert [row["predicted_label"] for row in read_rows(tmp_root, "batch")] == [CLASSES[n] for n in alone.argmax(1)]


def test_it_replays_a_log(tmp_root, monkeypatch):
    monkeypatch.setattr(replayed_root, "picture", lambda seed: encode(pixels(seed, *SIZES[seed % len(SIZES)])))
    replayed_root.make(tmp_root, per_day=10, versions=1)
    storage = open_root(tmp_root)
    publish_tiny(storage, seed=2, preprocess=UNCUT)
    Registry(storage, "m").promote("1", by="test", reason="test", expected_live="2")
    replayed_root.replay_here(tmp_root, "2")
    rows, version = read_rows(tmp_root, "replay"), replayed_root.predictor(tmp_root, "2")
    said = [replayed_root.answer(version, storage.read(row["image_uri"]))[0] for row in rows]
    assert len(rows) == 16 and [row["predicted_label"] for row in rows] == said


def test_pictures_are_embedded_as_each_is_alone(card):
    embedder = Embedder(card, tiny_weights(3, 1))
    prepared = [embedder.prepare(data) for data in PICTURES]
    expected = np.concatenate([embedder.embed([one]) for one in prepared])
    np.testing.assert_allclose(embedder.embed(prepared), expected, atol=1e-4 * expected.max())
