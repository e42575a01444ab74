"""The design is in the repository, and whoever cites it names a heading that is there."""

import re
import subprocess
from pathlib import Path

import click

from tests.command.test_examples import find, list_paths

ROOT = Path(__file__).resolve().parents[1]
DESIGN = ROOT / "docs" / "design.md"
CITED = re.compile(r"docs/design\.md(?:#([a-z0-9-]+))?")
# Citations in this tree when this was last raised: a test that reads half a tree must not pass.
AT_LEAST = 25


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def texts():
    names = subprocess.run(["git", "ls-files", "*.py", "*.md", "*.html", "*.json"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split()
    return {name: (ROOT / name).read_text() for name in names if (ROOT / name).is_file()}


def test_every_cited_heading_is_there():
    there = anchors(DESIGN.read_text())
    cited = [(name, anchor) for name, text in texts().items() for anchor in CITED.findall(text) if anchor]
    assert len(cited) >= AT_LEAST
    assert [(name, anchor) for name, anchor in cited if anchor not in there] == []


def test_nobody_cites_a_design_that_the_reader_does_not_have():
    old = re.compile(r"design, sections? \d|design's section \d")
    assert [name for name, text in texts().items() if old.search(text) and name != "tests/test_design.py"] == []


def list_designed():
    """The commands of the table of verbs: `model list, show` are `model list` and `model show`."""
    table = DESIGN.read_text().partition("| group | verbs |\n")[2].partition("\n\n")[0]
    for words in re.findall(r"`([^`]+)`", table):
        *group, first = words.split(", ")[0].split(" ")
        yield from (" ".join([*group, word]) for word in [first, *words.split(", ")[1:]])


def test_the_table_of_verbs_has_every_command_and_no_other():
    there = [words for words in list_paths() if not isinstance(find(words.split())[0].command, click.Group)]
    designed = list(list_designed())
    assert len(there) > 50
    assert sorted(designed) == sorted(there)
