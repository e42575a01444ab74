"""What the network sees: the head's input, a distance that finds dark days and calls no others, and what is left out says why."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from contract import clock, layout
from contract.documents.card import Card, Preprocess
from contract.registry import Registry, file_sha256
from contract.storage import open_root
from inference.model.embedding import Embedder
from inference.model.network import build
from inference.model.predictor import Predictor
from jobs import forget
from jobs.pictures import embed
from pipeline.verifying import command as verify
from tests.jobs.evidence.test_pictures import ask, changed
from tests.jobs.pictures import pictures_root
from tests.jobs.pictures.pictures_root import DATASET, DAYS, MODEL, draw, put_day

pytestmark = pytest.mark.slow("networks")
ASKED = "evaluate.picture_embeddings=40"


def publish(storage, network: str = "squeezenet1_1") -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    registry = Registry(storage, MODEL)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "w.safetensors")
        save_file(build(network, 2).state_dict(), file)
        card = Card(model=MODEL, version=registry.claim(by="test"), created_at=clock.iso(clock.now()), network=network,
                    classes=["a", "b"], preprocess=Preprocess(resize=32, crop=32), dataset=DATASET,
                    weights_sha256=file_sha256(file), weights_bytes=file.stat().st_size)
        registry.write_version(card, file)
    registry.promote("1", by="test", reason="first", expected_live=None)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A quiet day and a dark one of a network with random weights; the evaluation asked for embeddings."""
    storage = open_root(str(tmp_path_factory.mktemp("embeddings") / "root"), create=True)
    pictures_root.put_dataset(storage, [draw(10_000 + i) for i in range(60)], held_out=[draw(20_000 + i) for i in range(50)])
    publish(storage)
    put_day(storage, DAYS[1], [draw(i) for i in range(45)])
    put_day(storage, DAYS[2], [draw(1000 + i, pictures_root.darken) for i in range(45)])
    return storage, *ask(storage, ASKED)


def test_the_network_sees_a_dark_day_and_calls_no_other(made):
    _, _, section, _ = made
    assert section["embeddings"] == {"trained": 60, "held_out": 50, "most": 40, "reason": None}
    assert "embedding" in changed(section, DAYS[2]) and "embedding" not in changed(section, DAYS[1])
    assert section["comparisons"] == 2 * 9


def test_what_was_embedded_is_not_embedded_again(made, monkeypatch):
    storage, _, section, _ = made
    monkeypatch.setattr(embed, "open_embedder", lambda *_: pytest.fail("it was there"))
    assert ask(storage, ASKED)[1]["days"] == section["days"]


def test_it_is_equal_when_it_is_verified(made, capsys):
    storage, document, _, name = made
    assert sum("/version=1/" in key for key in document["rests_on"] if key.startswith(layout.all_measures())) == 3
    assert verify.main([name, "--root", storage.root, "--model", MODEL, "--in-process"]) == 0
    said = capsys.readouterr().out
    assert "everything is equal" in said and "evidence.pictures: not computed" not in said


def test_without_torch_the_rest_is_as_it_was_and_the_reason_is_told(made, monkeypatch):
    storage = made[0]
    monkeypatch.setattr(embed, "find_spec", lambda name: None)
    _, section, _ = ask(storage, "evaluate.picture_embeddings=30")  # others than those that are there
    assert "torch" in section["embeddings"]["reason"] and "brightness" in changed(section, DAYS[2])
    assert "embedding" not in {f["measure"] for f in section["days"][0]["figures"]}


def test_forgetting_a_picture_removes_what_a_version_made_of_its_day(made, tmp_path, capsys):
    copy = tmp_path / "root"
    shutil.copytree(made[0].root.removeprefix("file://"), copy)
    storage = open_root(str(copy))
    gone = made[2]["unusual"][-1]
    assert forget.main(["--root", str(copy), "--image", gone["image_sha256"], "--json"]) == 0
    removed = json.loads(capsys.readouterr().out)["images"][0]["measures"]
    assert len(removed) == 3 and any("/version=1/" in key for key in removed)
    assert not list(storage.list(layout.measures(MODEL, day=gone["day"], version="1")))


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v3_small"])
def test_the_head_makes_the_answer_of_the_embedding(tmp_root, network):
    storage = open_root(tmp_root, create=True)
    publish(storage, network)
    loaded = Registry(storage, MODEL).load("1")
    embedder, predictor = Embedder(*loaded), Predictor(*loaded)
    batch = [embedder.prepare(draw(i)) for i in range(3)]
    head = [m for m in embedder.network.modules() if isinstance(m, torch.nn.Linear)][-1]
    found = torch.softmax(head(torch.from_numpy(embedder.embed(batch)).float()), 1).detach().numpy()
    assert found == pytest.approx(predictor.probabilities(predictor.stack(batch)), abs=1e-5)
