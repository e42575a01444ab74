"""`trueup verify` of a decision: equal as it is, and every byte that changes is found and named."""

import json
import os
import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from contract import clock, jsonio, layout
from contract.records import LABEL
from contract.registry import Registry
from contract.samples import Sample
from contract.settings import CompactSettings
from contract.storage import open_storage, read_json
from jobs import evaluate, expire
from jobs.compacting.folder import Folder
from pipeline import gate, model
from pipeline.verifying import command as verify
from tests.jobs.compacting import small_files
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows

BEFORE = clock.day_of(clock.now() - timedelta(days=3))
FIRST = ("counts/", "evaluations/", "models/", "predictions/", "labels/", "samples/")


def judge(root, *options, engine="embedded", code=3):
    """Evaluates by an engine and gates; the id of the evaluation."""
    before = set(open_storage(root).folders(layout.evaluations(MODEL)))
    assert evaluate.main(["--root", root, "--model", MODEL, "--engine", engine, "--no-report", *options]) == 0
    (made,) = set(open_storage(root).folders(layout.evaluations(MODEL))) - before
    assert gate.main(["--root", root, "--model", MODEL, "--evaluation", made]) == code
    return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A root with two days, a decision, and a history of three records; its path and the id of the evaluation."""
    root = str(tmp_path_factory.mktemp("judged") / "root")
    make_root(root, right=120, n=200)
    make_root(root, right=15, n=20, day=BEFORE)
    drawn = Sample(model=MODEL, day=DAY, kind="audit", strategy="random-audit", salt="s", created_at=clock.iso(clock.now()),
                   floor=0.5, default=0.5)
    open_storage(root).put(layout.sample_document(MODEL, DAY, "audit"), drawn.to_bytes())
    for more in (["--until", "2099-01-01"], ["--withdraw"]):
        assert model.main(["override", "--root", root, "--model", MODEL, "--gate", "drift", "--by", "ana", "--reason", "r",
                           *more]) == 0
    return root, judge(root)


def states(document, *wanted):
    """key -> what is said of it, of the findings in these states."""
    return {f["of"]: f["said"] for f in document["findings"] if f["state"] in wanted}


def list_files(root):
    return sorted(p.relative_to(root).as_posix() for p in Path(root).rglob("*")
                  if p.is_file() and p.relative_to(root).as_posix().startswith(FIRST))


def flip(root, key, at):
    """Changes one bit of one byte of a file, and leaves its modification time as it was."""
    path = Path(root, key)
    before, data = path.stat(), bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_decision_is_computed_again_by_another_engine_and_is_equal(judged, say):
    code, document = say(*judged)
    assert (code, states(document, "differs", "missing", "cannot tell", "no content hash")) == (0, {})
    counted = states(document, "equal")[next(f for f in list_files(judged[0]) if f.startswith(f"counts/{MODEL}/dt={DAY}/")
                                             and f.endswith(".json"))]
    assert "by mapreduce" in counted
    assert sum(f.get("equal", 0) for f in document["findings"]) > 500


def test_what_mapreduce_counted_the_embedded_engine_counts_again(copied, say):
    root, _ = copied
    made = judge(root, "--full", "--slice", "c=client", "--runner", "inline", engine="mapreduce")
    code, document = say(root, made)
    assert code == 0 and any("by embedded" in said for said in states(document, "equal").values())


# No figure of a decision rests on these: pages, what tries the store, and weights, which are of a version.
NO_GROUNDS = ("report.html", "index.html", "probe.json", "weights.safetensors")


def find_missed(root, name, say, keys, rng):
    """The files of which a byte changed, one at a time and at a random place, without being found and named."""
    missed = []
    for key in keys:
        at = rng.randrange(Path(root, key).stat().st_size)
        flip(root, key, at)
        code, document = say(root, name, engine="embedded")
        flip(root, key, at)
        # Of the newest record and its copy nobody can say which of the two was changed.
        names = {key, layout.live(MODEL)} if key.endswith("00000003.json") else {key}
        if code != 3 or not names & states(document, "differs", "missing").keys():
            missed.append((key, at, code))
    return missed


def test_a_byte_that_changes_in_a_file_of_each_kind_is_found_and_named(copied, say):
    root, name = copied
    kinds = {}
    for key in list_files(root):
        kinds.setdefault((key.split("/")[0], key.count("/"), key.endswith("json")), key)
    keys = [key for key in kinds.values() if not key.endswith(NO_GROUNDS)] + [layout.decision(MODEL, name)]
    assert find_missed(root, name, say, keys, random.Random(7)) == [] and len(keys) >= 8


@pytest.mark.slow("seeds")
def test_each_byte_that_changes_is_found_and_named(copied, say):
    """Of every file that the decision rests on, at several places: as an accident or a hand would change it."""
    root, name = copied
    keys = [key for key in list_files(root) if not key.endswith(NO_GROUNDS)]
    for seed in range(4):
        assert find_missed(root, name, say, keys, random.Random(seed)) == []
    assert len(keys) >= 25 and say(root, name, engine="embedded")[0] == 0


def test_samples_and_cards_that_came_later_are_not_looked_at(copied, say):
    """What an evaluation says of an audit's response rests on the samples that there were then."""
    root, name = copied
    storage = open_storage(root)
    drawn = Sample.load(storage, layout.sample_document(MODEL, DAY, "audit"))
    storage.put(layout.sample_document(MODEL, BEFORE, "audit"), drawn.model_copy(update={"day": BEFORE}).to_bytes())
    make_root(root, right=10, n=10, day=clock.day_of(clock.now() - timedelta(days=1)))
    Registry(storage, MODEL).claim(by="train", run="digits/9")
    word = {"gate": "accuracy", "by": "ana", "reason": "r", "until": "2099-01-01T00:00:00Z", "at": "2026-01-01T00:00:00Z"}
    Registry(storage, MODEL).change({"kind": "override", **word}, {"overrides": [word]}, "1")
    code, document = say(root, name, engine="embedded")
    assert (code, states(document, "differs", "missing", "cannot tell")) == (0, {})


