"""A running service takes thresholds over at its poll, says accept or review, and logs what it said."""

import json
import signal

import httpx
import pytest

from contract import clock, ids
from contract.accepting.thresholds import Thresholds
from contract.deciding.thresholds import accept_thresholds, clear_thresholds
from contract.documents.history import ThresholdsOf
from contract.registry import Registry
from contract.storage import open_root
from inference.live.deciding import decide
from pipeline import model
from tests.figures import cell, day, document
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, ServiceProcess, serving, table_rows, until


def accept(registry, at, version):
    of = ThresholdsOf(version=version, evaluation="e", first="2026-11-01", last="2026-11-07")
    return accept_thresholds(registry, at, of, by="ana", reason="test")


def ask(client, n=0, **headers):
    answer = client.post("/v1/predictions", content=picture(n), headers=IMAGE | headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for(client, decision, n=0):
    until(lambda: ask(client, n).get("decision") == decision)


def test_without_thresholds_an_answer_says_nothing_more():
    answer, row = {"prediction_id": "p"}, {"model_version": "1", "predicted_label": "a", "confidence": 0.9}
    decide(None, answer, row)
    assert answer == {"prediction_id": "p"} and "decision" not in row
    decide(Thresholds("1", {"a": 0.9}), answer, row)
    assert answer["decision"] == row["decision"] == "accept"


@pytest.fixture
def registry(tmp_root):
    publish_tiny(tmp_root)
    return Registry(open_root(tmp_root), "m")


def test_answers_say_accept_or_review_and_rows_keep_it(registry, tmp_root, tmp_path):
    """Through acceptance, a promotion, a rollback and the end of it."""
    mine = ids.uuid7(clock.now())
    with serving(tmp_root, tmp_path / "outbox") as client:
        plain = ask(client, **{"X-Prediction-Id": mine})
        assert "decision" not in plain
        top = plain["predictions"][0]
        accept(registry, {top["label"]: 0.05 * int(top["probability"] / 0.05)}, "1")
        wait_for(client, "accept")
        assert ask(client, **{"X-Prediction-Id": mine}) == plain  # the stored answer
        accept(registry, {"another class": 0.0}, "1")
        wait_for(client, "review")
        accept(registry, {top["label"]: 0.0}, "1")
        wait_for(client, "accept")
        publish_tiny(tmp_root, seed=1)  # the same weights, and another version
        until(lambda: ask(client)["model_version"] == "2")
        assert ask(client)["decision"] == "review"
        registry.promote("1", by="ana", reason="back", expected_live="2")
        until(lambda: ask(client)["model_version"] == "1")
        assert ask(client)["decision"] == "accept"
        clear_thresholds(registry, by="ana", reason="no more")
        wait_for(client, None)
    rows = table_rows(tmp_root, "predictions")
    by_version = {(row["model_version"], row["decision"]) for row in rows}
    assert by_version == {("1", None), ("1", "accept"), ("1", "review"), ("2", "review")}
    assert [row["decision"] for row in rows if row["prediction_id"] == mine] == [None]


@pytest.mark.slow("accept")
def test_a_real_process_takes_over_what_the_command_accepts(registry, tmp_root, tmp_path, capsys):
    """`trueup model thresholds accept` of an evaluation that lies in the root; the process is asked by HTTP."""
    name = write_evaluation(registry.storage)
    with (ServiceProcess(tmp_root, tmp_path, "--no-auth", "--set", "serve.poll_seconds=0.1") as service,
          httpx.Client(base_url=service.url(), timeout=30) as client):
        assert "decision" not in ask(client)
        options = ["--root", tmp_root, "--model", "m", "--by", "ana", "--json"]
        assert model.main(["thresholds", "accept", name, *options]) == 0
        made = json.loads(capsys.readouterr().out)
        assert made["state"]["thresholds"] == {"a": 0.0, "b": 0.0, "c": 0.0}
        assert made["state"]["thresholds_of"] == {"version": "1", "evaluation": name, "first": "2026-11-20",
                                                  "last": "2026-11-20", "target": None}
        wait_for(client, "accept")
        assert model.main(["thresholds", "clear", *options]) == 0
        wait_for(client, None)
        assert service.end(signal.SIGTERM) == 0


def write_evaluation(storage):
    """An evaluation of version 1 by which every answer of a, b and c may pass."""
    from jobs.count_window import write
    from metrics.window import WindowCounts

    counts = day([cell(name, name, 0.01, "audit", n=50) for name in "abc"])
    return write(storage, document(counts), WindowCounts.of([counts]), {}).rstrip("/").rpartition("/")[2]
