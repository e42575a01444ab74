"""The notebooks run on a small root and on the demo's, and can be read without running."""

import ast
import json
import os
import re
from pathlib import Path

import pytest

from contract.errors import UsageError
from contract.records import LABEL, PREDICTION
from contract.storage import open_root
from contract.stores.find_root import find_root
from jobs import evaluate
from tests.notebooks.run_cells import read_cells, run_cells
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows
from tests.test_architecture import PACKAGES
from tools import notebooks

HERE = Path(__file__).parents[2]
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
NAMES = ["accuracy", "policy", "versions"]
USED = {"accuracy": {"contract"}, "policy": {"contract", "metrics"}, "versions": {"contract", "metrics"}}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two versions, a day each, evaluated together; pointed to by the environment."""
    root = f"file://{tmp_path}/root"
    make_root(root, right=150, n=200, day="2026-11-10")
    make_root(root, right=190, n=200, day="2026-11-11", version="2")
    assert evaluate.main(["--root", root, "--model", MODEL, "--as-of", "2026-11-12T00:00:00Z"]) == 0
    monkeypatch.setenv("TRUEUP_ROOT", root)
    return root


def test_there_are_three():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_on_a_small_root(path, root, capsys):
    run_cells(path)
    assert "under version" in capsys.readouterr().out or path.stem == "policy"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_label_that_looks_like_a_formula_is_text(path, tmp_root, monkeypatch):
    def draw(plt):
        for number in plt.get_fignums():
            drawn.append(plt.figure(number))
            drawn[-1].canvas.draw()

    storage, drawn = open_root(tmp_root, create=True), []
    predictions, labels = ([row | {k: f"$x_{{{row[k]}$" for k in row.keys() & {"label", "predicted_label"}} for row in part]
                           for part in rows(60, 40, 60))
    put_rows(storage, PREDICTION, "predictions", predictions)
    put_rows(storage, LABEL, "labels", labels)
    assert evaluate.main(["--root", tmp_root, "--model", MODEL, "--as-of", f"{DAY}T23:59:59Z"]) == 0
    monkeypatch.setenv("TRUEUP_ROOT", tmp_root)
    monkeypatch.setenv("TRUEUP_MODEL", MODEL)
    run_cells(path, look=draw)
    assert len(drawn) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_reads_through_contract_and_metrics_and_ends_with_a_question(path):
    text = "\n".join("".join(cell["source"]) for cell in read_cells(path, "code"))
    ours = re.findall(rf"^(?:from|import) ({'|'.join(PACKAGES)})\b", text, re.MULTILINE)
    assert set(ours) == USED[path.stem]
    assert "".join(read_cells(path, "markdown")[-1]["source"]).startswith("## A question")
    assert "# change me" in "".join(read_cells(path, "code")[-1]["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_can_be_read_without_running(path):
    code = read_cells(path, "code")
    pictures = [out for cell in code for out in cell["outputs"] if "image/png" in out.get("data", {})]
    assert len(pictures) >= 2 and all(cell["execution_count"] for cell in code)
    assert not [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]
    assert not re.search(r"(/home/|/root/|/tmp/|/work/|/Users/|file://)", path.read_text())


@pytest.mark.slow("notebook")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs_in_a_kernel_on_the_demos_root(path, root, monkeypatch):
    """On `demo-root/` when `make demo` left one, else on the small root."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("TRUEUP_ROOT", str(HERE / "demo-root") if (HERE / "demo-root/evaluations").exists() else root)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(HERE / "notebooks")}}).execute()
    assert not any(out.output_type == "error" for cell in notebook.cells for out in cell.get("outputs", []))


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """An evaluation of a window without a prediction, from the folder that `jupyter lab` opens notebooks in."""
    root = make_root(f"file://{tmp_path}/root", right=3, n=4, day="2026-11-10")
    assert evaluate.main(["--root", root, "--model", MODEL, "--from", "2026-10-01", "--to", "2026-10-02"]) == 0
    monkeypatch.setenv("TRUEUP_ROOT", root)
    monkeypatch.chdir(HERE / "notebooks")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_survives_an_evaluation_without_data(path, no_data, capsys):
    run_cells(path)
    assert "Nothing is drawn below" in capsys.readouterr().out


def test_the_demos_root_is_found_from_the_notebooks_folder_and_named_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.delenv("TRUEUP_ROOT", raising=False)
    (tmp_path / "here/notebooks").mkdir(parents=True)
    with pytest.raises(UsageError, match="expected TRUEUP_ROOT, or the folder demo-root in .*trueup demo"):
        find_root(tmp_path / "here/notebooks")
    open_root(str(tmp_path / "here/demo-root"), create=True)
    assert find_root(tmp_path / "here/notebooks") == str(tmp_path / "here/demo-root")
    monkeypatch.setenv("TRUEUP_ROOT", "s3://b")
    assert find_root(tmp_path) == "s3://b"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_outputs_were_made_from_its_code(path):
    notebook = json.loads(path.read_text())
    assert notebook["metadata"]["trueup"] == {"made_by": "make notebooks", "sources": notebooks.hash_sources(notebook)}, (
        "the outputs are of other code: run `make notebooks`")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_divides_no_counts_itself(path):
    for cell in read_cells(path, "code"):
        divided = [node for node in ast.walk(ast.parse("".join(cell["source"]))) if isinstance(node, ast.BinOp)
                   and isinstance(node.op, ast.Div)]
        assert [ast.unparse(node) for node in divided if ast.unparse(node) != "policy.false_alarms_per_year / 365"] == []


@pytest.mark.slow("notebook")
def test_their_outputs_are_what_they_print_today(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert notebooks.main(["--check"]) == 0
