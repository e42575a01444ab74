"""Labels judge both versions: two replicas, a shadow, labels over HTTP, and an evaluation that equals a count by hand."""

import json
from collections import Counter

from contract import ids
from contract.deciding import changes
from contract.registry import Registry
from contract.storage import open_root
from inference.overview.facts import Facts
from inference.pictures.detail import Details
from jobs import evaluate, lineage
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until
from tests.inference.shadow.test_shadow import rows_of, wait_for_shadow


def answer_and_judge(first, second):
    """24 pictures, one of them with the same id at both replicas; labels of most. Returns id -> label, and the id of both."""
    same, told = ids.uuid7(), {}
    for n in range(24):
        replica = second if n % 3 == 0 else first
        sent = IMAGE | ({"X-Prediction-Id": same} if n == 0 else {})
        answer = replica.post("/v1/predictions", content=picture(n), headers=sent).json()
        told[answer["prediction_id"]] = "abc"[n % 3] if n % 5 else None
    first.post("/v1/predictions", content=picture(0), headers=IMAGE | {"X-Prediction-Id": same})
    for id_, label in told.items():
        if label and id_ != same:
            said = first.post("/v1/labels", json={"prediction_id": id_, "label": label, "origin": "import"})
            assert said.status_code == 201, said.text
    return {id_: label for id_, label in told.items() if id_ != same}, same


def test_labels_judge_both_and_the_answer_stays_the_answer(tmp_root, tmp_path, capsys):
    for seed in (1, 2):
        publish_tiny(tmp_root, seed=seed)
    registry = Registry(open_root(tmp_root), "m")
    changes.set_alias(registry, "shadow", "1", by="ana", reason="to compare")  # version 1 sorts before 2, which is live
    with serving(tmp_root, tmp_path / "one") as first, serving(tmp_root, tmp_path / "two") as second:
        for client in (first, second):
            wait_for_shadow(client)
        told, same = answer_and_judge(first, second)
        until(lambda: sum(row["role"] == "shadow" for row in table_rows(tmp_root, "predictions")) == 25, 90)
        until(lambda: len(table_rows(tmp_root, "labels")) == sum(map(bool, told.values())))
        assert first.get("/v1/models").json()["models"][0]["aliases"] == {"shadow": "1"}
        assert "shadow</span>" in first.get("/models?model=m", headers={"Accept": "text/html"}).text
    assert evaluate.main(["--root", tmp_root, "--model", "m", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    live, shadow = rows_of(tmp_root, "live"), rows_of(tmp_root, "shadow")
    assert document["rows"]["predictions"] == 25 and document["rows"]["duplicate_predictions"] == 1
    (pair,) = document["evidence"]["shadow"]["pairs"]
    said = {id_: (live[id_]["predicted_label"], shadow[id_]["predicted_label"]) for id_ in live}
    assert (pair["live"], pair["shadow"], pair["rows"]) == ("2", "1", 24)
    assert pair["agree"] == sum(a == b for a, b in said.values())
    right = Counter((said[id_][0] == label, said[id_][1] == label) for id_, label in told.items() if label)
    found = pair["by_origin"]["import"]
    assert [found[name] for name in ("both", "only_live", "only_candidate", "neither")] == [
        right[True, True], right[True, False], right[False, True], right[False, False]]
    check_what_people_see(registry, document, next(id_ for id_ in told if told[id_]))
    assert evaluate.main(["--root", tmp_root, "--model", "m", "--role", "shadow", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["rows"]["duplicate_predictions"] == 1
    assert alone["versions"]["1"]["labelled"] == pair["labelled"] == sum(map(bool, told.values()))


def check_what_people_see(registry, document, id_):
    """The report and the overview say the same; a picture's page and its lineage show the answer, not the shadow beside it."""
    storage, day = registry.storage, ids.day_of(id_)
    sentence = document["evidence"]["shadow"]["sentence"]
    report = storage.read(f"evaluations/m/{document['id']}/report.html").decode()
    assert sentence in report and "The shadow against the live version" in report
    assert Facts(storage, None).describe("m")["shadow"] == sentence
    assert Details(storage).read_row("m", day, id_)["model_version"] == "2"
    assert lineage.trace_prediction(storage, id_)["prediction"]["model_version"] == "2"
