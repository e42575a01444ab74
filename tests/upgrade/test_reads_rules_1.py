"""What this release does with every document of the release before, and what it says where it cannot judge."""

import json
import re
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from contract import jsonio, layout
from contract.counts_store import load_all
from contract.documents import manifest
from contract.errors import BadWeights, Mismatch
from contract.evaluations import newest, read_evaluation
from contract.records import LABEL
from contract.registry import Registry
from contract.rows.uncounted import list_uncounted
from contract.runs import Runs
from contract.storage import open_root
from inference.auth import NoAuth
from inference.live.model import LiveModel
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from inference.telemetry import Metrics
from jobs import evaluate
from metrics.judging.verdicts import COOLING
from pipeline import cli, cycle
from tests.inference.small_service import SmallService, application, serving
from tests.pipeline.conftest import fake_stages  # noqa: F401  (a fixture)
from tests.upgrade.of_rules_1 import DAYS, MODEL, ROWS, make_picture, stand_still, unpack

AGAIN = rf"expected counts by rules 2, got some by rules 1\. Evaluate again: trueup evaluate --model {MODEL}"
OLD = "20261111T000000Z-"


@pytest.fixture
def root(tmp_path, monkeypatch):
    stand_still(monkeypatch)
    return unpack(tmp_path)


def ask(capsys, root, *words, code=0):
    """A command's document."""
    verb = words[0].split()
    found = cli.main([*verb, "--root", root, *words[1:], "--json"])
    said = capsys.readouterr()
    assert found == code, said
    return json.loads(said.out)


def judge(capsys, root, code=3):
    ask(capsys, root, "evaluate", "--model", MODEL)
    return ask(capsys, root, "gate", "--model", MODEL, code=code)


def test_status_and_gate_say_to_evaluate_again(root, capsys):
    found = ask(capsys, root, "status")["models"][0]
    assert (found["live"], found["decision"], found["damaged"]) == ("2", None, [])
    assert re.search(AGAIN, found["other_rules"])
    assert cli.main(["gate", "--root", root, "--model", MODEL]) == 1
    assert re.search(AGAIN, capsys.readouterr().err)
    assert cli.main(["status", "--root", root]) == 0
    assert re.search(rf"{MODEL}: no verdict by today's rules: .*{AGAIN}", capsys.readouterr().out)
    judge(capsys, root, code=4)
    assert ask(capsys, root, "status")["models"][0]["other_rules"] is None


def test_counting_again_gives_the_same_figures_once(root, capsys):
    storage = open_root(root)
    before = read_evaluation(storage, MODEL, newest(storage, MODEL))
    counted = {entry.key: entry.etag for entry in storage.list("counts/")}
    made = ask(capsys, root, "evaluate", "--model", MODEL, "--from", before["window"]["from"])
    assert (before["rules"], made["rules"]) == ("1", "2")
    for name in ("predictions", "labelled", "split", "accuracy", "confusion"):
        assert made["versions"]["1"][name] == before["versions"]["1"][name], name
    assert {k: n for k, n in made["rows"].items() if n} == {k: n for k, n in before["rows"].items() if n}
    after = {entry.key: entry.etag for entry in storage.list("counts/")}
    assert after.items() > counted.items() and len([k for k in after if k.endswith(".json")]) == 2 * len(DAYS)
    ask(capsys, root, "evaluate", "--model", MODEL)
    assert {entry.key: entry.etag for entry in storage.list("counts/")} == after


def test_the_gate_compares_with_an_attempt_that_the_release_before_judged(root, capsys):
    """Its counts lack columns of today; how many labels it had is known all the same, and none came since."""
    assert cli.main(["rollback", "--root", root, "--model", MODEL, "--by", "me", "--untried"]) == 0
    capsys.readouterr()
    found = judge(capsys, root)
    assert found["retrain"] | {"needed_labels": None, "spent": 0} == found["retrain"] | {
        "fires": False, "further_labels": 0, "needed_labels": None, "spent": 0}
    assert found["retrain"]["reason"] == COOLING


@pytest.mark.parametrize("words, expected", [
    (("model list",), f'"{MODEL}"'), (("model history", "--model", MODEL), "On 19 held-out rows"),
    (("model show", "--model", MODEL, "1"), '"blue"'), (("lineage", "--model", MODEL, "--version", "2"), '"ana"'),
    (("report", "--model", MODEL), "report.html"), (("config",), "evaluate")])
def test_what_only_shows_goes_on(root, capsys, words, expected):
    assert expected in json.dumps(ask(capsys, root, *words))


def test_pages_show_the_old_evaluations(root):
    service = SmallService(root)
    service.default_model = MODEL
    with (serving(application(service, NoAuth())) as address,
          httpx.Client(base_url=address, headers={"Accept": "text/html"}, follow_redirects=True) as web):
        shown = {page: web.get(f"{page}?model={MODEL}") for page in ("/reports", "/models", "/audit")}
    assert {page: answer.status_code for page, answer in shown.items()} == dict.fromkeys(shown, 200)
    assert re.search(AGAIN, shown["/reports"].text) and OLD in shown["/reports"].text
    assert "On 19 held-out rows" in shown["/models"].text


