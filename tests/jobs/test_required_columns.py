"""Rows of others with the required columns only: every command works on them, or says in a sentence what it lacks."""

import io
import json
import re
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from contract import samples
from contract.clock import now_us
from contract.errors import DONE, ERROR, GATE_SAYS_NO
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from inference.auth import NoAuth
from jobs.engines.question import Question
from pipeline import cli
from tests.engines import counted, embedded, mapreduce, spark_here
from tests.inference.small_service import SmallService, application, serving
from tests.notebooks.run_cells import run_cells
from tests.pipeline.roots import DAY, MODEL, make_root

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
REQUIRED = {"predictions": PREDICTION.required, "labels": LABEL.required}


def strip_columns(root):
    """Leaves the required columns alone, and nothing that says who wrote the files."""
    storage = open_root(root)
    for table, columns in REQUIRED.items():
        for entry in list(storage.list(f"{table}/")):
            rows = pq.read_table(io.BytesIO(storage.read(entry.key))).select(columns).replace_schema_metadata(None)
            out = io.BytesIO()
            pq.write_table(rows, out)
            storage.put(entry.key, out.getvalue())


def trueup(root, *words):
    """The exit code of a command in this process."""
    return cli._run([*words, "--root", root])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """200 predictions, labels that say half of them are wrong, and an evaluation of them."""
    root = f"file://{tmp_path_factory.mktemp('required')}/root"
    make_root(root, right=100, n=200)
    strip_columns(root)
    assert trueup(root, "evaluate", "--model", MODEL) == DONE
    return root


@pytest.fixture(scope="module")
def first_id(root):
    (entry, *_) = open_root(root).list("predictions/")
    return pq.read_table(io.BytesIO(open_root(root).read(entry.key)))["prediction_id"][0].as_py()


def test_all_engines_count_the_same(root):
    question = Question(MODEL, now_us())
    one, *others = [counted(engine, root, [DAY], question)[0] for engine in (embedded(), mapreduce, spark_here)]
    assert one.rows["vote"] == 200 and all(other.rows == one.rows and other.tables == one.tables for other in others)


COMMANDS = [
    ("evaluate --engine mapreduce --runner inline --full", DONE, ""),
    ("report", DONE, ""), ("gate", GATE_SAYS_NO, "does not hold"), ("status", DONE, ""),
    ("review sample --day {day} --p 0.5", DONE, ""),
    ("review sample --day {day} --kind review --strategy uncertain-first --items 20", DONE, ""),
    ("lineage {id}", DONE, "label '[ab]' by ana"), ("lineage --version 1", DONE, ""),
    ("forget {id}", ERROR, "the picture of prediction '{id}' was not stored"),
    ("import labels {file}", DONE, "1 label in"),
]


@pytest.mark.parametrize("words, code, said", COMMANDS, ids=lambda word: str(word).partition(" -")[0])
def test_every_command_works_or_says_what_it_lacks(root, first_id, tmp_path, capsys, words, code, said):
    file = tmp_path / "l.jsonl"
    file.write_text(json.dumps({"prediction_id": first_id, "label": "a", "labeler": "bob", "labeled_at": f"{DAY}T23:00:00Z"}))
    filled = words.format(day=DAY, id=first_id, file=file).split()
    takes_model = not words.startswith(("forget", "lineage {id}", "import"))
    assert trueup(root, *filled, *(["--model", MODEL] if takes_model else [])) == code
    out = capsys.readouterr()
    assert "Traceback" not in out.err and re.search(said.format(id=first_id), out.out + out.err)


@pytest.mark.parametrize("words", ["dataset", "cycle --in-process"])
def test_what_needs_pictures_says_that_none_is_stored(root, spark, capsys, words):
    code = trueup(root, *words.split(), "--model", MODEL)
    out = capsys.readouterr()
    assert code == ERROR and "Traceback" not in out.err
    assert "expected labelled predictions with stored images, got none: 200 x image not stored" in out.err


def test_the_pages_show_it(root):
    storage = open_root(root)
    for kind in samples.KINDS:
        if samples.read(storage, MODEL, DAY, kind) is None:
            samples.write(storage, samples.draw(MODEL, DAY, kind, samples.Design("random-audit", kind, p=0.9)))
    with serving(application(SmallService(root), NoAuth())) as address, httpx.Client(base_url=address) as client:
        for path in ("/reports", f"/audit?model={MODEL}&day={DAY}", f"/review?model={MODEL}&day={DAY}"):
            assert client.get(path, headers={"Accept": "text/html"}, follow_redirects=True).status_code == 200, path
        found = client.get("/reports", headers={"Accept": "text/html"}).text
    assert "50%" in found


def test_the_notebook_that_reads_rows_runs(root, monkeypatch, capsys):
    monkeypatch.setenv("TRUEUP_ROOT", root)
    run_cells(NOTEBOOKS / "versions.ipynb")
    assert "version 1: 200 labels" in capsys.readouterr().out
