"""`trueup review gold`: what may become a gold item, and what the answers say of each labeler against a count by brute force."""

import io
import json
import re
from collections import Counter
from datetime import timedelta
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from contract import clock, ids, layout, samples
from contract.documents.gold import GoldAnswer, add_gold, read_gold
from contract.errors import AlreadyExists
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from jobs import evaluate, gold
from jobs.gold_report import measure
from pipeline import cli
from tests.inference.small_service import CLASSES, DAY, MODEL, publish, ship

OTHER_DAY = "2026-11-10"


@pytest.fixture
def root(tmp_root, tmp_path):
    """A root with a version of four classes and eight predictions."""
    storage = open_root(tmp_root, create=True)
    publish(storage, tmp_path)
    storage.ids = ship(storage, 8)
    return storage


@pytest.fixture
def say(root, capsys):
    """Runs a verb of `review gold`; its document, checked to be alone on standard output."""

    def run(verb, *arguments, code=0, model=MODEL):
        assert gold.main([verb, "--root", root.root, "--model", model, "--json", *arguments]) == code
        return json.loads(capsys.readouterr().out)

    return run


def put_rows(storage, table, day, writer, rows):
    record = {layout.PREDICTIONS: PREDICTION, layout.LABELS: LABEL}[table]
    made = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([dict.fromkeys(record.names) | r for r in rows],
                                                                       record.arrow())
    out = io.BytesIO()
    pq.write_table(made, out)
    storage.create(layout.row_file(table, day, writer, 1, len(rows)), out.getvalue())


def contents(storage):
    return {entry.key: entry.etag for entry in storage.list()}


def test_one_is_added_once_and_taken_back_by_a_document_of_its_own(root, say):
    one = root.ids[0]
    assert say("add", "--prediction", one.upper(), "--label", "  dog ", "--by", "ann") == {
        "model": MODEL, "added": [one], "already": []}
    before = contents(root)
    assert say("add", "--prediction", one, "--label", "dog") == {"model": MODEL, "added": [], "already": [one]}
    error = say("add", "--prediction", one, "--label", "cat", code=1)["error"]
    assert error["code"] == "AlreadyExists"
    assert f"trueup review gold remove --model {MODEL} --prediction {one}" in error["message"]
    assert contents(root) == before
    [there] = say("list")["gold"]
    assert [there[k] for k in ("prediction_id", "label", "predicted", "bin", "by")] == [one, "dog", "cat", 17, "ann"]
    assert say("remove", "--prediction", one)["removed"]["label"] == "dog"
    assert say("list")["gold"] == [] and before.items() <= contents(root).items()  # nothing that was written has changed
    assert "taken back by" in say("remove", "--prediction", one, code=1)["error"]["message"]
    assert say("add", "--prediction", one, "--label", "cat")["added"] == [one]
    assert [a.label for a in read_gold(root, MODEL).values()] == ["cat"]


@pytest.mark.parametrize("name", ["known.csv", "known.jsonl", "known.parquet"])
def test_a_file_is_added_whole(root, say, tmp_path, name):
    rows = [{"prediction_id": i, "label": CLASSES[n % 4]} for n, i in enumerate(root.ids)]
    rows.append(rows[0])  # the same once more is no harm
    path = tmp_path / name
    if name.endswith("csv"):
        path.write_text("prediction_id,label\n" + "".join(f"{r['prediction_id']},{r['label']}\n" for r in rows))
    elif name.endswith("jsonl"):
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert say("add", str(path))["added"] == root.ids
    assert {i: a.label for i, a in read_gold(root, MODEL).items()} == {r["prediction_id"]: r["label"] for r in rows}
    assert say("add", str(path)) == {"model": MODEL, "added": [], "already": root.ids}


