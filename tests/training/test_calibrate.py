"""Calibration as training writes it, services answer by it, assessments show it and publishing fits it."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from contract.documents.card import Calibration, Card
from contract.errors import DONE, ERROR
from contract.storage import open_root
from inference.model import network
from inference.model.predictor import Predictor, load_predictor
from inference.model.strip_metadata import strip_metadata
from tests.faults import Died
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny, tiny_weights
from tests.inference.serving import IMAGE, serving
from tests.training.digits_by_hand import make_root
from tests.training.fit.test_loop import dies_after
from tests.training.loop_root import digits, png
from training import calibrate as module
from training import publish
from training.assess import assess
from training.calibrate import Row, calibrate, calibrate_trained
from training.convert import convert
from training.feed import reader
from training.fit import scaling

HOT = Calibration(method="temperature", temperature=2.5, rows=300, fitted_on="validation rows of dataset d", loss_before=1.0,
                  loss_after=0.9)
TILTED = Calibration(method="vector", scale=[0.5, 1.0, 2.0], bias=[0.0, 1.0, -1.0], rows=300, fitted_on="rows", loss_before=1.0,
                     loss_after=0.9)


def logits_of(predictor, data):
    return predictor.logits(predictor.stack([predictor.prepare(data)]))[0].double().numpy()


def softmax_by_hand(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def test_training_fits_a_temperature_on_the_validation_rows_and_says_so(world):
    card = world.train(epochs=1)
    rows = world.made.rows["validation"]
    assert rows >= module.LEAST_ROWS, "the fixture's dataset has enough"
    found = card.calibration
    assert (found.method, found.rows, found.loss_after <= found.loss_before) == ("temperature", rows, True)
    assert card.made_from.endswith(f"calibrated on {rows} validation rows of dataset {world.made.dataset} "
                                   f"(temperature {found.temperature:g})")
    raw = world.train(epochs=1, calibrate="none")
    assert raw.calibration is None and raw.made_from.endswith("not calibrated")
    assert raw.weights_sha256 == card.weights_sha256  # the same job: what corrects its answers is no part of it


def test_the_temperature_of_the_card_is_that_of_a_grid_over_the_validation_rows(world):
    card = world.train(epochs=1)
    predictor = Predictor(card.model_copy(update={"calibration": None}), world.registry.weights(card.version))
    rows = list(reader.read_rows(world.storage, world.made.split("validation"), 0, world.made.rows["validation"]))
    z = np.stack([logits_of(predictor, bytes(row.image)) for row in rows])  # one by one
    n, truth = len(rows), np.array([row.label_index for row in rows])

    def loss(t):
        less = z / t - (z / t).max(1, keepdims=True)
        log_p = less - np.log(np.exp(less).sum(1, keepdims=True))
        return -(n * log_p[np.arange(n), truth] + log_p.mean(1)).mean()

    grid = np.geomspace(0.05, 20, 1500)
    assert card.calibration.temperature == pytest.approx(grid[np.argmin([loss(t) for t in grid])], rel=4e-3)


def test_a_killed_training_ends_with_the_same_calibration(world, monkeypatch):
    undisturbed = world.train()
    with monkeypatch.context() as patch, pytest.raises(Died):
        dies_after(2, patch)
        world.train(run_key="digits/7")
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("training.train.calibrate_trained", dying)
        world.train(run_key="digits/7")
    assert world.train(run_key="digits/7").calibration == undisturbed.calibration


def dying(*_):
    raise Died


def test_it_does_not_depend_on_the_ranks_nor_on_threads(world):
    """It is fitted by one process from the final weights; of those alone the ranks can make others."""
    card = world.train(epochs=1)
    weights, before = world.registry.weights(card.version), torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert calibrate_trained(world.storage, world.made, card, weights, "temperature") == card.calibration
    finally:
        torch.set_num_threads(before)


def test_without_enough_validation_rows_there_is_none_and_it_is_said(world, monkeypatch, capsys):
    monkeypatch.setattr(module, "LEAST_ROWS", 1000)
    card = world.train(epochs=1)
    assert card.calibration is None and card.made_from.endswith("not calibrated")
    said = f"no calibration is fitted: expected 1000 or more, got {world.made.rows['validation']} validation rows"
    assert said in capsys.readouterr().err


def test_vector_scaling_needs_rows_of_each_class(world, monkeypatch, capsys):
    few = world.train(epochs=1, calibrate="vector").calibration
    assert few.method == "temperature" and "vector scaling of 10 classes needs 100 rows" in capsys.readouterr().err
    monkeypatch.setattr(module, "LEAST_ROWS_A_CLASS", 1)
    found = world.train(epochs=1, calibrate="vector").calibration
    assert (found.method, len(found.scale), len(found.bias), found.temperature) == ("vector", 10, 10, None)
    assert found.loss_after < found.loss_before


@pytest.mark.parametrize("calibration", [HOT, TILTED])
def test_over_http_probabilities_are_those_of_the_scaled_outputs(tmp_root, tmp_path, calibration):
    publish_tiny(tmp_root, calibration=calibration)
    card = Card.load(open_root(tmp_root), "models/m/versions/1/card.json")
    plain = Predictor(card.model_copy(update={"calibration": None}), tiny_weights(3, 1), device="cpu")
    with serving(tmp_root, tmp_path / "outbox") as client:
        for n in range(4):
            answer = client.post("/v1/predictions", content=picture(n), headers=IMAGE).json()
            z = logits_of(plain, strip_metadata(picture(n))[0])
            z = z / 2.5 if calibration is HOT else z * np.array([0.5, 1.0, 2.0]) + np.array([0.0, 1.0, -1.0])
            expected = softmax_by_hand(z)
            got = {p["label"]: p["probability"] for p in answer["predictions"]}
            assert [got[label] for label in "abc"] == pytest.approx(expected, abs=1e-4)
            assert answer["predictions"][0]["label"] == "abc"[expected.argmax()]


@pytest.mark.parametrize(("runtime", "number_format"), [("torch", "float32"), ("torchscript", "float32"), ("torch", "bfloat16")])
def test_in_every_format_probabilities_are_softmax_of_outputs_over_the_temperature(runtime, number_format):
    weights = tiny_weights(3, 1)
    made = {c: Predictor(Card(model="m", version="1", created_at="", network="shufflenet_v2_x0_5", classes=["a", "b", "c"],
                              preprocess={"resize": 36, "crop": 32}, weights_sha256="", weights_bytes=len(weights),
                              runtime=runtime, number_format=number_format, calibration=c), weights, device="cpu")
            for c in (None, HOT)}
    batch = torch.stack([made[None].prepare(picture(n)) for n in range(5)])
    z, rows = made[HOT].logits(batch).double().numpy(), made[HOT].probabilities(batch)
    np.testing.assert_allclose(rows, np.stack([softmax_by_hand(row / 2.5) for row in z]), atol=1e-6)
    np.testing.assert_array_equal(rows.argmax(1), made[None].probabilities(batch).argmax(1))
    np.testing.assert_allclose(made[HOT].to_probabilities(torch.from_numpy(z), calibrated=False),
                               np.stack([softmax_by_hand(row) for row in z]), atol=1e-6)


def test_a_converted_version_inherits_it(tmp_path):
    registry = make_root(str(tmp_path / "root"), calibration=HOT)
    card, _ = convert(registry, "1", "float32", None, 10, "test")
    assert card.calibration == HOT
    torchs, converted = (load_predictor(registry, version, "cpu") for version in ("1", card.version))
    batch = torch.stack([torchs.prepare(png(p)) for p in digits()[0][:8]])
    np.testing.assert_allclose(converted.probabilities(batch), torchs.probabilities(batch), atol=1e-4)
    z = torchs.logits(batch).double().numpy()
    np.testing.assert_allclose(torchs.probabilities(batch), np.stack([softmax_by_hand(row / 2.5) for row in z]), atol=1e-6)


def test_int8_gets_one_of_its_own_where_there_are_validation_rows(world):
    parent = world.train(epochs=1)
    card, _ = convert(world.registry, "1", "int8", None, 20, "test")
    rows = world.made.rows["validation"]
    assert (card.calibration.method, card.calibration.rows) == ("temperature", rows)
    assert card.calibration.loss_before != parent.calibration.loss_before, "of the outputs of int8"
    predictor = load_predictor(world.registry, card.version, "cpu")
    samples = reader.read_rows(world.storage, world.made.split("validation"), 0, rows)
    z, truth = zip(*((logits_of(predictor, bytes(row.image)), row.label_index) for row in samples), strict=True)
    assert scaling.fit_temperature(np.stack(z), np.array(truth)) == pytest.approx(card.calibration.temperature, abs=0.01)


def test_rows_of_a_dataset_that_is_not_the_versions_own_count_by_their_class_not_by_its_place(world, monkeypatch):
    """As int8 of a version is calibrated on a later dataset (`--dataset`): it has a class more, and others in other places."""
    monkeypatch.setattr(module, "LEAST_ROWS", 5)
    card = world.train(epochs=1)
    weights, classes = world.registry.weights(card.version), card.classes
    turned = card.model_copy(update={"classes": classes[::-1], "calibration": None})
    same = world.made.model_copy(update={"classes": classes[::-1]})  # its labels are named otherwise, and so are the outputs
    assert calibrate_trained(world.storage, same, turned, weights, "temperature") == card.calibration
    fewer = card.model_copy(update={"classes": [*classes[:-1], "none of the dataset's"], "calibration": None})
    found = calibrate_trained(world.storage, world.made, fewer, weights, "temperature")
    rows = [row for row in reader.read_rows(world.storage, world.made.split("validation"), 0, world.made.rows["validation"])
            if row.label_index < len(classes) - 1]
    assert found.rows == len(rows) < card.calibration.rows
    z = np.stack([logits_of(Predictor(fewer, weights), bytes(row.image)) for row in rows])
    truth = np.array([row.label_index for row in rows])
    assert found.temperature == pytest.approx(scaling.fit_temperature(z, truth), abs=1e-3)


def test_an_assessment_shows_the_error_of_both_sides_with_and_without(world):
    world.train(epochs=1, calibrate="none")
    world.registry.promote("1", by="test", reason="first", expected_live=None)
    candidate = world.train(parent="1", epochs=1)
    found = assess(world.storage, world.registry, candidate.version, "1")
    live, ours = found["versions"]["live"], found["versions"]["candidate"]
    assert live["uncalibrated"] is None
    assert ours["uncalibrated"]["n"] == found["rows"] and ours["uncalibrated"]["ece"] != ours["calibration_error"]
    assert ours["calibration_by_origin"]["import"]["ece"] == pytest.approx(ours["calibration_error"], abs=1e-12)
    plain = world.registry.card(candidate.version).model_copy(update={"calibration": None})
    world.storage.put(f"models/digits/versions/{candidate.version}/card.json", plain.to_bytes())
    again = assess(world.storage, world.registry, candidate.version, "1")["versions"]["candidate"]
    assert again["calibration_error"] == pytest.approx(ours["uncalibrated"]["ece"], abs=1e-12)
    assert again["accuracy"] == ours["accuracy"]


def test_publishing_fits_one_on_a_folder_that_was_not_trained_on(tmp_path, capsys, trial_in_process):
    torch.manual_seed(1)
    torch.save(network.build("tests.training.tiny:build", 10).state_dict(), tmp_path / "w.pt")
    (tmp_path / "classes.txt").write_text("\n".join(map(str, range(10))))
    pixels, labels = digits()
    for n, (p, label) in enumerate(zip(pixels[:40], labels[:40], strict=True)):
        (tmp_path / "labelled" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "labelled" / label / f"{n}.png").write_bytes(png(p))
    argv = ["--root", str(tmp_path / "root"), "--model", "mine", "--network", "tests.training.tiny:build", "--weights",
            str(tmp_path / "w.pt"), "--classes", str(tmp_path / "classes.txt"), "--size", "32", "--json", "--calibrate"]
    assert publish.main([*argv, str(tmp_path / "labelled")]) == DONE
    found = json.loads(capsys.readouterr().out)["calibration"]
    assert (found["rows"], found["method"]) == (40, "temperature") and found["loss_after"] <= found["loss_before"]
    assert trial_in_process[0].card.calibration.temperature == found["temperature"]
    for file in list((tmp_path / "labelled").glob("*/*"))[:15]:
        file.unlink()
    assert publish.main([*argv, str(tmp_path / "labelled")]) == ERROR
    assert "expected 30 pictures or more" in capsys.readouterr().err


def test_pictures_of_different_sizes_are_asked_one_by_one():
    weights = tiny_weights(3, 1)
    card = Card(model="m", version="1", created_at="", network="shufflenet_v2_x0_5", classes=["a", "b", "c"],
                preprocess={"resize": 36, "crop": None}, weights_sha256="", weights_bytes=len(weights))
    wide = np.random.default_rng(1).integers(0, 255, (40, 80), dtype=np.uint8)
    rows = [Row(png(wide if n % 2 else wide[:, :40]), n % 3) for n in range(30)]
    assert calibrate(Predictor(card, weights, device="cpu"), rows, "temperature", "rows").rows == 30


@pytest.mark.parametrize(("bad", "said"), [
    ({"method": "temperature"}, "expected a temperature alone, or scale and bias alone"),
    ({"method": "temperature", "temperature": 0.0}, "greater than 0"),
    ({"method": "temperature", "temperature": float("nan")}, "finite"),
    ({"method": "vector", "scale": [1.0]}, "expected a temperature alone, or scale and bias alone"),
    ({"method": "vector", "temperature": 1.0}, "expected a temperature alone, or scale and bias alone"),
    ({"method": "vector", "scale": [1.0] * 3, "bias": [float("inf")] * 3}, "finite")])
def test_a_card_with_half_a_calibration_is_refused(bad, said):
    whole = {"rows": 30, "fitted_on": "rows", "loss_before": 1.0, "loss_after": 1.0}
    with pytest.raises(ValidationError, match=said):
        Calibration(**whole | bad)


def test_a_vector_of_another_number_of_classes_is_refused():
    with pytest.raises(ValidationError, match="expected scale and bias of 2 classes"):
        Card(model="m", version="1", created_at="", network="n", classes=["a", "b"], preprocess={}, weights_sha256="",
             weights_bytes=0, calibration=TILTED)
