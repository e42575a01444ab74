"""A cycle with `promotion.how: canary`: it starts a canary, later ones carry it on; evaluate and gate are real."""

import json

import pytest

from contract.canary import changes
from contract.deciding.changes import set_alias
from contract.registry import Registry
from contract.runs import Runs
from contract.storage import open_storage
from pipeline import cycle
from tests.faults import AFTER, BEFORE, Died, Process, patched
from tests.pipeline.canary.test_commands import count, kinds
from tests.pipeline.roots import MODEL, make_root

pytestmark = pytest.mark.usefixtures("fake_stages")
SETTINGS = ("--set", "promotion.how=canary", "--set", "canary.seconds=0", "--set", "canary.answers=50", "--set",
            "canary.steps=[0.1, 0.5]", "--set", "cycle.takeover_seconds=0", "--set", "cycle.beat_seconds=3600")
GOOD = {"answers": 50, "compared": 50, "differ": 20}


@pytest.fixture
def registry(tmp_root):
    make_root(tmp_root, right=120, n=200)
    return Registry(open_storage(tmp_root), MODEL)


@pytest.fixture
def turn(capsys, tmp_root):
    def run(code=0):
        capsys.readouterr()
        found = cycle.main(["--root", tmp_root, "--model", MODEL, "--in-process", "--json", *SETTINGS])
        said = capsys.readouterr()
        assert found == code, said
        return json.loads(said.out)

    return run


def test_a_candidate_becomes_a_canary_and_later_cycles_make_it_live(registry, turn):
    made = turn()
    assert (made["status"], made["published"], registry.live()) == ("canary", None, "1")
    canary = changes.find_canary(registry)
    assert (canary.version, canary.share, canary.expected.n, canary.expected.differ) == ("2", 0.1, 167, 62)
    again = turn()
    assert (again["status"], again["candidate"]) == ("canary", None) and "0 of 50 answers" in again["sentence"]
    count(registry, _0=GOOD)
    assert turn()["status"] == "canary" and changes.find_canary(registry).step == 1
    count(registry, _0=GOOD, _1=GOOD)
    made = turn()
    assert (made["status"], made["published"], registry.live()) == ("published", "2", "2")
    assert kinds(registry) == ["canary started", "canary step", "canary promoted"]


def test_a_bad_canary_is_refused_by_the_cycle_and_nothing_retrains_before_new_labels(registry, turn):
    turn()
    count(registry, _0={"answers": 50, "errors": 25})
    made = turn(code=3)
    assert made["status"] == "refused" and "errors: 25 of 50 answers" in made["sentence"] and registry.live() == "1"
    assert turn(code=4)["candidate"] is None
    assert kinds(registry) == ["canary started", "canary withdrawn"]


@pytest.mark.parametrize("asked", [True, False])
def test_the_name_of_a_shadow_goes_with_a_candidate_that_had_to_hold_as_one(registry, turn, monkeypatch, asked):
    turn()
    set_alias(registry, "shadow", "2", by="cycle", reason="run digits/1")
    monkeypatch.setitem(globals(), "SETTINGS", (*SETTINGS, "--set", f"gates.shadow_labels={100 if asked else 0}"))
    count(registry, _0={"answers": 50, "errors": 25})
    assert turn(code=3)["status"] == "refused"
    assert registry.newest().state.aliases == ({} if asked else {"shadow": "2"})


def test_one_that_a_replica_withdrew_between_two_cycles_is_not_trained_again(registry, turn):
    turn()
    changes.withdraw(registry, changes.find_canary(registry), by="replica a", reason="errors: 9 of 9")
    assert turn(code=4)["candidate"] is None


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_cycle_that_dies_around_each_write_of_the_canary_goes_on_and_does_nothing_twice(registry, turn, tmp_root, monkeypatch,
                                                                                         begins, when):
    """The run that starts it, or the one that makes it live, dies once around each of its history record and what follows."""
    fatal = ("create models/digits/history/", "canary-start.json") if begins else (
        "create models/digits/history/", "/canary.json", "/publish.json")
    if not begins:
        monkeypatch.setitem(globals(), "SETTINGS", (*SETTINGS, "--set", "canary.steps=[0.5]"))
        turn()
        count(registry, _0=GOOD)
    for part in fatal:
        patched(monkeypatch, Process(lambda name, part=part: when if part in name else None))
        with pytest.raises(Died):
            cycle.main(["--root", tmp_root, "--model", MODEL, "--in-process", "--json", *SETTINGS])
    patched(monkeypatch, Process())
    made = turn()
    assert (made["status"], registry.live()) == (("canary", "1") if begins else ("published", "2"))
    assert kinds(registry) == ["canary started"] + ([] if begins else ["canary promoted"])
    runs = Runs(open_storage(tmp_root), MODEL)
    assert runs.newest().n == (1 if begins else 2)