def test_another_word_for_live_is_live_where_a_setting_says_so(root, say):
    """Rule 2 through this door, too: what is counted as live may be a gold item."""
    now = clock.parse_moment(f"{DAY}T12:00:00Z")
    one, sha256 = ids.uuid7(now), "d" * 64
    put_rows(root, layout.PREDICTIONS, DAY, "words", [
        {"prediction_id": one, "predicted_at": now, "model": MODEL, "model_version": "1", "predicted_label": "cat",
         "confidence": 0.5, "role": "Production", "image_sha256": sha256, "image_uri": layout.image(sha256, "png")}])
    root.put(layout.image(sha256, "png"), b"x")
    assert "whose role is 'Production'" in say("add", "--prediction", one, "--label", "cat", code=1)["error"]["message"]
    said = say("add", "--prediction", one, "--label", "cat", "--set", "evaluate.roles={production: live}")
    assert said["added"] == [one]


def test_of_a_file_with_bad_rows_nothing_is_written_and_each_is_named(root, say, tmp_path):
    now = clock.parse_moment(f"{DAY}T12:00:00Z")
    names = ("other", "shadow", "bare", "erased", "unstored")
    made = {name: ids.uuid7(now, bytes(9) + bytes([n])) for n, name in enumerate(names)}
    base = {"predicted_at": now, "model": MODEL, "model_version": "1", "predicted_label": "cat", "confidence": 0.5,
            "image_sha256": "a" * 64, "image_uri": "images/aa/x.png"}
    rows = {"other": {"model": "pets"}, "shadow": {"role": "shadow"}, "bare": {"image_sha256": None, "image_uri": None},
            "erased": {"image_sha256": "b" * 64}, "unstored": {"image_sha256": "c" * 64}}
    put_rows(root, layout.PREDICTIONS, DAY, "bad", [base | {"prediction_id": made[n]} | rows[n] for n in made])
    root.put(layout.image("b" * 64, "png"), b"x")
    root.put(layout.erasure("b" * 64), b"{}")
    say("add", "--prediction", root.ids[5], "--label", "dog")
    lines = [
        (root.ids[0], "cat", None), (root.ids[1], "catt", r"expected a class of 'digits' \(cat, dog, eel, fox\), got 'catt'"),
        (root.ids[2], "≠", "expected the name of a class, got '≠'"), ("7", "cat", "expected a UUIDv7 as prediction id, got '7'"),
        (ids.uuid7(now), "cat", "expected a prediction in the bucket, found none"),
        (made["other"], "cat", "expected a prediction of 'digits', got .* which 'pets' made"),
        (made["shadow"], "cat", "whose role is 'shadow'"), *((made[n], "cat", "its picture was not stored, or was erased")
                                                           for n in ("bare", "erased", "unstored")),
        (root.ids[3], "", "column 'label': expected a value, got none"),
        (root.ids[0], "dog", "got 'dog' after 'cat' in an earlier row"),
        (root.ids[5], "cat", "expected its known answer, 'dog'.*gold remove")]
    path = tmp_path / "known.csv"
    path.write_text("prediction_id,label\n" + "".join(f"{i},{label}\n" for i, label, _ in lines))
    before = contents(root)
    message = say("add", str(path), code=1)["error"]["message"]
    found = {int(line.split("row ")[1].split(":")[0]): line for line in message.splitlines()[:-1]}
    assert contents(root) == before and "Nothing was written" in message
    assert set(found) == {n for n, (_, _, why) in enumerate(lines, 1) if why}
    assert [n for n, line in found.items() if not re.search(lines[n - 1][2], line)] == []


@pytest.mark.parametrize(("arguments", "code", "message"), [
    ([], 2, "expected --prediction ID with --label L, or a FILE"), (["--prediction", "x"], 2, "expected --prediction ID"),
    (["--label", "cat"], 2, "expected --prediction ID"), (["none.csv"], 2, "no such file"),
    (["--prediction", "{}", "--label", "cat"], 2, "expected a UUIDv7 as prediction id, got '{}'"),
    (["--prediction", "../../x", "--label", "cat"], 2, "expected a UUIDv7"),
])
def test_what_cannot_be_asked_is_refused(root, say, arguments, code, message):
    before = contents(root)
    assert message in say("add", *arguments, code=code)["error"]["message"] and contents(root) == before


