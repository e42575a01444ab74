"""`trueup tune` with real trainings of a tiny network: what trials touch, what they leave, and the candidate at the end."""

import json
import re
import sys

import pytest

from contract import layout
from contract.documents import manifest
from contract.errors import NoSuchModel, UsageError
from contract.tuning.documents import Tuning
from inference.model import preprocess
from tests.training.conftest import NETWORK
from tests.training.test_opened import opened
from tests.training.tuning.conftest import make_search
from training import assess, assess_text
from training import tune as module
from training.train import find_parent
from training.train import main as train_main
from training.tuning import search, summary

SPACE = "tune.space={lr: [0.02, 0.00001], label_smoothing: {low: 0, high: 0.2}}"
COMMON = ["--epochs", "2", "--set", "train.batch=16", "--set", "train.threads=1", "--set", "train.epochs=3",
          "--set", "train.launcher=process", "--set", "tune.points=2", "--set", "tune.pruner=none", "--set", SPACE]
FIRST = ["--parent", "none", "--network", NETWORK, "--size", "32"]


def tune(world, *more, capsys):
    """Runs the command; its exit code and its document."""
    code = module.main(["--root", world.root, "--model", "digits", "--dataset", world.made.dataset, *COMMON, *more, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: inotify is Linux's")
def test_a_grid_of_real_trainings(world, capsys, monkeypatch):
    decoded = []
    monkeypatch.setattr(preprocess, "decode_and_resize", counting(preprocess.decode_and_resize, decoded))
    holdout = world.storage.path(world.made.split("holdout")[0].key).parent
    with opened(holdout) as names:
        code, document = tune(world, *FIRST, "--sampler", "grid", capsys=capsys)
    assert names == [], "the holdout stays closed"
    assert code == 0 and [one["state"] for one in document["trials"]] == ["completed"] * 4
    configs = {(one["config"]["lr"], one["config"]["label_smoothing"]) for one in document["trials"]}
    assert configs == {(0.02, 0.0), (0.02, 0.2), (0.00001, 0.0), (0.00001, 0.2)}
    best = document["trials"][document["best"] - 1]
    assert best["config"]["lr"] == 0.02 and best["value"] == min(one["value"] for one in document["trials"])
    assert [e["epoch"] for e in best["epochs"]] == [1, 2] and best["value"] == best["epochs"][-1]["loss"]
    # Trials claim no number, write no version, and leave no weights behind.
    assert world.registry.newest_claim() == 0
    kept = [e.key for e in world.storage.list(layout.models())]
    assert kept and not [key for key in kept if "/tunings/" not in key or key.endswith(".safetensors")]
    rows = world.made.rows["train"] + world.made.rows["validation"]
    assert len(decoded) == rows, "each picture was decoded once for all trials"
    page = world.storage.read(layout.tuning_page("digits", document["study"])).decode()
    assert page.count("<circle") >= 4 * 4 and "trial 4:" in page and "best" in page
    # The same command again has nothing left to do.
    assert tune(world, *FIRST, "--sampler", "grid", capsys=capsys)[1]["trials"] == document["trials"] and len(decoded) == rows


@pytest.mark.parametrize(("more", "expected"), [
    ([], {}), (["--train"], {"spark.dynamicAllocation.enabled": "false", "spark.master": "local[3]"}),
    (["--train", "--spark-conf", "spark.master=local[9]", "--spark-conf", "spark.dynamicAllocation.enabled=true"],
     {"spark.dynamicAllocation.enabled": "true", "spark.master": "local[9]"})])
def test_the_spark_of_trials_has_what_ranks_need_where_they_follow(world, monkeypatch, more, expected):
    """Ranks start together, which Spark refuses where executors come and go; and its settings cannot be changed then."""
    asked = []

    def stop(storage, search, settings, conf):
        asked.append(dict(conf))
        raise NoSuchModel("enough")

    monkeypatch.setattr(search, "tune", stop)
    arguments = ["--root", world.root, "--model", "digits", "--dataset", world.made.dataset, *COMMON, *FIRST]
    arguments += ["--launcher", "spark", "--parallel", "1", "--set", "train.ranks=3"]
    assert module.main([*arguments, *more]) == 1
    assert asked == [expected]


def counting(function, calls):
    def counted(*arguments, **named):
        calls.append(1)
        return function(*arguments, **named)

    return counted


def test_a_trial_is_the_training_that_train_does(world, capsys):
    _, document = tune(world, *FIRST, "--sampler", "random", "--trials", "1", capsys=capsys)
    (trial,) = document["trials"]
    card = world.train(epochs=2, threads=1, **trial["config"])
    history = [{"epoch": e["epoch"]} | {k: e["validation"][k] for k in ("loss", "accuracy")} for e in card.metrics["epochs"]]
    assert trial["epochs"] == history


def test_the_best_is_trained_in_full_and_assessed(world, capsys, monkeypatch):
    live = world.train(epochs=1)
    asked = []
    monkeypatch.setattr(assess, "assess", lambda *a: asked.append(a[2:]) or {"rows": 30})
    monkeypatch.setattr(assess, "judge", lambda settings, found, registry: {"compared": "better"})
    monkeypatch.setattr(assess_text, "write_text", lambda found: "30 held-out rows")
    more = ["--parent", live.version, "--sampler", "random", "--trials", "2", "--train"]
    code, document = tune(world, *more, capsys=capsys)
    card = world.registry.card(document["candidate"])
    best = document["trials"][document["best"] - 1]
    assert code == 0 and (card.version, card.parent, asked) == ("2", live.version, [("2", "1")])
    assert document["assessment"] == {"rows": 30, "judged": {"compared": "better"}}
    assert len(card.metrics["epochs"]) == 3 and {k: card.settings[k] for k in best["config"]} == best["config"]
    assert Tuning.load(world.storage, layout.tuning("digits", document["study"], "tuning")).candidate == "2"
    # Done again it is found again.
    assert tune(world, *more, capsys=capsys)[1]["candidate"] == "2" and world.registry.newest_claim() == 2


def test_what_is_printed_trains_the_best(world, capsys):
    module.main(["--root", world.root, "--model", "digits", "--dataset", world.made.dataset, *COMMON, *FIRST, "--trials", "2",
                 "--sampler", "random", "--grey", "--levels", "0,4095"])
    text = capsys.readouterr().out
    (line,) = re.findall(r"trueup train (.+)", text)
    options = ["--root", world.root, *line.split(), "--launcher", "process", "--epochs", "1", "--set", "train.batch=16"]
    assert train_main(options) == 0
    study = next(iter(world.storage.folders(layout.tunings("digits"))))
    found = Tuning.load(world.storage, layout.tuning("digits", study, "tuning"))
    best = found.find(found.best).config
    card = world.registry.card("1")
    assert {name: card.settings[name] for name in best} == best
    look = card.preprocess
    assert (card.network, look.crop, look.grey, look.levels) == (NETWORK, 32, True, [0, 4095])
    assert "page: file://" in text and f"lr: {json.dumps(best['lr'])}" in text
    rows = text.splitlines()
    assert len([row for row in rows if re.match(r"\s*\d+\s+completed", row)]) == 2


def test_nothing_completed_cannot_be_told(world, capsys):
    code, document = tune(world, *FIRST, "--budget", "0.000001", capsys=capsys)
    assert (code, document["best"], document["options"]) == (4, None, None)
    assert [one["state"] for one in document["trials"]] == ["stopped"] and len(document["trials"][0]["epochs"]) == 1


@pytest.mark.parametrize(("more", "said"), [
    ([*FIRST[:2], "--network", "nonsense"], "nonsense"), ([*FIRST, "--set", "tune.space={augment: [none, heavy]}"], "heavy"),
    ([*FIRST, "--set", "tune.space={lr: [1, 2]}", "--set", "tune.sampler=guess"], "tune.sampler"),
    (["--parent", "1", "--size", "32"], "--size, --grey and --levels"), (["--parent", "1", "--network", NETWORK], "--network"),
    (["--parent", "1", "--set", "tune.networks=[resnet18, resnet34]"], "--network"),
    (["--parent", "1", "--set", "train.unfreeze_share=0.5", "--set", "tune.space={freeze_backbone: [false, true]}"],
     "trials that freeze in one way")])
def test_what_cannot_be_trained_is_refused_before_a_trial(world, capsys, more, said):
    world.train(epochs=1)
    code, document = tune(world, *more, capsys=capsys)
    assert code == 2 and said in document["error"]["message"]
    assert not list(world.storage.list(layout.tunings("digits")))


def test_without_a_live_version_a_parent_is_named(world):
    with pytest.raises(NoSuchModel, match="--parent none"):
        find_parent(world.registry, None)


def test_an_erased_dataset_is_not_searched_on(world, monkeypatch):
    erased = world.made.model_copy(update={"erased": ["ab"]})
    monkeypatch.setattr(manifest, "load", lambda storage, dataset: erased)
    with pytest.raises(UsageError, match="were erased"):
        search.make_search(world.storage, world.registry, world.settings(), "x", None)


def test_without_optuna_it_says_what_to_install(world, monkeypatch):
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"trueup\[tune\]"):
        search.make_search(world.storage, world.registry, world.settings(), world.made.dataset, None)


def test_several_networks_are_tried(world, capsys):
    networks = "tune.networks=[tests.training.tiny:build, tests.training.tuning.narrow:build]"
    code, document = tune(world, "--parent", "none", "--size", "32", "--sampler", "grid", "--trials", "99", "--set", networks,
                          "--set", "tune.space={lr: [0.02]}", capsys=capsys)
    assert code == 0 and {one["config"]["network"] for one in document["trials"]} == {
        "tests.training.tiny:build", "tests.training.tuning.narrow:build"}
    assert "--network tests.training" in document["options"]


@pytest.mark.slow("spark")
def test_trials_side_by_side_on_spark(world, capsys):
    code, document = tune(world, *FIRST, "--sampler", "grid", "--launcher", "spark", "--parallel", "2", capsys=capsys)
    assert code == 0 and [(one["state"], one["attempts"]) for one in document["trials"]] == [("completed", 1)] * 4
    alone = tune(world, *FIRST, "--sampler", "grid", "--set", "tune.sampler_seed=2", capsys=capsys)[1]
    values = [{json.dumps(one["config"], sort_keys=True): one["value"] for one in found["trials"]} for found in (document, alone)]
    assert values[0] == values[1], "where a trial runs changes nothing"
    assert document["study"] != alone["study"]


def test_the_table_has_the_best_first_and_says_what_failed():
    trials = [{"trial": n, "state": state, "config": {"lr": 0.1}, "epochs": [], "value": value, "seconds": 1.0, "attempts": 1}
              for n, state, value in ((1, "completed", 0.5), (2, "failed", None), (3, "completed", 0.25), (4, "pruned", 0.1))]
    made = make_search(space={"lr": [0.1, 1.0]})
    tuning = Tuning(study=made.id, search=made, at="2026-11-20T00:00:00Z", trials=trials, best=3, importance=None,
                    seconds=4.0)
    assert [line.split()[0] for line in summary.write_table(tuning).splitlines()[1:]] == ["3", "1", "2", "4"]
    assert "2 completed, 1 failed, 1 pruned" in summary.write_summary(tuning)
