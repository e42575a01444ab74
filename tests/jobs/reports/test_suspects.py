"""The report shows the newest list of labels that are likely wrong: the strongest of each split, with their pictures."""

import re
from io import BytesIO

import pytest
from PIL import Image

from contract import clock, ids, layout
from contract.errors import RootError
from contract.evaluations import find_newest_readable
from contract.records import LABEL
from contract.settings import ReportSettings
from contract.storage import open_storage
from jobs import evaluate
from jobs.reports import suspects
from jobs.reports.suspects import MOST, find_suspected
from jobs.reports.written import write_report
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows
from tests.suspects import make_suspect, put_suspects

SHAS = [f"{k:064x}" for k in range(MOST + 3)]
IDS = [ids.uuid7(clock.parse_moment(f"{DAY}T12:00:00Z"), entropy=f"s{k:09d}".encode()) for k in range(6)]
TRUSTED = ("audit", "import")


@pytest.fixture
def storage(tmp_path):
    """One day, evaluated; all pictures but 5 are stored."""
    root = f"file://{tmp_path}/root"
    make_root(root, right=90, n=100)
    assert evaluate.main(["--root", root, "--model", MODEL, "--from", DAY, "--to", DAY, "--no-report"]) == 0
    storage = open_storage(root)
    for sha256 in SHAS[:5] + SHAS[6:]:
        sink = BytesIO()
        Image.new("RGB", (300, 100)).save(sink, "PNG")
        storage.put(layout.image(sha256, "png"), sink.getvalue())
    return storage


def put_list(storage):
    """Picture 0 was imported with its folder, 3 is erased, 4 is confirmed, of 5 the picture is gone."""
    put_suspects(storage, MODEL, [
        make_suspect(SHAS[0], "<b>cat</b>", 0.004, DAY, None, "holdout"), make_suspect(SHAS[1], "eel", 0.02, DAY, IDS[1]),
        make_suspect(SHAS[3], "gone", 0.03, DAY, IDS[3]), make_suspect(SHAS[4], "fine", 0.04, DAY, IDS[4]),
        make_suspect(SHAS[5], "fox", 0.05, DAY, IDS[5], near=SHAS[1], near_label="eel")])
    storage.create(layout.erasure(SHAS[3]), b"{}")
    at = clock.parse_moment("2026-11-20T21:00:00Z")
    put_rows(storage, LABEL, layout.LABELS, [{
        "label_id": ids.uuid7(at), "prediction_id": IDS[4], "label": "fine", "labeler": "ann", "labeled_at": at,
        "origin": "feedback", "strategy": "suspects", "saw_prediction": False}], DAY, "said")


def render(storage, **wanted):
    name = find_newest_readable(storage, MODEL)
    html = storage.read(write_report(storage, MODEL, name, ReportSettings(**wanted))).decode()
    if 'id="s-suspects"' not in html:
        return None
    return html[html.index('id="s-suspects"'):html.index('id="s-rows"')].split("</section>")[0]


def write_words(section):
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_where_nobody_looked_nothing_is_said(storage):
    assert render(storage) is None


def test_the_strongest_of_each_split_are_shown_with_their_pictures_what_the_label_says_and_what_a_judge_says(storage):
    put_list(storage)
    section = render(storage)
    said = write_words(section)
    assert said.split("wrong (")[1].startswith("88 of 90 labels could be judged); people judged 1 since, and confirmed 1.")
    assert "4 labels of dataset d1 are likely wrong (" in said
    assert said.index("In train") < said.index("In holdout")
    assert "eel 2.0% dog version 1 says &#39;dog&#39; open" in said and "&lt;b&gt;cat&lt;/b&gt; 0.4% dog" in said
    assert f"nearly the same picture as {SHAS[1][:12]}" in said and "fine" not in said and "gone" not in said
    assert set(re.findall(r'data-image="(\w+)"', section)) == {SHAS[0], SHAS[1]}, "5 is not stored, 3 is erased, 4 confirmed"
    assert f'data-to="/pictures?model={MODEL}&amp;prediction_id={IDS[1]}"' in section
    assert f'data-to="/images/{SHAS[0]}"' in section
    assert f"trueup labels suspects --model {MODEL} --dataset d1 --send 50" in said
    assert f'data-to="/pictures/suspects?model={MODEL}"' in section


def test_as_many_get_pictures_as_the_settings_show_of_mistakes(storage):
    put_suspects(storage, MODEL, [make_suspect(SHAS[k], f"label {k}", k / 100, DAY, f"p{k}") for k in range(MOST + 3)])
    section = render(storage, examples=1, cells=3)
    assert len(re.findall("data-image", section)) == 3 and section.count('<th scope="row"') == MOST
    none = render(storage, examples=0)
    assert "<img" not in none and none.count('<th scope="row"') == MOST


def test_a_list_without_a_suspect_says_so(storage):
    put_suspects(storage, MODEL, [])
    assert "No label of dataset d1 is likely wrong; 88 of 90 labels could be judged." in write_words(render(storage))


def test_a_damaged_list_stops_no_report(storage):
    storage.put(layout.suspects(MODEL).format(1), b"{")
    assert find_suspected(storage, MODEL, TRUSTED, ReportSettings()) is None and render(storage) is None


def refuse(*_):
    raise RootError("access denied")


@pytest.mark.parametrize("read", ["read_newest", "read_said"])
def test_a_report_says_that_whoever_wrote_it_may_not_read_the_list_and_which_command_shows_it(storage, monkeypatch, read):
    put_list(storage)
    monkeypatch.setattr(suspects, read, refuse)
    said = write_words(render(storage))
    assert "whoever wrote this page may not read what was found" in said and f"trueup report --model {MODEL}" in said
    assert "In train" not in said
    monkeypatch.undo()
    assert "In train" in write_words(render(storage))


def test_who_may_not_list_is_told_nothing(storage, monkeypatch):
    monkeypatch.setattr(suspects, "is_any", refuse)
    assert find_suspected(storage, MODEL, TRUSTED, ReportSettings()) is None and render(storage) is None
