"""The loop: resuming ends in the same weights, errors stop before the step, and a version says what made it."""

import json
import multiprocessing

import pytest
import torch
from safetensors.torch import load as load_tensors

from benchmarks.training import InMemory
from contract.errors import Mismatch, NotFinite, UsageError
from contract.settings import TrainSettings
from tests.faults import Died
from tests.training.tiny import build
from training.feed import feed as feed_module
from training.first_version import FirstVersion
from training.fit import loop as training_loop
from training.fit import losses, state
from training.fit.checkpoint import Checkpoints
from training.fit.process_group import ProcessGroup
from training.train import plan_job


def dies_after(saves, monkeypatch):
    """The process dies just after its checkpoint number `saves`."""
    save, count = Checkpoints.save, [0]

    def dying(self, *arguments):
        digest = save(self, *arguments)
        count[0] += 1
        if count[0] == saves:
            raise Died
        return digest

    monkeypatch.setattr(Checkpoints, "save", dying)


@pytest.mark.parametrize("saves", [1, 3])
def test_resumed_in_the_middle_of_an_epoch_it_ends_in_the_same_weights(world, monkeypatch, saves):
    undisturbed = world.train()
    with monkeypatch.context() as patch, pytest.raises(Died):
        dies_after(saves, patch)
        world.train(run_key="digits/7")
    left = [e.key for e in world.storage.list("runs/digits/7/checkpoints/")]
    assert len(left) == 2
    card = world.train(run_key="digits/7")
    assert (card.version, card.weights_sha256) == ("2", undisturbed.weights_sha256)
    assert card.metrics == undisturbed.metrics
    assert not list(world.storage.list("runs/"))


def test_processes_that_decode_make_the_weights_that_threads_make_and_end_with_what_fails(world, monkeypatch):
    threads = world.train(augment="crop")
    monkeypatch.setattr(feed_module, "FORK_FROM", 1)
    for room in (0, 1, 1024):  # none, some or all of the pictures are cached for the second epoch
        assert world.train(augment="crop", cache_mib=room).weights_sha256 == threads.weights_sha256
    with monkeypatch.context() as patch, pytest.raises(Died):
        dies_after(1, patch)
        world.train(augment="crop", run_key="digits/7")
    assert multiprocessing.active_children() == []
    assert world.train(augment="crop", run_key="digits/7").weights_sha256 == threads.weights_sha256


def test_the_benchmarks_pictures_in_memory_can_stand_for_the_feed(world, monkeypatch):
    monkeypatch.setattr(training_loop, "open_feed", lambda job, _: InMemory(job.preprocess))
    assert world.train(epochs=1).metrics["epochs"][0]["rows"] == world.made.rows["train"]


def test_the_same_run_again_finds_its_version(world):
    first = world.train(run_key="digits/1", epochs=1)
    assert world.train(run_key="digits/1", epochs=1) == first
    assert world.registry.versions() == ["1"]


def test_a_first_version_is_trained_from_nothing_and_says_so(world):
    card = world.train(epochs=1)
    assert (card.parent, card.dataset, card.classes) == (None, world.made.dataset, [str(n) for n in range(10)])
    assert "trained from nothing" in card.made_from and world.made.dataset in card.made_from
    assert card.metrics["epochs"][0]["rows"] == world.made.rows["train"]


def test_ema_precision_and_patience_also_resume_to_the_same_weights(world, monkeypatch):
    settings = {"ema": 0.9, "precision": "bfloat16", "patience": 1, "epochs": 3, "channels_last": True}
    undisturbed = world.train(**settings)
    with monkeypatch.context() as patch, pytest.raises(Died):
        dies_after(2, patch)
        world.train(run_key="digits/2", **settings)
    assert world.train(run_key="digits/2", **settings).weights_sha256 == undisturbed.weights_sha256


