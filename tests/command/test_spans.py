"""Spans of several processes in one file, and what a stretch of time was spent on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command import spans
from command.spans import JAVA, KINDS, START, TRAFFIC, WAITING, WORK, Span

REPO = Path(__file__).resolve().parents[2]
WHOLE = st.integers(0, 20)
SPANS = st.lists(st.tuples(st.sampled_from(KINDS), WHOLE, WHOLE).map(lambda s: Span(s[0], min(s[1:]), max(s[1:]))), max_size=8)


@given(SPANS, WHOLE, WHOLE)
def test_each_second_belongs_to_the_most_telling_span_that_covers_it(noted, one, other):
    begin, end = min(one, other), max(one, other)
    expected = dict.fromkeys((*KINDS, WORK), 0)
    for second in range(begin, end):
        on = [s.kind for s in noted if s.begin <= second and s.end >= second + 1]
        expected[min(on, key=KINDS.index) if on else WORK] += 1
    assert spans.attribute(noted, begin, end) == expected


def test_what_is_written_is_read_and_a_torn_line_is_left_out(tmp_path, monkeypatch, capsys):
    file = tmp_path / "spans"
    monkeypatch.setenv(spans.SPANS_FILE, str(file))
    began = time.monotonic()
    with pytest.raises(KeyError), spans.span(WAITING):
        raise KeyError
    spans.write(TRAFFIC, began)
    with open(file, "a") as torn:
        torn.write('{"kind": "java", "beg')
    first, second = spans.read(file)
    assert (first.kind, second.kind) == (WAITING, TRAFFIC) and began == second.begin <= first.begin <= first.end <= second.end
    assert "no span is left out" in capsys.readouterr().err


def test_without_the_variable_or_its_folder_nothing_is_written_and_nothing_fails(tmp_path, monkeypatch):
    monkeypatch.delenv(spans.SPANS_FILE, raising=False)
    spans.note_start()
    spans.write(JAVA, 0.0)
    monkeypatch.setenv(spans.SPANS_FILE, str(tmp_path / "no such folder" / "spans"))
    spans.write(JAVA, 0.0)
    assert spans.read(tmp_path / "spans") == [] and not hasattr(__import__, "__wrapped__")


def test_a_process_notes_its_start_and_its_late_imports(tmp_path):
    """It sleeps before it notes its start, and imports a module that takes 0.2 s afterwards."""
    (tmp_path / "slow_module.py").write_text("import time\nimport json\ntime.sleep(0.2)\n")
    program = ("import time; time.sleep(0.3); from command import spans; spans.note_start(); spans.note_start()\n"
               "import slow_module, importlib, sys\nimportlib.import_module('slow_module')")
    before = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=os.environ | {
        spans.SPANS_FILE: "spans", "PYTHONPATH": f"{REPO}:{tmp_path}"})
    start, late = spans.read(tmp_path / "spans")
    assert start.kind == late.kind == START
    assert before - 0.1 <= start.begin and start.end - start.begin >= 0.3 and late.begin >= start.end
    assert late.end - late.begin >= 0.2 and late.end <= time.monotonic()