@pytest.mark.parametrize("made_by", ["embedded", "mapreduce"])
def test_rows_of_every_odd_kind_come_out_the_same_by_the_other_engine(tmp_root, capsys, made_by):
    small_files.make(tmp_root, seed=11)
    options = ["--set", "evaluate.labeler_weights={ann: 1.5}", "--set", "evaluate.labeler_fit=f1", "--set",
               "evaluate.roles={production: live}", "--set", "evaluate.bucket_edges=[0, 0.5, 0.9, 1]", "--engine", made_by,
               "--slice", "camera=attributes.camera", "--slice", "size=image_size", "--as-of", "2026-11-24",
               "--json"]
    runner = ["--runner", "inline"] if made_by == "mapreduce" else []
    assert evaluate.main(["--root", tmp_root, "--model", "m", "--no-report", *options, *runner]) == 0
    name = json.loads(capsys.readouterr().out)["id"]
    assert verify.main([name, "--root", tmp_root, "--model", "m", "--json", "--in-process"]) == 0
    document = json.loads(capsys.readouterr().out)
    other = {"embedded": "mapreduce", "mapreduce": "embedded"}[made_by]
    assert any(said.endswith(f"by {other}") for said in states(document, "equal").values())
    assert sum(f.get("equal", 0) for f in document["findings"]) > 500


def test_each_file_that_is_gone_is_named(copied, say):
    root, name = copied
    storage = open_storage(root)
    of_kinds = {}
    for key in list_files(root):
        of_kinds.setdefault((key.split("/")[0], key.rpartition(".")[2]), key)
    # Without a decision there is none to verify; without the card's weights there is still the decision.
    keys = [key for key in of_kinds.values() if not key.endswith(("decision.json", "html", "safetensors"))]
    for key in keys:
        data = Path(root, key).read_bytes()
        storage.delete(key)
        code, document = say(root, name, engine="embedded")
        assert code == 3 and key in states(document, "missing"), key
        Path(root, key).write_bytes(data)
    assert len(keys) >= 5


def rename(root, name, change):
    """Puts a changed evaluation where its name is right again, as somebody who knows how would; the new name."""
    storage = open_storage(root)
    document = read_json(storage, layout.evaluation_document(MODEL, name))
    change(document)
    made = f"{name[:17]}{jsonio.digest(document)[:8]}"
    shutil.copytree(Path(root, layout.evaluation(MODEL, name)), Path(root, layout.evaluation(MODEL, made)))
    Path(root, layout.evaluation_document(MODEL, made)).write_bytes(jsonio.dumps(document))
    Path(root, layout.decision(MODEL, made)).unlink()
    return made