@pytest.mark.parametrize("name", ["{}", "../../x", "", "7"])
def test_what_is_no_gold_item_cannot_be_removed(root, say, name):
    assert say("remove", "--prediction", name, code=1)["error"]["code"] == "NotFound"


def test_a_model_without_a_card_takes_any_class(root, say):
    [one] = ship(root, 1, model="pets", writer="p")
    assert say("add", "--prediction", one, "--label", "a newt", model="pets")["added"] == [one]
    assert say("list")["gold"] == [] and len(say("list", model="pets")["gold"]) == 1


def test_of_two_rows_of_one_prediction_the_first_counts(root, say):
    """Rule 2: whatever the order of the files, and although one has times without a zone."""
    at = clock.parse_moment(f"{DAY}T11:00:00Z")
    columns = {"prediction_id": [root.ids[0]], "model": [MODEL], "model_version": ["1"], "predicted_label": ["fox"],
               "confidence": [0.2], "predicted_at": pa.array([at.replace(tzinfo=None)], pa.timestamp("ms")),
               "image_sha256": ["a" * 64], "image_uri": ["images/aa/x.png"]}
    put_rows(root, layout.PREDICTIONS, DAY, "earlier", pa.table(columns))
    root.put(layout.image("a" * 64, "png"), b"x")
    say("add", "--prediction", root.ids[0], "--label", "cat")
    [there] = read_gold(root, MODEL).values()
    assert (there.predicted, there.bin, there.image_sha256) == ("fox", 4, "a" * 64)


def test_two_who_add_at_once_agree_or_one_is_told(root):
    made = {label: GoldAnswer(model=MODEL, prediction_id=root.ids[0], label=label, predicted="cat", bin=None, image_sha256="",
                              at="", by=label) for label in ("cat", "dog")}
    create, lost = root.create, []

    def slower(key, data):  # the other one comes in between
        if not lost:
            lost.append(key)
            create(key, made["dog"].to_bytes())
        create(key, data)

    root.create = slower
    with pytest.raises(AlreadyExists, match="expected its known answer, 'dog'"):
        add_gold(root, made["cat"])
    assert add_gold(root, made["dog"]) is False


# -- the report ---------------------------------------------------------------------------------------------------------

PEOPLE = ("ann", "ben", "cy", None)


def make_labels(rng, prediction_ids, predicted):
    """Rows as they come, and as they should not come: corrections, withdrawals, twice, too early, of other answers."""
    rows, base = [], clock.parse_moment(f"{DAY}T15:00:00Z")
    for n in range(400):
        i = rng.choice(prediction_ids)
        label = rng.choice([*CLASSES, *CLASSES, "≠"])
        at = base - timedelta(days=rng.choice([0, 0, 1, 400]), milliseconds=rng.randrange(5))
        rows.append({"label_id": rng.choice([f"id-{n}", f"id-{n}", f"id-{rng.randrange(9)}", None, ""]), "prediction_id": i,
                     "label": rng.choice([label] * 12 + [None, ""]), "labeler": rng.choice(PEOPLE),
                     "labeled_at": rng.choice([at] * 20 + [None, clock.now() + timedelta(days=9)]),
                     "recorded_at": rng.choice([None, None, at, clock.now() + timedelta(days=9)]),
                     "origin": rng.choice(["audit", "review", "feedback", "import", None]),
                     "saw_prediction": rng.choice([True, False, False, None]),
                     "shown_label": rng.choice([None, predicted.get(i), "fox"]) if label == "≠" else None,
                     "withdraws": rng.choice([None, None, None, False, True])})
    return rows


