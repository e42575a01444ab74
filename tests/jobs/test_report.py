import re
import webbrowser
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from contract import jsonio, layout
from contract.errors import NotFound
from contract.evaluations import newest
from contract.report_script import SCRIPT, csp_source
from contract.storage import open_root, open_storage
from jobs import report
from jobs.reports import page
from jobs.reports.written import write_report
from metrics import tables
from metrics.since_dataset import Learnt
from metrics.window import WindowCounts
from tests.figures import cell, day, document, random_cells

HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"
DECISION = {"verdict": "fail", "version": "1", "sentence": "Version 1 does not hold.", "gates": [
    {"gate": "accuracy", "verdict": "fail", "value": 0.7, "low": 0.6, "high": 0.8, "n": 90, "bound": 0.9,
     "sentence": "Below the bound."},
    {"gate": "complete", "verdict": "cannot tell", "reason": "partial evaluation", "sentence": "Left out 1 part."}]}


def text(html):
    """The page as a reader sees it, roughly: tags gone, white space single."""
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)).split())


def test_the_headline_is_the_estimate_with_its_interval_and_what_it_rests_on():
    cells = [cell("a", "a", 0.9, origin="audit", n=90), cell("a", "b", 0.6, origin="audit", n=10),
             cell("b", "a", 0.3, origin="feedback", n=100)]
    shown = text(page.render(document(day(cells)), DECISION))
    assert "fail Version 1 does not hold." in shown
    assert "90% 83 to 94% (95% interval) Rests on a random audit, answered blind: 100 labels." in shown
    assert "All labels, plain 45%" in shown


def test_the_table_that_checks_labels():
    cells = [cell("a", "a", 0.97, n=9), cell("a", "b", 0.97, split=True), cell("b", "b", 0.3, n=4)]
    shown = text(page.render(document(day(cells))))
    assert "a 10 9 1 1 90% 10 1 90% – 0" in shown
    assert "b 4 4 0 0 100% 4 0 100% 0.30 4" in shown
    assert "All classes 14 13 1 1 93%" in shown
    assert "Class average 95% 100% 90%" in shown


def test_it_says_who_answered_and_what_is_new_and_what_unlabelled_rows_promise():
    cells = [cell("a", "a", 0.9, origin="audit", n=80), cell("a", "b", 0.9, origin="audit", n=20), cell("a", None, 0.9, n=50)]
    shown = text(page.render(document(day(cells), learnt=Learnt("1", "d", "2026-11-01"))))
    assert "Audit labels, 100 of 100 of days without a sample document; not known to be unbiased." in shown
    assert "Of 50 predictions without a label about 80% (72 to 88%) should be right" in shown
    assert "100 labelled predictions of days after 2026-11-01, the last of its dataset; 20 of them were wrong." in shown
    assert "Label New labels Wrong predictions b 20 20" in shown


def test_what_is_shown_of_a_labeler_rests_on_pairs_with_other_people():
    """A vote that nobody else cast agrees with the consensus, which is itself."""
    people = [{"labeler": "alone", "votes": 40, "agreements": 40},
              {"labeler": "ada", "votes": 30, "agreements": 30, "pairs": 20, "agreeing_pairs": 15}]
    shown = text(page.render(document(day([cell("a", "a", n=70)], people=people))))
    assert "Labeler Labels Pairs with other people of them alike Interval" in shown
    assert "alone 40 0 –" in shown and "ada 30 20 75% 53 to 89%" in shown


@pytest.mark.parametrize("days", [[], [day([])], [day([cell(n=3)])], [day([cell("a", "b", 0.4)])],
                                  [day([cell("a", "a")])], [day(random_cells(1), "2026-11-19"), day(random_cells(2))]])
@pytest.mark.parametrize("decision", [None, DECISION])
def test_every_document_renders(days, decision):
    html = page.render(document(*days), decision)
    assert html.startswith("<!doctype html>") and html.count("<h1>") == 1
    assert not re.search(r"\bnan\b|None|Undefined", text(html))


