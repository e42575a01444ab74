"""Labels that another model gave in bulk: imported with their pictures, checked class by class, judged, accepted in part."""

import asyncio
import csv
import json
from datetime import timedelta

import pytest

from contract import clock
from contract.storage import open_root
from inference import review
from inference.keys import KeyRing
from inference.labelling.judgements import make_label_row
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from jobs import evaluate, import_table
from jobs.accepting import command as accepted
from tests.inference.asgi import ask
from tests.inference.serving import table_rows
from tests.inference.small_service import SmallService, application, picture

MODEL, CLASSES, N = "vendor", ("bolt", "nut", "washer"), 300
DAY = clock.day_of(clock.now() - timedelta(days=2))


class Shipping(SmallService):
    """Makes judgements rows, and ships them, as the service does."""

    def __init__(self, root, folder):
        super().__init__(root)
        self.outbox = Outbox(folder, self.storage.root, 1 << 28)
        self.shipper = Shipper(self.outbox, self.storage, 1, 1 << 20, lambda *_, **__: None)

    async def label(self, judgements, *, strategy=None, selection_probability=None, day=None, **said):
        rows = [make_label_row(j, "label", now=clock.now(), oldest=timedelta(days=400), day=day, **said)
                | {"strategy": strategy, "selection_probability": selection_probability} for j in judgements]
        await self.outbox.append_labels(rows, day)
        return [row["label_id"] for row in rows]


def name(i):
    return f"scan {i:04d}.png"