def test_the_service_takes_its_version_over_and_ships_its_outbox(root, tmp_path):
    storage = open_root(root)
    live = LiveModel(storage, MODEL, 2, Metrics(), "cpu")
    live.follow_live()
    assert (live.version, live.refused) == ("2", None)
    predictor = live.predictor
    answer = predictor.probabilities(predictor.stack([predictor.prepare(make_picture("red", 5))]))
    assert predictor.top(answer[0], 1)[0][0] == "red"
    box = Outbox(tmp_path / "outbox", storage.root, 1 << 20)
    cut = box.list_cuts()[0]
    assert Shipper(box, storage, 900, 1 << 20, lambda *said, **more: print(said, more)).ship(everything=True)
    assert box.measure_depth().rows == 0
    assert pq.read_table(Path(root, layout.row_file("predictions", cut.day, box.writer, cut.first, cut.last))).num_rows == 1
    labels = next(e.key for e in storage.list(layout.day_folder("labels", cut.day)) if box.writer in e.key)
    assert pq.read_schema(Path(root, labels)).names == LABEL.names  # with the columns that are new
    box.close()


def reopen(root, first_missing):
    """The run of the release before, left after the stages before `first_missing`."""
    storage, order = open_root(root), ("evaluate", "gate", "dataset", "train", "assess", "promotion", "publish")
    for stage in order[order.index(first_missing):]:
        storage.delete(layout.stage(MODEL, 1, stage))
    storage.delete(layout.run_end(MODEL, 1))
    storage.delete(layout.history(MODEL).format(2))
    for entry in storage.list(f"{layout.versions(MODEL)}2/"):
        storage.delete(entry.key)
    registry = Registry(storage, MODEL)
    registry.publish_copy()
    return Runs(storage, MODEL)


@pytest.mark.parametrize("first_missing", ["gate", "dataset"])
def test_a_run_that_the_release_before_left_is_carried_on(root, capsys, first_missing, fake_stages):  # noqa: F811
    runs = reopen(root, first_missing)
    found = cycle.main(["--root", root, "--model", MODEL, "--in-process", "--json", "--set", "cycle.takeover_seconds=0"])
    said = capsys.readouterr()
    assert found == 0, said
    end = json.loads(said.out)
    assert (end["run"], end["status"]) == (f"{MODEL}/1", "published")
    judged = read_evaluation(runs.storage, MODEL, end["stages"]["gate"]["evaluation"])
    # An evaluation that no gate has judged is made again; what was judged stands.
    assert judged["rules"] == ("2" if first_missing == "gate" else "1")
    assert ("again: counted by rules 1" in said.err) == (first_missing == "gate")


def test_datasets_and_samples_are_read(root):
    storage = open_root(root)
    made = manifest.load(storage, storage.folders("datasets/")[0])
    assert made.holdout_sources is None and made.files and all(storage.exists(file.key) for file in made.files)
    assert len(storage.folders(layout.samples(MODEL))) == 1


def test_a_record_of_the_release_before_loses_no_hash_of_a_card(root):
    """It writes the state as it knows it, without `cards`; a card that was changed meanwhile is refused all the same."""
    storage, registry = open_root(root), Registry(open_root(root), MODEL)
    registry.promote("1", by="new", reason="r", expected_live="2")
    record = jsonio.loads(storage.read(layout.history(MODEL).format(3)))
    state = {name: value for name, value in record["state"].items() if name != "cards"}
    storage.create(layout.history(MODEL).format(4), jsonio.dumps(record | {"seq": 4, "state": state}))
    fresh = Registry(storage, MODEL)
    fresh.load("1")
    fresh.promote("2", by="new", reason="r", expected_live="1")
    assert sorted(fresh.newest().state.cards) == ["1", "2"]
    card = jsonio.loads(storage.read(layout.card(MODEL, "1")))
    storage.put(layout.card(MODEL, "1"), jsonio.dumps(card | {"classes": ["red", "blue"]}))
    with pytest.raises(BadWeights, match="was changed after it was made live"):
        Registry(storage, MODEL).load("1")


def test_what_a_newer_release_added_to_the_state_goes_on(root):
    storage = open_root(root)
    record = jsonio.loads(storage.read(layout.history(MODEL).format(2)))
    record["state"]["weather"] = {"version": "1", "share": 0.1}
    storage.create(layout.history(MODEL).format(3), jsonio.dumps(record | {"seq": 3}))
    Registry(storage, MODEL).promote("1", by="me", reason="r", expected_live="2")
    after = jsonio.loads(storage.read(layout.history(MODEL).format(4)))["state"]
    assert after["weather"] == {"version": "1", "share": 0.1} and after["live"] == "1"


def test_rules_of_a_newer_release_are_not_said_to_be_old(root):
    storage = open_root(root)
    evaluation = read_evaluation(storage, MODEL, newest(storage, MODEL)) | {"rules": "3"}
    with pytest.raises(Mismatch, match=r"got some by rules 3\. A newer release of Trueup wrote it: update this one"):
        load_all(storage, evaluation)


def test_it_is_counted_where_it_fits(root, capsys):
    """The driver of a cluster measures what an evaluation would count: counts by other rules are none."""
    storage = open_root(root)
    found = list(list_uncounted(storage, MODEL))
    assert [(f.day, f.rules, f.rows) for f in found] == [(day, "1", 2 * ROWS - 2) for day in DAYS]
    assert all(f.bytes > 1000 for f in found)
    assert evaluate.main(["--root", root, "--model", MODEL]) == 0
    assert list(list_uncounted(storage, MODEL)) == []
    capsys.readouterr()
