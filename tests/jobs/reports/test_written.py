"""A judged evaluation has its report: whoever makes or judges one writes it, and never fails by it."""

import json

import pytest

from contract import layout
from contract.documents import erasures
from contract.settings import ReportSettings
from contract.storage import open_storage
from jobs import evaluate
from jobs.reports import written
from pipeline import gate
from tests.pipeline.roots import MODEL, make_root

DAY = "2026-11-10"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = f"file://{tmp_path_factory.mktemp('written')}/root"
    make_root(made, right=90, n=100, day=DAY)
    return made


def evaluated(root, capsys, *options):
    capsys.readouterr()
    assert evaluate.main(["--root", root, "--model", MODEL, "--from", DAY, "--to", DAY, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)["id"]


def read(root, evaluation_id):
    storage, key = open_storage(root), layout.report(MODEL, evaluation_id)
    return storage.read(key).decode() if storage.exists(key) else ""


def test_an_evaluation_has_a_report_and_the_gate_renews_it(root, capsys):
    name = evaluated(root, capsys)
    before = read(root, name)
    assert "In short" in before and "Gates for version" not in before
    assert gate.main(["--root", root, "--model", MODEL, "--evaluation", name, "--dry-run"]) in (0, 3, 4)
    assert read(root, name) == before
    assert gate.main(["--root", root, "--model", MODEL, "--evaluation", name]) in (0, 3, 4)
    assert "Gates for version" in read(root, name)


def test_who_wants_speed_has_none(root, capsys, monkeypatch):
    assert not read(root, evaluated(root, capsys, "--no-report"))
    monkeypatch.setenv("TRUEUP_REPORT_AUTOMATIC", "false")
    name = evaluated(root, capsys)
    gate.main(["--root", root, "--model", MODEL, "--evaluation", name])
    assert not read(root, name)


def test_a_report_that_fails_is_said_and_fails_nothing(root, caplog, monkeypatch):
    monkeypatch.setattr(written, "render", lambda *_: 1 / 0)
    assert evaluate.main(["--root", root, "--model", MODEL, "--from", DAY, "--to", DAY]) == 0
    said = caplog.text
    assert "was not written: ZeroDivisionError" in said and "Try again: trueup report" in said


def test_a_picture_erased_while_the_report_is_rendered_is_not_left_in_it(root, capsys, monkeypatch):
    name, storage, sha256 = evaluated(root, capsys, "--no-report"), open_storage(root), "ab" * 32
    pages = [f'<img data-image="{sha256}">', "<p>without it</p>"]

    def render(*_):
        erasures.ask(storage, erasures.Erasure(image_sha256=sha256, at="2026-11-11T00:00:00Z", by="ana", asked=sha256, reason=""))
        return pages.pop(0)

    monkeypatch.setattr(written, "render", render)
    written.write_report(storage, MODEL, name, ReportSettings())
    assert read(root, name) == "<p>without it</p>"
