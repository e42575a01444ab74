"""The examples of docs/bring-logs-of-other-systems.md: every file is written, every command run, every output compared."""

import re
from pathlib import Path

import pytest

from jobs.imports.foreign import formats
from tests.jobs.imports.bring import COLUMNS, bring, put

PREDICTED = ["img1.jpg,2026-11-18,shop,1,cat,.9", "img2.jpg,2026-11-18,shop,1,dog,.9"]
PAGE = Path(__file__).resolve().parents[4] / "docs" / "bring-logs-of-other-systems.md"
FILE = re.compile(r"File `([^`]+)`:\n\n```json\n(.*?)```", re.S)
COMMAND = re.compile(r"```sh\ntrueup import (\w+) ([^\n]*)\n```\n\n```text\n(.*?)```", re.S)


def test_every_example_does_what_the_page_says(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    for name, content in FILE.findall(text):
        put(tmp_path / name, [content.rstrip("\n")])
    put(tmp_path / "p.csv", PREDICTED, COLUMNS)
    bring("root", "predictions", "p.csv")
    commands = COMMAND.findall(text)
    assert len(commands) == len(formats.FORMATS)
    for table, words, expected in commands:
        path, *options = words.replace("--root root", "").split()
        capsys.readouterr()
        assert bring("root", table, path, *options) == 0, words
        out, err = capsys.readouterr()
        assert (out + err).split("\n")[:-1] == expected.split("\n")[:-1]


@pytest.mark.parametrize("form", formats.FORMATS, ids=lambda form: form.name)
def test_no_example_fits_two_formats(tmp_path, form):
    files = [put(tmp_path / name, [content.rstrip("\n")]) for name, content in FILE.findall(PAGE.read_text())]
    fits = [path for path in files if form.matches(path)]
    assert len(fits) == 1 and not any(other.matches(fits[0]) for other in formats.FORMATS if other is not form)
