"""What a candidate forgot: asked on the held-out rows of the line's first dataset, compared with a network run by hand."""

import hashlib
import io
from contextlib import nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load, save

from contract import layout
from contract.assessed.first_holdout import find_newest
from contract.documents import manifest
from contract.documents.history import Claim
from contract.registry import Registry
from contract.runs import Plan, Runs, Timing
from tests.training import tiny
from tests.training.digits_by_hand import DATASET, MODEL, TRAIN, make_root
from tests.training.loop_root import digits
from training import assess as assessing
from training.assess_text import write_text
from training.forgetting import find_first

HELD = 60


@pytest.fixture(scope="module", autouse=True)
def no_service():
    """The trial in a service process has tests of its own (test_assess.py)."""
    with pytest.MonkeyPatch.context() as patch:
        trial = SimpleNamespace(check=lambda images, told: {"images": len(images)})
        patch.setattr(assessing, "Trial", lambda *card: nullcontext(trial))
        yield


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Version 1 of dataset d1; versions 2 and 3, which know ever less, of d2 and d3, whose holdouts are a part of d1's."""
    registry = make_root(str(tmp_path_factory.mktemp("line") / "root"), held_out=HELD)
    for number, dataset, classes in (("2", "d2", 2), ("3", "d3", 5)):
        put_dataset(registry, dataset, 40)
        put_version(registry, number, dataset, str(int(number) - 1), classes)
    return registry


def put_dataset(registry, name, held_out, leaked=0):
    """Writes a dataset with the first files of d1, of whose holdout `leaked` rows are training rows now."""
    made = manifest.load(registry.storage, DATASET)
    rows = manifest.read_index(registry.storage, made).to_pylist()
    held = [row for row in rows if row["split"] == "holdout"]
    for row in held[:leaked]:
        row["split"] = "train"
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, manifest.read_index(registry.storage, made).schema), out)
    key = f"datasets/{name}/rows.parquet"
    registry.storage.put(key, out.getvalue())
    index = made.index.model_copy(update={"key": key, "sha256": hashlib.sha256(out.getvalue()).hexdigest()})
    files = [f.model_copy(update={"rows": held_out}) if f.split == "holdout" else f for f in made.files]
    changed = made.model_copy(update={"dataset": name, "index": index, "parent": DATASET, "files": files,
                                      "rows": made.rows | {"holdout": held_out}})
    registry.storage.put(layout.manifest(name), changed.to_bytes())


def put_version(registry, number, dataset, parent, forgotten, run=None):
    """Publishes version 1's network as another, which never names the first `forgotten` classes."""
    card = registry.card("1")
    state = load(registry.weights("1"))
    state["9.bias"][:forgotten] -= 100
    data = save(state)
    assert registry.claim(by="test", run=run) == number
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        fields = {"version": number, "parent": parent, "dataset": dataset, "weights_sha256": hashlib.sha256(data).hexdigest()}
        registry.write_version(card.model_copy(update=fields), Path(file.name))


def count_right(registry, version, rows=HELD):
    """Which of the first held-out digits a version has right, by torch alone."""
    pixels, labels = digits()
    network = tiny.build(10)
    network.load_state_dict(load(registry.weights(version)))
    x = torch.from_numpy(np.stack(pixels[TRAIN:TRAIN + rows])).float()[:, None].expand(-1, 3, -1, -1).div(127.5).sub(1)
    with torch.inference_mode():
        named = network.eval()(x).argmax(1).tolist()
    classes = sorted(set(labels))
    return np.array([classes[k] == label for k, label in zip(named, labels[TRAIN:TRAIN + rows], strict=True)])


def test_all_versions_are_asked_the_first_datasets_held_out_rows(line):
    found = assessing.assess(line.storage, line, "3", "2")
    first, (one, two, three) = found["first"], (count_right(line, v) for v in "123")
    assert found["rows"] == 40 and (first["dataset"], first["version"], first["rows"]) == (DATASET, "1", HELD)
    assert [(row["version"], row["n"]) for row in first["versions"]] == [("1", HELD), ("2", HELD), ("3", HELD)]
    assert [row["accuracy"]["value"] for row in first["versions"]] == pytest.approx([r.mean() for r in (one, two, three)])
    assert first["overall"]["only_live"] == (two & ~three).sum() > 0
    assert first["overall"]["difference"]["value"] == pytest.approx(three.mean() - two.mean())
    assert first["since_first"]["difference"]["value"] == pytest.approx(three.mean() - one.mean())
    assert {row["version"] for row in first["leakage"]["checked"]} == {"1", "2", "3"}
    assert "on the 60 held-out rows of the first dataset, d1: version 1" in write_text(found)