def count_by_hand(rows, known, predicted):
    """labeler -> Counter of what became of their newest rows, straight from the words of rule 3."""
    def first_nulls(value):
        return (value is not None, value if value is not None else "")

    def known_at(row):
        return max(t for t in (row["labeled_at"], row["recorded_at"]) if t is not None)

    def place(row):
        return [first_nulls(row["labeled_at"]), first_nulls(row["label_id"] or None), first_nulls(row["label"])]

    now, found = clock.now(), {}
    for i, truth in known.items():
        mine = [r for r in rows if r["prediction_id"] == i and r["labeled_at"] and (r["label"] or r["withdraws"])]
        mine = [r for r in mine if known_at(r) <= now]
        distinct = [r for r in mine if not r["label_id"] or not any(
            s["label_id"] == r["label_id"] and [first_nulls(s[c]) for c in ("labeled_at", "label")] < [
                first_nulls(r[c]) for c in ("labeled_at", "label")] for s in mine)]
        told = [r for r in distinct if r["label"] != "≠" or r["shown_label"] in (None, predicted[i])]
        for who in PEOPLE:
            if newest := max((r for r in told if r["labeler"] == who), key=place, default=None):
                what = ("withdrawn" if newest["withdraws"] else "≠" if newest["label"] == "≠" else
                        "in sight" if newest["saw_prediction"] else (newest["label"], truth))
                found.setdefault(who, Counter())[what] += 1
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_report_is_what_a_count_by_hand_finds(root, seed):
    rng = Random(seed)
    early = ship(root, 8, day=OTHER_DAY, writer="e")
    predicted = {i: CLASSES[n % 4] for made in (root.ids, early) for n, i in enumerate(made)}
    known = {i: rng.choice(CLASSES) for i in [*rng.sample(root.ids, 5), *rng.sample(early, 4)]}
    for i, label in known.items():
        add_gold(root, GoldAnswer(model=MODEL, prediction_id=i, label=label, predicted=predicted[i], bin=17, image_sha256="",
                                  at="", by="ann"))
    rows = make_labels(rng, list(predicted), predicted)
    columns = ("prediction_id", "labeled_at", "label_id", "label", "labeler")
    # The order of rows that differ in other columns alone is the engines' to test.
    rows = list({tuple(str(row[c] or None) for c in columns): row for row in rows}.values())
    for day in (DAY, OTHER_DAY):
        mine = [row for row in rows if ids.day_of(row["prediction_id"]) == day]
        put_rows(root, layout.LABELS, day, "us", mine[::2])
        other = pa.Table.from_pylist([dict.fromkeys(LABEL.names) | r for r in mine[1::2]], LABEL.arrow())
        at = other.schema.get_field_index("labeled_at")
        other = other.set_column(at, "labeled_at", other["labeled_at"].cast(pa.timestamp("us")).cast(pa.timestamp("ns")))
        put_rows(root, layout.LABELS, day, "ns", other)
    report = measure(root, MODEL)
    expected = count_by_hand(rows, known, predicted)
    assert report["gold"] == 9 and {p["labeler"] for p in report["labelers"]} == set(expected) and len(expected) == 4
    for person in report["labelers"]:
        by_hand = expected[person["labeler"]]
        said = {pair: n for pair, n in by_hand.items() if isinstance(pair, tuple)}
        right, answered = sum(n for (a, b), n in said.items() if a == b), sum(said.values())
        assert (person["answered"], person["right"], person["saw_prediction"]["answered"], person["unnamed_wrong"],
                person["withdrawn"]) == (answered, right, by_hand["in sight"], by_hand["≠"], by_hand["withdrawn"])
        wrong = {(c["said"], c["known"]): c["count"] for c in person["confusions"]}
        assert wrong == {pair: n for pair, n in said.items() if pair[0] != pair[1]}
        interval = binomtest(right, answered).proportion_ci(method="wilson")
        assert [person["share"][k] for k in ("value", "low", "high")] == pytest.approx(
            [right / answered, interval.low, interval.high])
    late = measure(root, MODEL, first=DAY)
    assert late["gold"] == 5 and count_by_hand(rows, {i: c for i, c in known.items() if i in root.ids}, predicted).keys() == {
        p["labeler"] for p in late["labelers"]}