def test_what_people_wrote_is_escaped():
    cells = [cell(HOSTILE, "b", 0.5, version=HOSTILE), cell("b", HOSTILE, version=HOSTILE)]
    people = [{"labeler": HOSTILE, "votes": 2, "agreements": 1}]
    slices = [{"slice": HOSTILE, "value": HOSTILE, "model_version": HOSTILE, "origin": None, "predicted": "b",
               "label": None, "n": 1}]
    html = page.render(document(day(cells, people=people, slices=slices), model=HOSTILE,
                                partial=[{"file": HOSTILE, "reason": HOSTILE}]))
    assert "<img" not in html and "49" not in text(html)
    assert html.count("&lt;img src=x") > 10


def test_it_needs_no_network():
    html = page.render(document(day(random_cells(1))), DECISION)
    assert not re.search(r"https?:|src=|@import|url\(|<script |<link", html)
    assert re.findall(r"<script>(.*?)</script>", html, re.DOTALL) == [SCRIPT]
    assert csp_source() == f"'sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}'"


def test_ten_thousand_classes_stay_below_5_megabytes():
    cells = [cell(f"class {i:05}", f"class {i if i % 5 else i // 2:05}", 0.5 + (i % 10) / 20, n=3)
             for i in range(10_000)]
    html = page.render(document(day(cells)))
    assert len(html.encode()) < 5_000_000
    assert "9,000 others stand in per_class.parquet" in text(html)


def test_the_command_writes_beside_the_newest_evaluation(tmp_root, capsys):
    storage = open_root(tmp_root, create=True)
    for name in ("2026-11-19-aaaaaaaa", "2026-11-20-bbbbbbbb"):
        storage.create(layout.evaluation("m", name) + "evaluation.json", jsonio.dumps(document(day([cell("a", "a")]))))
    assert report.main(["--root", tmp_root, "--model", "m"]) == 0
    written = storage.read(layout.evaluation("m", "2026-11-20-bbbbbbbb") + "report.html").decode()
    assert capsys.readouterr().out.strip() == storage.uri("evaluations/m/2026-11-20-bbbbbbbb/report.html")
    storage.create(layout.evaluation("m", "2026-11-20-bbbbbbbb") + "decision.json", jsonio.dumps(DECISION))
    write_report(storage, "m", "2026-11-20-bbbbbbbb")
    again = storage.read(layout.evaluation("m", "2026-11-20-bbbbbbbb") + "report.html").decode()
    assert "does not hold" in again and "does not hold" not in written


def test_open_shows_the_page_or_says_that_there_is_no_browser(s3_root, tmp_root, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or len(shown) < 3)
    for root, code in ((tmp_root, 0), (s3_root, 0), (tmp_root, 2)):
        storage = open_root(root, create=True)
        storage.put(layout.evaluation("m", "e") + "evaluation.json", jsonio.dumps(document(day([cell("a", "a")]))))
        assert report.main(["--root", root, "--model", "m", "--open"]) == code
    assert shown[0].endswith("/evaluations/m/e/report.html") and shown[1].startswith("file:///")
    assert Path(shown[1].removeprefix("file://")).read_bytes() == open_root(s3_root).read("evaluations/m/e/report.html")
    assert "--open: expected a browser on this machine, found none." in capsys.readouterr().err


def test_an_evaluation_that_is_not_there(tmp_root):
    open_root(tmp_root, create=True)
    storage = open_storage(tmp_root)
    with pytest.raises(NotFound, match="expected an evaluation of model 'm', found none"):
        newest(storage, "m")
    with pytest.raises(NotFound, match="has no evaluation 'x'; the newest are: none"):
        write_report(storage, "m", "x")


def test_tables_of_the_document_hold_every_class():
    days = [day([cell(f"c{i}", f"c{i}") for i in range(300)])]
    assert tables.tables(document(*days), WindowCounts.of(days))["per_class"].num_rows == 300
