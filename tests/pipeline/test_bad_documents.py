"""One bad file is named where it matters and stops nothing else; no file that a command reads is a traceback.

`make test-slow K=fuzz` tries 25 mutations of documents with every command, twice; here are fewer, chosen by a fixed seed. All
of them take hours: `FUZZ_PAIRS=2000 make test-slow K=fuzz`.
"""

import json
import os
import random
import shutil
import traceback
from functools import cache
from pathlib import Path

import pytest

from contract import clock, layout
from contract.documents import erasures
from contract.errors import CANNOT_TELL, DONE
from contract.storage import open_root
from inference import keys, review
from inference.keys import KeyRing
from jobs import evaluate, forget, lineage, report
from pipeline import cycle, gate, model, status
from tests.pipeline import small_dataset
from tests.pipeline.conftest import replace_retraining
from tests.pipeline.roots import DAY, MODEL, make_root, rows

PAIRS = int(os.environ.get("FUZZ_PAIRS", "25"))
JUNK = (".DS_Store", "desktop.ini", "sample.json~", "00000007.json.tmp", "Thumbs.db", "batch-1.json~", "evaluation (1).json")
PREDICTION = rows(1, 0, 0)[0][0]["prediction_id"]
# name -> (command, arguments, quick enough for every mutation of the first tier)
COMMANDS = {
    "status": (status, [], True), "list": (model, ["list"], True), "show": (model, ["show", "--model", MODEL], True),
    "history": (model, ["history", "--model", MODEL], True), "gate": (gate, ["--model", MODEL, "--dry-run"], True),
    "report": (report, ["--model", MODEL], True), "keys": (keys, ["list"], True),
    "version": (lineage, ["--version", "1", "--model", MODEL], True), "dataset": (lineage, ["--dataset", "d1"], True),
    "lineage": (lineage, [PREDICTION], True), "promote": (model, ["promote", "1", "--reason", "r", "--model", MODEL], True),
    "rollback": (model, ["rollback", "--model", MODEL], True), "forget": (forget, ["--image", "e" * 64], True),
    "sample": (review, ["sample", "--model", MODEL, "--day", DAY, "--kind", "review", "--items", "5"], True),
    "evaluate": (evaluate, ["--model", MODEL], False), "cycle": (cycle, ["--model", MODEL, "--in-process"], False),
    "override": (model, ["override", "--gate", "accuracy", "--reason", "r", "--until", "2099-01-01", "--model", MODEL], True),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A root with a document of every kind."""
    root = make_root(str(tmp_path_factory.mktemp("documents") / "root"), right=120, n=200)
    storage = open_root(root)
    with pytest.MonkeyPatch.context() as patch:
        replace_retraining(patch)
        assert cycle.main(["--root", root, "--model", MODEL, "--in-process"]) == DONE
    KeyRing(storage).add("ana", ["admin"])
    KeyRing(storage).read_session_secret()
    small_dataset.put(storage, "d1", MODEL)
    erasures.ask(storage, erasures.Erasure(image_sha256="f" * 64, at=clock.iso(clock.now()), by="t", asked="f" * 64))
    assert review.main(["sample", "--root", root, "--model", MODEL, "--day", DAY, "--p", "0.5"]) == DONE
    assert report.main(["--root", root, "--model", MODEL]) == DONE
    return root


@pytest.fixture(scope="module")
def expected(whole, tmp_path_factory):
    """The exit code of a command on the whole root."""
    @cache
    def find(name):
        return run(name, shutil.copytree(whole, tmp_path_factory.mktemp(name) / "root", copy_function=os.link).as_posix())

    return find


@pytest.fixture
def root(whole, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(whole, tmp_path / "copy", copy_function=os.link).as_posix()


def put(root, key, data):
    """Writes a file anew: those of the copy are links."""
    path = Path(root, key)
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def run(name, root):
    """The exit code of a command; anything but one of ours is what these tests are against."""
    command, arguments, _ = COMMANDS[name]
    code = command.main([*arguments, "--root", root])
    assert code in range(CANNOT_TELL + 1), name
    return code


def documents(root):
    """Every JSON document, and of those that are alike two."""
    seen = {}
    for path in sorted(Path(root).rglob("*.json")):
        if path.read_bytes() == b"[]":  # what a dataset left out
            continue
        key = path.relative_to(root).as_posix()
        kind = "".join("#" if c.isdigit() else c for c in key)
        seen.setdefault(kind, []).append(key)
    return [key for keys_ in seen.values() for key in keys_[:2]]


def mutations(data, rng):
    """(name, bytes): what becomes of documents."""
    value = json.loads(data)
    yield "truncated", data[:len(data) // 2]
    yield from {"empty": b"", "binary": bytes(range(256)), "null": b"null", "list": b"[]", "text": b'"x"', "no fields": b"{}",
                "deep": b'{"a":' * 50_000, "utf-16": data.decode().encode("utf-16"),
                "latin-1": data.rstrip()[:-1] + b'"\xfc": 1}',
                "twice": data.replace(b"{", b'{"schema": "1", "schema": "1",', 1)}.items()
    places = list(walk(value))
    for odd in (None, "", "x", -1, 0, 7, 10**30, [], {}, [None], {"a": 1}, True, "\0", "..", "\udc80"):
        where = rng.choice(places)
        yield f"{where} = {odd!r:.20}", json.dumps(changed(value, where, odd)).encode()
    for text in ("NaN", "-Infinity", "1e999", "9" * 5000):
        where = rng.choice(places)
        yield f"{where} = {text:.9}", json.dumps(changed(value, where, "@@")).replace('"@@"', text).encode()
    for _ in range(3):
        where = rng.choice(places)
        yield f"without {where}", json.dumps(changed(value, where)).encode()
    yield "schema 2", json.dumps(value | {"schema": "2"}).encode()


def walk(value, path=()):
    """The path of every value in a JSON object, but of long lists the first two."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value[:2]):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from walk(inner, (*path, name))


def changed(value, path, *new):
    """The value with another one at that place, or without it."""
    copy = json.loads(json.dumps(value))
    at = copy
    for name in path[:-1]:
        at = at[name]
    if new:
        at[path[-1]] = new[0]
    else:
        del at[path[-1]]
    return copy


def attack(whole, folder, key, name, data, commands):
    """Runs the commands on a root in which one document is another; yields what was no exit code of ours."""
    root = shutil.copytree(whole, folder / "root", copy_function=os.link).as_posix()
    put(root, key, data)
    try:
        for command in commands:
            try:
                run(command, root)
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                yield f"{command} with {key}: {name}: {error!r:.200} at {where.filename}:{where.lineno}"
    finally:
        shutil.rmtree(root)


def every_pair(whole, seed):
    rng = random.Random(seed)
    return [(key, name, data, rng.random()) for key in documents(whole)
            for name, data in mutations(Path(whole, key).read_bytes(), rng)]


def test_no_damaged_document_is_a_traceback(whole, tmp_path):
    """Some of a thousand pairs, each with two of the commands."""
    rng, quick = random.Random(21), [name for name, (_, _, is_quick) in COMMANDS.items() if is_quick]
    pairs = every_pair(whole, 21)
    assert len({key for key, *_ in pairs}) >= 15
    assert [line for key, name, data, _ in rng.sample(pairs, 12)
            for line in attack(whole, tmp_path, key, name, data, rng.sample(quick, 2))] == []


@pytest.mark.slow("fuzz")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_damaged_document_is_a_traceback_with_any_command(whole, tmp_path, seed, fake_stages):
    pairs = every_pair(whole, seed)
    chosen = random.Random(seed).sample(pairs, min(PAIRS, len(pairs)))
    assert [line for key, name, data, _ in chosen for line in attack(whole, tmp_path, key, name, data, COMMANDS)] == []


NAMED = {  # damaged document -> commands that go on without it, and name it
    "models/digits/history/00000002.json": ("status", "list", "history", "report"),
    "models/digits/history/00000001.json": ("status", "list", "history", "promote"),
    "keys/ana-*.json": ("keys",), "evaluations/digits/*/evaluation.json": ("status",),
    "evaluations/digits/*/decision.json": ("status", "report"), "runs/digits/1/run.json": ("status", "gate"),
    "runs/digits/1/end.json": ("status", "gate"), "runs/digits/1/owner-1.json": ("status", "gate"),
    "samples/digits/dt=*/audit/sample.json": ("status", "gate", "report"), "erasures/*.json": ("forget", "status"),
    "datasets/d1/manifest.json": ("forget", "lineage"), "models/digits/versions/2/card.json": ("forget", "lineage", "status"),
    "models/digits/versions/2/claim.json": ("gate", "status"),
    "models/digits/live.json": ("status", "history", "promote", "rollback", "evaluate"),
    "counts/digits/*/*/*.json": ("status", "list", "report"),
}


@pytest.mark.parametrize("key", NAMED)
def test_one_damaged_document_stops_nothing_that_does_not_need_it(root, expected, key):
    (path, *_) = sorted(Path(root).glob(key))
    put(root, path.relative_to(root).as_posix(), path.read_bytes()[:20])
    for name in NAMED[key]:
        assert run(name, root) == expected(name), name


@pytest.mark.parametrize(("key", "name"), [
    ("models/digits/history/00000002.json", "status"), ("models/digits/history/00000001.json", "history"),
    ("keys/ana-*.json", "keys"), ("evaluations/digits/*/decision.json", "report"),
    ("evaluations/digits/*/evaluation.json", "report"),
    ("runs/digits/1/run.json", "status"), ("models/digits/versions/2/claim.json", "gate"),
    ("datasets/d1/manifest.json", "lineage"), ("models/digits/versions/2/card.json", "lineage")])
def test_what_is_passed_over_is_named(root, capsys, caplog, key, name):
    (path, *_) = sorted(Path(root).glob(key))
    put(root, path.relative_to(root).as_posix(), path.read_bytes()[:20])
    run(name, root)
    said = capsys.readouterr()
    assert path.name in said.out + said.err + caplog.text


def test_files_of_others_in_every_folder_change_nothing(root, expected):
    """In a day's folder of rows such a file is an error of `evaluate`, which reads all of them; its hidden ones are not."""
    for folder in [path for path in Path(root).rglob("*") if path.is_dir()] + [Path(root)]:
        rows_ = folder.name.startswith("dt=") and folder.parent.name in (layout.PREDICTIONS, layout.LABELS)
        for name in JUNK:
            if not rows_ or name.startswith("."):
                (folder / name).write_bytes(b"\x00\x01{")
    for name in COMMANDS:
        if name != "cycle":
            assert run(name, root) == expected(name), name


@pytest.mark.parametrize("data", [b"", b"PAR1 no Parquet"])
def test_a_foreign_file_among_the_rows_is_an_error_of_evaluate_alone(root, capsys, caplog, data):
    bad = f"predictions/dt={DAY}/notes.parquet"
    put(root, bad, data)
    assert run("evaluate", root) == 1
    assert "notes.parquet: expected a Parquet file" in capsys.readouterr().err
    assert evaluate.main(["--root", root, "--model", MODEL, "--quarantine"]) == 0
    for name in ("lineage", "report", "sample", "forget", "status"):
        caplog.clear()
        assert run(name, root) == 0, name
        said = capsys.readouterr()
        assert name in ("status", "report") or "notes.parquet" in said.out + said.err + caplog.text, name
