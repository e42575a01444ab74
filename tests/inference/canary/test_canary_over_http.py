"""A canary at two replicas of a real service, over HTTP: its share, the same everywhere, and no answer that fails by it."""

import hashlib
import json
from contextlib import ExitStack

import pytest

from contract import clock, ids
from contract.canary import changes
from contract.canary.documents import Bounds, load_counts, sum_counts
from inference import review
from jobs import evaluate
from tests.inference.labelling.test_audit_loop import audit
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

OWN = "tests.inference.canary.own_networks:"


@pytest.fixture
def replicas(tmp_root, tmp_path, registry):
    with ExitStack() as stack:
        yield [stack.enter_context(serving(tmp_root, tmp_path / f"outbox{n}")) for n in (0, 1)]


def begin(registry, version="2", share=0.5, **bounds):
    made = changes.start(registry, version, [share / 2, share], Bounds(**bounds), by="ana", reason="to try it")
    return made.record.state.canary


def described(replica):
    return replica.get("/v1/models").json()["models"][0]["canary"]


def ask(replica, id_, n=1):
    response = replica.post("/v1/predictions", content=picture(n), headers=IMAGE | {"X-Prediction-Id": id_})
    assert response.status_code == 200, response.text
    return response.json()["model_version"]


def routed(salt, id_, share):
    return int.from_bytes(hashlib.sha256((salt + id_).encode()).digest()[:8], "big") < share * 2**64


def test_a_share_is_answered_by_the_canary_the_same_at_both_replicas_and_logged_in_its_role(registry, replicas, tmp_root):
    canary = begin(registry)
    until(lambda: all((described(r) or {}).get("loaded") for r in replicas))
    assert {described(r)["share"] for r in replicas} == {0.25}
    assert replicas[0].get("/health/ready").json()["models"]["m"]["canary"]["version"] == "2"
    for share in (0.25, 0.5):
        asked = [ids.uuid7() for _ in range(40)]
        expected = {i: "2" if routed(canary.salt, i, share) else "1" for i in asked}
        assert [{i: ask(r, i) for i in asked} for r in replicas] == [expected, expected]
        if share == 0.25:
            canary = changes.step(registry, canary, by="ana", reason="well").record.state.canary
            until(lambda: all(described(r)["share"] == 0.5 for r in replicas))
    until(lambda: len(table_rows(tmp_root, "predictions")) == 160)
    rows = table_rows(tmp_root, "predictions")
    assert {(r["role"], r["model_version"]) for r in rows} == {("live", "1"), ("canary", "2")}

    def counted():
        return sum_counts(load_counts(registry.storage, "m", canary.salt))

    mine = sum(r["role"] == "canary" for r in rows)
    until(lambda: sum(c.answers for c in counted().values()) == mine)
    assert set(counted()) == {0, 1} and sum(c.errors for c in counted().values()) == 0
    until(lambda: sum(c.compared for c in counted().values()) > mine // 2)
    assert 'trueup_canary_share{model="m"} 0.5' in replicas[0].get("/metrics").text
    assert "Version 2 answers 50% of the predictions in place of version 1" in replicas[0].get("/overview").text
    assert "Version 2 answers 50% of the predictions in place of version 1" in replicas[0].get("/models").text
    changes.withdraw(registry, canary, by="ana", reason="enough")
    until(lambda: all(described(r) is None for r in replicas))
    assert {ask(replicas[0], ids.uuid7()) for _ in range(10)} == {"1"}


@pytest.mark.parametrize("how", ["hangs", *(pytest.param(how, marks=pytest.mark.slow("canary")) for how in
                                           ("raises", "exits", "gives_nan", "gives_another_shape"))])
def test_a_canary_that_fails_is_answered_for_withdrawn_and_never_seen(registry, replicas, tmp_root, how):
    version = publish_tiny(tmp_root, network=f"{OWN}build_{how}", weights=own_weights())
    registry.promote("1", by="test", reason="test", expected_live=version)
    begin(registry, version, deadline_seconds=0.2)
    until(lambda: all((described(r) or {}).get("loaded") for r in replicas))
    for _ in range(40):
        assert {ask(r, ids.uuid7()) for r in replicas} == {"1"}
    until(lambda: all(described(r) is None for r in replicas))
    end = registry.newest()
    assert end.change["kind"] == "canary withdrawn" and end.change["reason"].startswith("errors")
    assert {r["role"] for r in table_rows(tmp_root, "predictions")} <= {"live"}


def own_weights():
    import torch
    from safetensors.torch import save

    return save({"0.weight": torch.zeros(3, 3), "0.bias": torch.zeros(3)})


def test_its_rows_have_an_audit_and_figures_of_their_own(registry, replicas, tmp_root, capsys):
    begin(registry)
    until(lambda: all((described(r) or {}).get("loaded") for r in replicas))
    made = [replicas[n % 2].post("/v1/predictions", content=picture(n), headers=IMAGE).json() for n in range(60)]
    until(lambda: len(table_rows(tmp_root, "predictions")) == 60)
    mine = {a["prediction_id"] for a in made if a["model_version"] == "2"}
    day = clock.day_of(clock.now())
    assert review.main(["sample", "--root", tmp_root, "--model", "m", "--day", day, "--p", "1", "--role", "canary"]) == 0
    asked = {i for batch in iter(lambda: audit(replicas[0], "a", wanted=10), set()) for i in batch}
    assert asked == mine and 0 < len(mine) < 60
    until(lambda: len(table_rows(tmp_root, "labels")) == len(mine))
    capsys.readouterr()
    figures = {}
    for role in ("canary", "live"):
        assert evaluate.main(["--root", tmp_root, "--model", "m", "--role", role, "--no-report", "--json"]) == 0
        figures[role] = json.loads(capsys.readouterr().out)["versions"]
    assert (figures["canary"]["2"]["predictions"], figures["canary"]["2"]["labelled"]) == (len(mine), len(mine))
    assert (figures["live"]["1"]["predictions"], figures["live"]["1"]["labelled"]) == (60 - len(mine), 0)
    assert figures["canary"].keys() == {"2"} and figures["live"].keys() == {"1"}
    assert figures["canary"]["2"]["estimate"]["origin"] == "audit"