def test_a_loss_that_is_not_finite_stops_before_the_step(world):
    loop = a_loop(world)
    with torch.no_grad():
        loop.state.trained[0].fill_(float("inf"))
    before = [p.clone() for p in loop.state.trained]
    with pytest.raises(NotFinite, match="epoch 1, step 0: expected a finite loss"):
        loop.run()
    assert all(torch.equal(a, b) for a, b in zip(before, loop.state.trained, strict=True))
    assert not list(world.storage.list("runs/digits/9/"))


def test_other_rows_than_the_manifest_promises_are_a_mismatch(world):
    loop = a_loop(world)
    loop.train_files = loop.train_files[:-1]
    with pytest.raises(Mismatch, match="rows by the manifest"):
        loop.run()


def a_loop(world):
    job = plan_job(world.storage, world.registry, world.settings(), world.made, None, "1", "digits/9",
                 FirstVersion("tests.training.tiny:build", 32))
    return training_loop.Loop(job, ProcessGroup(0, 1, torch.device("cpu")))


def test_gradients_accumulated_over_two_steps_are_those_of_one_of_twice_the_rows(world):
    """Without BatchNorm in training mode and dropout, which see steps: the backbone is frozen, its mode evaluation."""
    same = {"freeze_backbone": True, "augment": "none", "epochs": 1, "checkpoint_steps": 1000}
    rows, found = world.made.rows["train"], []
    for batch, accumulate in ((rows, 1), (-(-rows // 2), 2)):
        card = world.train(batch=batch, accumulate=accumulate, **same)
        found.append(card.metrics["epochs"][0]["validation"]["loss"])
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_accumulated_and_balanced_it_also_resumes_to_the_same_weights(world, monkeypatch, tmp_path):
    settings = {"accumulate": 3, "class_weights": "balanced", "log_dir": str(tmp_path / "log"), "retries": 0}
    undisturbed = world.train(**settings)
    with monkeypatch.context() as patch, pytest.raises(Died):
        dies_after(2, patch)
        world.train(run_key="digits/2", **settings)
    assert world.train(run_key="digits/2", **settings | {"log_dir": str(tmp_path / "other")}
                       ).weights_sha256 == undisturbed.weights_sha256
    lines = [json.loads(line) for line in (tmp_path / "log" / "metrics.jsonl").read_text().splitlines()]
    assert {"update", "loss", "lr", "rows", "gradient_norm"} <= lines[0].keys()
    assert any("validation_loss" in line for line in lines)
    assert list((tmp_path / "log").glob("events.out.tfevents.*"))


def test_balanced_weights_give_every_class_the_same_part(world):
    rows = world.made.per_class["train"]
    weights = losses.weigh_classes(world.made, TrainSettings(class_weights="balanced"), torch.device("cpu")).tolist()
    parts = [w * rows[label] for w, label in zip(weights, world.made.classes, strict=True)]
    assert parts == pytest.approx([world.made.rows["train"] / len(rows)] * len(rows))


def test_batchnorm_over_all_ranks_is_refused_where_torch_has_it_not(world):
    with pytest.raises(UsageError, match="train.sync_batchnorm: torch has it for GPUs only"):
        world.train(sync_batchnorm=True)


def test_by_setting_batchnorm_over_all_ranks_and_the_compiler_are_what_is_run():
    settings, net = TrainSettings(sync_batchnorm=True, compile=True), build(10)
    converted = state._convert_batchnorm(net, settings, torch.device("cuda", 0))
    assert [type(m).__name__ for m in converted.modules() if isinstance(m, state.NORMS)] == ["SyncBatchNorm"] * 2
    made = state.State(build(10), settings.model_copy(update={"sync_batchnorm": False}), torch.device("cpu"))
    assert made.forward is not made.net and made.forward._orig_mod is made.net
    assert {type(m).__name__ for m in made.norms} == {"BatchNorm2d"}


def test_frozen_only_the_head_changes(world):
    world.train(epochs=1)
    card = world.train(parent="1", epochs=1, freeze_backbone=True)
    before, after = (load_tensors(world.registry.weights(v)) for v in ("1", card.version))
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"9.weight", "9.bias"}