def test_the_report_says_who_mistook_what_and_why_others_have_no_share(root, say, capsys):
    say("add", "--prediction", root.ids[0], "--label", "dog")
    at = clock.parse_moment(f"{DAY}T15:00:00Z")
    rows = {"ann": {"label": "cat"}, "ben\x1b[31m": {"label": "dog"}, "cy": {"label": "dog", "saw_prediction": True},
            "dee": {"withdraws": True}, "eve": {"label": "≠", "shown_label": "cat"}}
    common = {"prediction_id": root.ids[0], "labeled_at": at, "saw_prediction": False}
    put_rows(root, layout.LABELS, DAY, "w", [common | {"labeler": who} | row for who, row in rows.items()])
    people = {p["labeler"]: p for p in say("report")["labelers"]}
    assert people["ann"]["confusions"] == [{"said": "cat", "known": "dog", "count": 1}] and people["ann"]["share"]["value"] == 0
    assert people["cy"]["saw_prediction"] == {"answered": 1, "right": 1} and people["dee"]["withdrawn"] == 1
    assert people["eve"]["unnamed_wrong"] == 1
    for who in ("cy", "dee", "eve"):
        assert people[who]["share"] == {"value": None, "low": None, "high": None, "reason": "no gold item was answered blind"}
    assert cli.main(["review", "gold", "report", "--root", root.root, "--model", MODEL]) == 0
    text = capsys.readouterr().out
    assert "ann said 'cat' for 'dog' (1)." in text and "\x1b" not in text and "digits: 1 gold item." in text


@pytest.mark.parametrize("kind", samples.KINDS)
def test_no_answer_to_a_gold_item_is_in_the_estimate_or_in_the_response_rate(tmp_root, capsys, kind):
    """Not even of a sample whose probabilities are all alike, with gold answers that are all wrong."""
    storage = open_root(tmp_root, create=True)
    made, at = ship(storage, 60, images=False), clock.parse_moment(f"{DAY}T15:00:00Z")
    samples.write(storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", "salt", p=0.5)))
    asked = [samples.is_asked("salt", i, 0.5) for i in made]
    row = {"labeled_at": at, "labeler": "ann", "saw_prediction": kind == "review"}
    put_rows(storage, layout.LABELS, DAY, "asked", [
        row | {"prediction_id": i, "label": CLASSES[n % 4 if n % 7 else 0], "origin": kind, "selection_probability": 0.5,
               "strategy": "random-audit"} for n, i in enumerate(made) if asked[n]])

    def estimate():
        assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--from", DAY, "--to", DAY, "--json"]) == 0
        version = json.loads(capsys.readouterr().out)["versions"]["1"]
        return version["estimate"], version["by_origin"][kind]["weighted"], version["labelled"]

    (before, weighted, labelled), wrong = estimate(), [i for i, drawn in zip(made, asked, strict=True) if not drawn][:9]
    put_rows(storage, layout.LABELS, DAY, "gold", [
        row | {"prediction_id": i, "label": "newt", "labeler": "ben", "origin": "review", "strategy": "gold"} for i in wrong])
    after, weighted_after, labelled_after = estimate()
    assert labelled_after == labelled + 9 and weighted_after == weighted and before["origin"] == kind
    same = ("origin", "value", "unbiased", "response_rate", "n_effective")
    assert [after[k] for k in same] == pytest.approx([before[k] for k in same])


def test_before_there_is_anything_the_report_says_what_to_do(root, capsys):
    assert cli.main(["review", "gold", "report", "--root", root.root, "--model", MODEL]) == 0
    assert "Add some: trueup review gold add --model digits" in capsys.readouterr().out
    assert gold.main(["report", "--root", root.root, "--model", MODEL, "--from", DAY, "--to", OTHER_DAY]) == 2