def truth(i):
    """The sure ones (two of three) are wrong once in 50, the others every second time."""
    wrong = i % 150 == 1 if i % 3 < 2 else i % 2 == 0
    return CLASSES[(i // 3 + wrong) % 3]


@pytest.fixture(scope="module")
def brought(tmp_path_factory):
    """A root with the 300 answers of a vendor's model, whose ids are names of files, and their pictures."""
    folder = tmp_path_factory.mktemp("vendor")
    (folder / "pictures").mkdir()
    rows = ["prediction_id,predicted_at,predicted_label,confidence"]
    for i in range(N):
        (folder / "pictures" / name(i)).write_bytes(picture(i))
        rows.append(f"{name(i)},{DAY}T10:00:00Z,{CLASSES[i // 3 % 3]},{0.97 if i % 3 < 2 else 0.62}")
    (folder / "answers.csv").write_text("\n".join(rows))
    root = str(folder / "root")
    assert import_table.main(["predictions", str(folder / "answers.csv"), "--root", root, "--model", MODEL, "--model-version", "7",
                              "--role", "batch", "--images", str(folder / "pictures")]) == 0
    return folder, root


def run(command, capsys, *arguments, code=0):
    capsys.readouterr()
    assert command([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def answer_all(service, token, kind, **query):
    """A labeler answers all that waits, by the truth; returns the ids by the label that a batch's items got."""
    app, head = application(service, KeyRing(service.storage)), [(b"authorization", b"Bearer " + token.encode())]
    asked = {}
    where = "&".join(f"{k}={v}" for k, v in {"format": "json", "size": 200, "model": MODEL, **query}.items())
    while (batch := asyncio.run(ask(app, "GET", f"/{kind}?{where}".encode(), head)).json())["batch"]:
        ids = [item["prediction_id"] for item in batch["items"]]
        asked.setdefault(batch.get("predicted"), []).extend(ids)
        answers = [{"prediction_id": i, "label": truth(int(i[5:9]))} for i in ids]
        body = {k: batch[k] for k in ("model", "day", "of", "batch") if k in batch} | {"answers": answers}
        posted = asyncio.run(ask(app, "POST", f"/{kind}".encode(), [*head, (b"content-type", b"application/json")],
                                 json.dumps(body).encode()))
        assert (posted.status, posted.json()) == (201, {"accepted": len(ids)})
        assert batch["classes"] == [] or set(batch["classes"]) == set(CLASSES)
        shown = asyncio.run(ask(app, "GET", batch["items"][0]["image"].encode(), head))
        assert shown.status == 200 and shown.headers["content-type"] == ["image/png"]
    assert service.shipper.ship(everything=True)
    return asked


def test_a_vendors_labels_are_checked_judged_and_accepted_in_part(brought, tmp_path, capsys):
    folder, root = brought
    service = Shipping(root, tmp_path / "outbox")
    token = KeyRing(service.storage).add("ada", ["label"])
    drawn = run(review.main, capsys, "sample", "--root", root, "--model", MODEL, "--role", "batch", "--kind", "review",
                "--strategy", "by-class", "--items", 150, "--salt", "s")
    assert (drawn["role"], drawn["day"], len(drawn["p"])) == ("batch", DAY, 6)

    asked = answer_all(service, token, "review")
    assert set(asked) == set(CLASSES) and 110 < sum(map(len, asked.values())) < 190  # class by class, about 150 of 300
    document = run(evaluate.main, capsys, "--root", root, "--model", MODEL, "--role", "batch")
    judged = document["versions"]["7"]
    right = sum(truth(i) == CLASSES[i // 3 % 3] for i in range(N)) / N
    estimate = judged["estimate"]
    assert estimate["origin"] == "review" and estimate["unbiased"] and estimate["low"] < right < estimate["high"]
    thresholds = {row["predicted"]: row["threshold"] for row in judged["confidence_thresholds"]}
    assert set(thresholds) == set(CLASSES) and all(0.65 <= at <= 0.95 for at in thresholds.values())

    evaluation = open_root(root).folders(f"evaluations/{MODEL}/")[-1]
    out = tmp_path / "labels.csv"
    found = run(accepted.main, capsys, "--root", root, "--model", MODEL, "--evaluation", evaluation, "--out", out,
                "--folder", tmp_path / "classes")
    people = sum(map(len, asked.values()))
    assert found["labels"]["people"] == people and found["measured"]["accepted"] == 200
    assert found["measured"]["accuracy"]["value"] > 0.9 and found["measured"]["share"] == 200 / N
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {r["labelled_by"] for r in rows} == {"people", f"model:{MODEL}"} and len(rows) == N - found["labels"]["unlabelled"]
    assert all(r["label"] == truth(int(r["prediction_id"][5:9])) for r in rows if r["labelled_by"] == "people")
    assert len(list((tmp_path / "classes").rglob("*.png"))) == len(rows) == len({r["image_sha256"] for r in rows})

    rest = run(review.main, capsys, "sample", "--root", root, "--model", MODEL, "--role", "import", "--below-thresholds", evaluation)
    assert rest["below"] == thresholds and rest["strategy"] == "below-thresholds"
    left = answer_all(service, token, "review", of="batch-rest")
    assert sum(map(len, left.values())) == found["labels"]["unlabelled"]  # what is neither accepted nor asked about before
    again = run(evaluate.main, capsys, "--root", root, "--model", MODEL, "--role", "batch")["versions"]["7"]
    assert again["labelled"] == people + found["labels"]["unlabelled"]
    assert {k: v for k, v in again["estimate"].items() if k != "rests_on"} == {k: v for k, v in estimate.items() if k != "rests_on"}
    assert {r["label"] for r in table_rows(root, "labels")} <= set(CLASSES)
    assert {r["labeler"] for r in table_rows(root, "labels")} == {token.partition(".")[0]}  # no machine is a labeler


@pytest.mark.parametrize(("options", "said"), [
    (["--role", "live"], "no predictions of role live"), (["--role", "import", "--day", "2026-11-01"], "got none"),
    (["--role", "batch", "--day", DAY, "--from", DAY], "got both")])
def test_a_sample_of_nothing_says_what_there_is(brought, capsys, options, said):
    assert review.main(["sample", "--root", brought[1], "--model", MODEL, "--p", "0.5", *options]) != 0
    assert said in capsys.readouterr().err


def test_an_audit_asks_blind_about_a_vendors_labels(brought, tmp_path, capsys):
    root = brought[1]
    service = Shipping(root, tmp_path / "outbox")
    token = KeyRing(service.storage).add("bob", ["label"])
    run(review.main, capsys, "sample", "--root", root, "--model", MODEL, "--role", "batch", "--p", 0.1, "--salt", "b")
    asked = answer_all(service, token, "audit")
    rows = [r for r in table_rows(root, "labels") if r["origin"] == "audit"]
    assert list(asked) == [None] and {r["prediction_id"] for r in rows} == set(asked[None])
    assert {(r["saw_prediction"], r["selection_probability"]) for r in rows} == {(False, 0.1)}
    assert run(evaluate.main, capsys, "--root", root, "--model", MODEL, "--role", "batch")["versions"]["7"]["estimate"][
        "origin"] == "audit"