def test_against_the_first_version_itself_the_difference_is_the_one_since_the_beginning(line):
    first = assessing.assess(line.storage, line, "2", "1")["first"]
    assert first["since_first"] == first["overall"] and [row["version"] for row in first["versions"]] == ["1", "2"]


def test_a_first_row_that_a_version_was_trained_on_tells_nothing_and_stops_no_assessment(tmp_path):
    registry = make_root(str(tmp_path / "root"), held_out=HELD)
    put_dataset(registry, "d2", 40, leaked=5)
    put_version(registry, "2", "d2", "1", 1)
    put_dataset(registry, "clean", 40)
    other = manifest.load(registry.storage, "clean")
    move_away(registry, other)
    found = assessing.assess(registry.storage, registry, "2", "1", "clean")
    assert found["rows"] == 40 and found["first"]["overall"] is None and found["first"]["versions"] == []
    assert "5 held-out rows" in found["first"]["reason"] and "training rows of version 2" in found["first"]["reason"]
    assert "of the first dataset, d1, nothing can be told: dataset d1: 5 held-out rows" in write_text(found)


def move_away(registry, made):
    """Gives the index of a dataset other hashes, so that it shares no row with another."""
    rows = manifest.read_index(registry.storage, made)
    names = pa.array([hashlib.sha256(h.encode()).hexdigest() for h in rows["image_sha256"].to_pylist()])
    out = io.BytesIO()
    pq.write_table(rows.set_column(rows.schema.get_field_index("image_sha256"), "image_sha256", names), out)
    registry.storage.put(made.index.key, out.getvalue())
    index = made.index.model_copy(update={"sha256": hashlib.sha256(out.getvalue()).hexdigest()})
    registry.storage.put(layout.manifest(made.dataset), made.model_copy(update={"index": index}).to_bytes())


def test_the_first_dataset_is_the_oldest_that_is_there_whole(tmp_path):
    registry = make_root(str(tmp_path / "root"), held_out=HELD)
    put_dataset(registry, "d2", 40)
    put_version(registry, "2", "d2", "1", 1)
    assert find_first(registry.storage, registry, "2").made.dataset == DATASET
    made = manifest.load(registry.storage, DATASET)
    registry.storage.put(layout.manifest(DATASET), made.model_copy(update={"erased": ["a" * 64]}).to_bytes())
    assert find_first(registry.storage, registry, "2").made.dataset == "d2"
    registry.storage.put(layout.manifest("d2"), made.model_copy(update={"rows": {"holdout": 0}}).to_bytes())
    assert find_first(registry.storage, registry, "2") is None


def test_what_runs_found_before_is_kept_so_that_figures_stand_over_all_versions(tmp_path):
    """Version 2's weights are gone when version 3 is assessed: its figure comes from the run that made it."""
    registry = make_root(str(tmp_path / "root"), held_out=HELD)
    put_dataset(registry, "d2", 40)
    plan = Plan(model=MODEL, window={"from": "2026-11-20", "to": "2026-11-20"}, as_of="2026-11-20T23:00:00Z", live="1",
                live_seq=1)
    run = Runs(registry.storage, MODEL).acquire(lambda: plan, Timing())
    put_version(registry, "2", "d2", "1", 1, run=run.key)
    assert Claim.load(registry.storage, layout.claim(MODEL, "2")).run == run.key
    run.record("assess", assessing.assess(registry.storage, registry, "2", "1"))
    kept = find_newest(registry, "2")["versions"]
    assert [row["version"] for row in kept] == ["1", "2"] and find_newest(registry, "2", "d2") is None
    put_version(registry, "3", "d2", "2", 3)
    put_version(registry, "4", "d2", "3", 5)
    right = count_right(registry, "2").mean()
    registry.delete("2", by="test", reason="no longer needed")
    again = assessing.assess(registry.storage, registry, "4", "3")["first"]["versions"]
    assert [row["version"] for row in again] == ["1", "2", "3", "4"]
    assert again[1] == kept[1] and again[1]["accuracy"]["value"] == pytest.approx(right)
    assert find_newest(Registry(registry.storage, MODEL), "4") is not None