def test_a_figure_that_somebody_made_better_is_named_with_what_comes_out(copied, say):
    root, name = copied

    def change(document):
        document["versions"]["1"]["accuracy"]["value"] = 0.97

    code, document = say(root, rename(root, name, change), engine="embedded")
    (found,) = [f for f in document["findings"] if f["state"] == "differs" and f.get("differ") and "evaluation.json" in f["of"]]
    assert code == 3 and [f["figure"] for f in found["differ"]] == ["versions.1.accuracy.value"]
    assert (found["differ"][0]["told"], round(found["differ"][0]["recomputed"], 4)) == (0.97, round(135 / 220, 4))


def test_a_verdict_that_somebody_turned_is_decided_again(copied, say):
    root, name = copied
    key = Path(root, layout.decision(MODEL, name))
    document = json.loads(key.read_bytes())
    document["verdict"], document["exit_code"], document["gates"][0]["verdict"] = "pass", 0, "pass"
    del document["digest"]
    document["digest"] = jsonio.digest(document)
    key.write_bytes(jsonio.dumps(document))
    code, said = say(root, name, engine="embedded")
    (found,) = [f for f in said["findings"] if f["state"] == "differs"]
    assert code == 3
    assert {f["figure"]: f["recomputed"] for f in found["differ"]} == {
        "verdict": "fail", "exit_code": 3, "gates[accuracy].verdict": "fail"}


