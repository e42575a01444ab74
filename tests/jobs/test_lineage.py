"""Lineage: from a prediction to version, dataset, labels and labelers, and back."""

import json

import pyarrow.parquet as pq
import pytest

from command.load_settings import load
from contract import clock
from contract.documents.card import Card, Preprocess
from contract.records import PREDICTION
from contract.registry import Registry, file_sha256
from contract.storage import open_root
from inference.pictures.detail import Details
from jobs import lineage
from jobs.dataset import make
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows
from tests.training.loop_root import LoopRoot, digits, png

TRAINED = {"2": None, "3": "2"}  # version -> parent


@pytest.fixture(scope="module")
def root(tmp_path_factory, without_spark):
    """Forty labelled digits, a dataset of them, and versions 2 and 3 that were trained on it; 1 has no card."""
    folder = tmp_path_factory.mktemp("lineage")
    pixels, labels = digits()
    loop = LoopRoot(str(folder / "root"))
    names = loop.day("2026-11-20", [png(p) for p in pixels[:40]], [str(int(label) % 2) for label in labels[:40]])
    made = make(open_root(loop.root), load(root=loop.root, model="digits"), None, None, clock.parse_moment("2026-11-21"))
    (folder / "w").write_bytes(b"weights")
    registry = Registry(loop.storage, "digits")
    registry.claim("test")
    for version, parent in TRAINED.items():
        registry.claim("test")
        registry.write_version(Card(model="digits", version=version, created_at="", network="n", classes=made.classes,
                                    preprocess=Preprocess(), weights_sha256=file_sha256(folder / "w"), weights_bytes=7,
                                    dataset=made.dataset, parent=parent), folder / "w")
    return loop.root, made, names


def ask(capsys, root, *arguments, code=0):
    assert lineage.main([*arguments, "--root", root, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_from_a_prediction_to_its_labels_and_to_what_learnt_from_it(root, capsys):
    folder, made, names = root
    found = ask(capsys, folder, names[3])
    assert found["prediction"]["model_version"] == "1" and found["versions"][0]["made_from"] == "no card here"
    (label,), (went,) = found["labels"], found["went_into"]
    assert label["labeler"] in ("ann", "bob") and went["label"] == label["label"]
    assert (went["dataset"], went["trained"]) == (made.dataset, ["digits/2", "digits/3"])


def test_from_a_version_to_its_ancestors_datasets_and_labelers(root, capsys):
    folder, made, _ = root
    found = ask(capsys, folder, "--version", "3", "--model", "digits")["versions"]
    assert [(v["version"], v["dataset"]["dataset"]) for v in found] == [("3", made.dataset), ("2", made.dataset)]
    assert sum(found[0]["dataset"]["labelers"].values()) == sum(made.rows.values())


def test_back_from_a_dataset_to_days_people_and_versions(root, capsys):
    folder, made, _ = root
    found = ask(capsys, folder, "--dataset", made.dataset)
    given = pq.read_table(next(open_root(folder).path("labels/dt=2026-11-20").glob("*.parquet")), columns=["labeler"])
    assert set(found["labelers"]) == set(given.column(0).to_pylist())
    assert found["days"] == {"2026-11-20": sum(made.rows.values())} and found["trained"] == ["digits/2", "digits/3"]


@pytest.mark.parametrize("roles", [("shadow", "canary"), ("replay", "canary"), ("replay", "batch"), ("shadow", "live")])
def test_of_rows_with_one_id_it_is_what_was_answered(tmp_root, capsys, roles):
    make_root(tmp_root, right=1, n=1)
    storage = open_root(tmp_root)
    (row,), _ = rows(1, 0, 0, version="7")
    answers = [row | {"role": role, "model_version": str(10 + k)} for k, role in enumerate(roles)]
    put_rows(storage, PREDICTION, "predictions", answers, writer="two")
    assert ask(capsys, tmp_root, row["prediction_id"])["prediction"]["model_version"] == "11"
    assert Details(storage).read_row(MODEL, DAY, row["prediction_id"])["model_version"] == "11"


def test_of_rows_with_one_id_and_role_it_is_the_one_that_counts(tmp_root, capsys):
    make_root(tmp_root, right=1, n=1)
    (row,), _ = rows(1, 0, 0, version="7")
    answers = [row | {"model_version": "11"}, row | {"model_version": "10"}]  # of one moment the first version counts
    put_rows(open_root(tmp_root), PREDICTION, "predictions", answers, writer="two")
    assert ask(capsys, tmp_root, row["prediction_id"])["prediction"]["model_version"] == "10"
    assert Details(open_root(tmp_root)).read_row(MODEL, DAY, row["prediction_id"])["model_version"] == "10"


def test_what_cannot_be_answered_says_what_is_missing(root, capsys):
    folder, _, names = root
    assert "expected one of" in ask(capsys, folder, code=2)["error"]["message"]
    assert "Name the day" in ask(capsys, folder, "my-own-id", code=2)["error"]["message"]
    other = names[0][:-4] + "0000"
    assert f"expected prediction {other}" in ask(capsys, folder, other, code=1)["error"]["message"]
    assert lineage.main([names[0], "--root", folder]) == 0
    assert "trained: digits/2, digits/3" in capsys.readouterr().out
