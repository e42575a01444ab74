"""What people bring by mistake: each has a clear error or a named verdict, and loses nothing."""

import json

import pytest

from contract.layout import MARKER
from contract.records import LABEL
from contract.storage import open_storage
from contract.stores.local import LocalStorage
from pipeline import cycle
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows

pytestmark = pytest.mark.usefixtures("fake_stages")


@pytest.fixture
def turn(tmp_root, capsys):
    """One cycle; its document."""

    def run(*options, code, model=MODEL):
        assert cycle.main(["--root", tmp_root, "--model", model, "--in-process", "--json", *options]) == code
        return json.loads(capsys.readouterr().out)

    return run


def contents(root):
    return {e.key: e.etag for e in open_storage(root).list()}


def test_a_root_that_does_not_exist(turn, tmp_path):
    error = turn(code=1)["error"]
    assert error["code"] == "RootError" and "expected a Trueup root, found nothing there" in error["message"]
    assert list(tmp_path.iterdir()) == []  # and none was made


def test_a_root_that_is_not_writable(turn, tmp_root):
    make_root(tmp_root, right=120, n=200)
    open_storage(tmp_root).put("runs", b"a file where a folder should be")  # rights do not stop the superuser
    before = contents(tmp_root)
    error = turn(code=1)["error"]
    assert error["code"] == "RootError" and "is not writable" in error["message"]
    assert contents(tmp_root) == before


def test_a_root_of_another_schema(turn, tmp_root):
    make_root(tmp_root, right=120, n=200)
    open_storage(tmp_root).put(MARKER, b'{"schema": "2"}')
    before = contents(tmp_root)
    assert "has schema '2'; this Trueup reads and writes schema '1'" in turn(code=1)["error"]["message"]
    assert contents(tmp_root) == before


def test_a_store_without_conditional_writes(turn, tmp_root, monkeypatch):
    make_root(tmp_root, right=120, n=200)
    monkeypatch.setattr(LocalStorage, "create", LocalStorage.put)
    assert turn(code=1)["error"]["code"] == "NoConditionalWrites"
    assert {e.key for e in open_storage(tmp_root).list("models/digits/history")} == {
        "models/digits/history/00000001.json"}


def test_a_model_that_was_never_published(turn, tmp_root):
    make_root(tmp_root, right=120, n=200)
    error = turn(code=1, model="dogs")["error"]
    assert error["code"] == "NoSuchModel" and "Models there: digits. Publish one: trueup publish" in error["message"]


def test_an_empty_window(turn, tmp_root):
    make_root(tmp_root, right=120, n=200)
    made = turn("--from", "2020-01-01", "--to", "2020-01-07", code=4)
    assert (made["status"], made["stages"]["gate"]["reasons"]) == ("cannot tell", ["no data"])


def test_a_root_without_any_prediction(turn, tmp_root):
    make_root(tmp_root, right=120, n=200)
    for key in list(contents(tmp_root)):
        if key.startswith(("predictions", "labels")):
            open_storage(tmp_root).delete(key)
    assert turn(code=4)["stages"]["gate"]["reasons"] == ["no data"]


def test_a_window_without_labels(turn, tmp_root):
    make_root(tmp_root, right=0, n=200, labelled=0)
    assert turn(code=4)["stages"]["gate"]["reasons"] == ["labels still arriving"]


@pytest.mark.parametrize("data", [b"", b"PAR1 but not really", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_corrupt_parquet_file(turn, tmp_root, data):
    make_root(tmp_root, right=120, n=200)
    open_storage(tmp_root).put(f"predictions/dt={DAY}/broken.parquet", data)
    error = turn(code=1)["error"]
    assert f"predictions/dt%3D{DAY}/broken.parquet: expected a Parquet file" in error["message"].replace("dt=", "dt%3D")
    open_storage(tmp_root).delete(f"predictions/dt={DAY}/broken.parquet")
    assert turn(code=0)["published"] == "2"  # and the next start is not stuck with it


def test_a_label_whose_prediction_is_missing(turn, tmp_root):
    make_root(tmp_root, right=199, n=200)
    put_rows(open_storage(tmp_root), LABEL, "labels", rows(260, 0, 260)[1][200:], writer="late")
    made = turn(code=0)
    assert (made["status"], made["stages"]["gate"]["verdict"]) == ("healthy", "pass")


@pytest.mark.parametrize(("options", "message"), [
    (["--from", "yesterday"], "is no day: expected YYYY-MM-DD"),
    (["--from", "2026-11-12", "--to", "2026-11-10"], "expected the first day not to be after the last"),
    (["--set", "gates.min_acuracy=0.5"], "Did you mean 'gates.min_accuracy'"),
])
def test_wrong_usage(turn, tmp_root, options, message):
    make_root(tmp_root, right=120, n=200)
    assert message in turn(*options, code=2)["error"]["message"]