def test_rows_that_somebody_changed_show_in_the_figures(copied, say):
    """With new hashes in the counts, the evaluation's hash of these speaks; without, the figures do."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root, name = copied
    strip_hashes(root)
    made = rename(root, name, lambda document: (document.pop("rests_on"), document.pop("tables")))
    path = next(Path(root, f"labels/dt={DAY}").glob("*.parquet"))
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels[1:] + labels[:1])), path)
    code, document = say(root, made, engine="embedded")
    assert code == 3
    figures = [f["figure"] for f in document["findings"] if f["state"] == "differs" for f in f.get("differ", [])]
    assert "versions.1.accuracy.value" in figures and any(name.startswith("cells[") for name in figures)


def strip_hashes(root):
    """Counts documents as the release before wrote them."""
    for path in Path(root, f"counts/{MODEL}").rglob("*.json"):
        document = json.loads(path.read_bytes())
        path.write_bytes(jsonio.dumps({k: v for k, v in document.items() if k not in ("hashes", "engine")}))


def test_documents_of_the_release_before_are_good_and_say_that_they_have_no_hashes(copied, say):
    root, name = copied
    strip_hashes(root)
    made = rename(root, name, lambda document: (document.pop("rests_on"), document.pop("tables")))
    code, document = say(root, made)
    assert (code, states(document, "differs", "missing", "cannot tell")) == (0, {})
    assert set(states(document, "no content hash").values()) == {"no content hash: size and etag only"}
    assert len(states(document, "no content hash")) == 4


def test_an_evaluation_of_the_release_before_cannot_be_told_where_samples_came_later(copied, say):
    root, name = copied
    strip_hashes(root)
    made = rename(root, name, lambda document: (document.pop("rests_on"), document.pop("tables")))
    storage = open_storage(root)
    drawn = Sample.load(storage, layout.sample_document(MODEL, DAY, "audit"))
    storage.put(layout.sample_document(MODEL, BEFORE, "audit"), drawn.model_copy(update={"day": BEFORE}).to_bytes())
    code, document = say(root, made, engine="embedded")
    said = states(document, "cannot tell")[layout.evaluation_document(MODEL, made)]
    assert code == 4 and not states(document, "differs") and "those of today were taken" in said


def test_a_decision_of_the_release_before_is_decided_again(copied, say):
    root, name = copied
    path = Path(root, layout.decision(MODEL, name))
    document = {k: v for k, v in json.loads(path.read_bytes()).items() if k not in ("rests_on", "digest")}
    path.write_bytes(jsonio.dumps(document))
    assert say(root, name, engine="embedded")[0] == 0
    document["retrain"]["spent"] = 2
    path.write_bytes(jsonio.dumps(document))
    code, said = say(root, name, engine="embedded")
    assert code == 4 and "did not note the history" in states(said, "cannot tell")[layout.decision(MODEL, name)]


def test_rows_that_expired_are_told_from_rows_that_are_missing(tmp_root, say):
    old = clock.day_of(clock.now() - timedelta(days=50))
    make_root(tmp_root, right=120, n=200)
    make_root(tmp_root, right=15, n=20, day=old)
    made = judge(tmp_root)
    settings = ("--set", "serve.label_days=20", "--set", "retention.rows_days=30", "--set", "retention.pictures_days=30")
    assert expire.main(["--root", tmp_root, *settings]) == 0
    code, document = say(tmp_root, made, engine="embedded")
    assert code == 4 and not states(document, "differs", "missing")
    assert f"the rows of {old} expired" in states(document, "expired")[layout.expiry(old, "rows")]
    Path(tmp_root, layout.expiry(old, "rows")).unlink()
    code, document = say(tmp_root, made, engine="embedded")
    assert code == 3 and len(states(document, "missing")) == 2


def test_rows_that_were_packed_since_are_the_same_rows(tmp_root, say):
    make_root(tmp_root, right=120, n=200)
    storage = open_storage(tmp_root)
    put_rows(storage, LABEL, "labels", rows(220, 0, 220)[1][200:], writer="late")
    made, now = judge(tmp_root), CompactSettings(files=2, grace_hours=0)
    for _ in range(4):
        Folder(storage, layout.LABELS, DAY, now).advance()
    code, document = say(tmp_root, made, engine="embedded")
    (packed,) = [key for key in states(document, "equal") if layout.is_packed(key)]
    assert code == 0 and len([e for e in storage.list("labels/") if layout.holds_rows(e.key)]) == 1
    flip(tmp_root, packed, 30)
    code, document = say(tmp_root, made, engine="embedded")
    assert code == 3 and "of its compaction" in states(document, "differs")[packed]


def test_what_cannot_be_verified_is_said(judged, say):
    for words, expected in ((("x",), "expected the id of an evaluation"), (("a/b/c",), "expected the id of an evaluation"),
                            (("digits", "3", "4"), "got 3 words"), (("20261120T080000Z-0a1b2c3d",), "has no evaluation"),
                            (("9",), "has no version '9'")):
        code, document = say(judged[0], *words)
        assert code in (1, 2) and expected in document["error"]["message"], words


@pytest.mark.parametrize("spell", ["digits {name}", "evaluations/digits/{name}/decision.json",
                                   "{root}/evaluations/digits/{name}/"])
def test_a_decision_is_named_in_several_ways(judged, say, spell):
    root, name = judged
    words = spell.format(name=name, root=open_storage(root).uri()).split(" ")
    code, document = say(root, *words, engine="embedded")
    assert (code, document["evaluation"]) == (0, name)


def test_for_people_it_ends_with_a_sentence(copied, capsys):
    root, name = copied
    assert verify.main([name, "--root", root, "--model", MODEL, "--engine", "embedded", "--in-process"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"evaluation {name} of digits: everything is equal."
    flip(root, layout.decision(MODEL, name), 40)
    assert verify.main([name, "--root", root, "--model", MODEL, "--engine", "embedded", "--in-process"]) == 3
    said = capsys.readouterr().out
    assert f"differs  {layout.decision(MODEL, name)}: " in said and said.endswith("something differs or is missing.\n")


def test_a_decision_on_s3_is_computed_again(s3_root, say):
    make_root(s3_root, right=120, n=200)
    made = judge(s3_root)
    code, document = say(s3_root, made, engine="embedded")
    assert (code, states(document, "differs", "missing", "cannot tell", "no content hash")) == (0, {})
    storage = open_storage(s3_root)
    key = next(e.key for e in storage.list("labels/"))
    data = bytearray(storage.read(key))
    data[len(data) // 2] ^= 1
    storage.put(key, bytes(data))
    code, document = say(s3_root, made, engine="embedded")
    assert code == 3 and "expected the sha256" in states(document, "differs")[key]
    assert Registry(storage, MODEL).live() == "1"
