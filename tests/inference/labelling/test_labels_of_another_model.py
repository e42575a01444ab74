"""Labels that another model gave in bulk: imported with their pictures, checked class by class, judged, accepted in part."""

import asyncio
import csv
import json
import shlex
from collections import Counter
from contextlib import chdir
from datetime import timedelta
from pathlib import Path

import pytest

from contract import clock, layout
from contract.storage import open_root
from inference import review
from inference.keys import KeyRing
from inference.labelling.judgements import make_label_row
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from jobs.imports.pictures import look_at
from pipeline import cli
from tests.inference.asgi import ask
from tests.inference.serving import table_rows
from tests.inference.small_service import SmallService, application, picture

PAGE = Path(__file__).resolve().parents[3] / "docs" / "labels-of-another-model.md"
COMMANDS = [shlex.split(line)[1:] for line in PAGE.read_text().splitlines() if line.startswith("trueup ")]
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
    """A folder with the 300 answers of a vendor's model, whose ids are names of files, and their pictures; its root."""
    folder = tmp_path_factory.mktemp("vendor")
    (folder / "pictures").mkdir()
    rows = ["prediction_id,predicted_at,predicted_label,confidence"]
    for i in range(N):
        (folder / "pictures" / name(i)).write_bytes(picture(i))
        rows.append(f"{name(i)},{DAY}T10:00:00Z,{CLASSES[i // 3 % 3]},{0.97 if i % 3 < 2 else 0.62}")
    (folder / "answers.csv").write_text("\n".join(rows))
    with chdir(folder):
        assert cli.main([*COMMANDS[0], "--root", str(folder / "root")]) == 0
    return folder, str(folder / "root")


def run(capsys, root, command, *more):
    """Runs a command of the page; returns its document."""
    capsys.readouterr()
    assert cli.main([*command, "--root", root, *map(str, more), "--json"]) == 0
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


def test_a_vendors_labels_are_checked_judged_and_accepted_in_part(brought, tmp_path, capsys, monkeypatch):
    folder, root = brought
    monkeypatch.chdir(tmp_path)
    service = Shipping(root, tmp_path / "outbox")
    token = KeyRing(service.storage).add("ada", ["label"])
    _, sample, _, evaluate, accept, ask_rest = COMMANDS
    drawn = run(capsys, root, sample, "--salt", "s")
    assert (drawn["role"], drawn["day"], len(drawn["p"])) == ("batch", DAY, 6)

    asked = answer_all(service, token, "review")
    people = sum(map(len, asked.values()))
    assert set(asked) == set(CLASSES) and 110 < people < 190  # class by class, about 150 of 300
    judged = run(capsys, root, evaluate)["versions"]["7"]
    right = sum(truth(i) == CLASSES[i // 3 % 3] for i in range(N)) / N
    estimate = judged["estimate"]
    assert estimate["origin"] == "review" and estimate["unbiased"] and estimate["low"] < right < estimate["high"]
    thresholds = {row["predicted"]: row["threshold"] for row in judged["confidence_thresholds"]}
    assert set(thresholds) == set(CLASSES) and all(0.65 <= at <= 0.95 for at in thresholds.values())

    evaluation = open_root(root).folders(layout.evaluations(MODEL))[-1]
    accept, ask_rest = ([evaluation if word == "EVALUATION" else word for word in c] for c in (accept, ask_rest))
    found = run(capsys, root, accept)
    labels, measured = found["labels"], found["measured"]
    assert labels["people"] == people and measured["accepted"] == 200 and measured["share"] == 200 / N
    assert measured["accuracy"]["low"] < 0.98 < measured["accuracy"]["high"]  # of the sure ones 196 of 200 are right
    rows = list(csv.DictReader(Path("labels.csv").read_text().splitlines()))
    assert Counter(r["labelled_by"] for r in rows) == {"people": people, f"model:{MODEL}": labels["model"]}
    assert people + labels["model"] + labels["unlabelled"] == N
    assert all(r["label"] == truth(int(r["prediction_id"][5:9])) for r in rows if r["labelled_by"] == "people")
    folders = look_at(Path("classes"))  # as `trueup import images` does
    assert len(folders.taken) == len(rows) and folders.refused == []
    assert {(p.label, p.sha256) for p in folders.taken} == {(r["label"], r["image_sha256"]) for r in rows}

    rest = run(capsys, root, ask_rest)
    assert rest["below"] == thresholds and rest["strategy"] == "below-thresholds"
    left = answer_all(service, token, "review", of="batch-rest")
    assert sum(map(len, left.values())) == labels["unlabelled"]  # what is neither accepted nor asked about before
    again = run(capsys, root, evaluate)["versions"]["7"]
    assert again["labelled"] == people + labels["unlabelled"]
    assert again["estimate"] | {"rests_on": ""} == estimate | {"rests_on": ""}
    assert {r["labeler"] for r in table_rows(root, "labels")} == {token.partition(".")[0]}  # no machine is a labeler
    assert review.main(["sample", "--root", root, "--model", MODEL, "--role", "batch", "--kind", "review", "--p", "0.5"]) == 1


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
    run(capsys, root, COMMANDS[1][:2], "--model", MODEL, "--role", "import", "--p", 0.1, "--salt", "b")
    asked = answer_all(service, token, "audit")
    rows = [r for r in table_rows(root, "labels") if r["origin"] == "audit"]
    assert list(asked) == [None] and {r["prediction_id"] for r in rows} == set(asked[None])
    assert {(r["saw_prediction"], r["selection_probability"]) for r in rows} == {(False, 0.1)}
    assert run(capsys, root, COMMANDS[3])["versions"]["7"]["estimate"]["origin"] == "audit"
