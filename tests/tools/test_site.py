"""The documentation as a site: every page is reached, the reference is whole, nothing is fetched from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from contract.settings import Settings
from pipeline.config import list_entries
from tools.site import hooks, reference

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:)?//'
                    r'|<link[^>]*rel="(?:stylesheet|icon|preconnect)"[^>]*href="(https?:)?//')


def list_pages(entry):
    """The pages of a navigation entry, in order."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in list_pages(part)]


def test_every_page_is_in_the_navigation():
    nav = list_pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = {page.name for page in (ROOT / "docs").glob("*.md")} | set(reference.PAGES) | {"decisions/README.md"}
    assert set(nav) == there and len(nav) == len(there)


def test_every_setting_says_what_it_means():
    assert [entry["setting"] for entry in list_entries(Settings()) if not entry["meaning"]] == []


def test_a_table_keeps_its_cells():
    assert reference._table(("a", "b"), [("x | y", "two\nlines")]) == "| a | b |\n|---|---|\n| x \\| y | two lines |"


def test_tags_of_fences_and_links_out_of_the_documentation_are_for_the_repository():
    page = "```sh slow\nls\n```\n[rules](../jobs/engines/rules.py), [why](decisions/README.md), [own](../decisions/0002.md)"
    assert hooks.on_page_markdown(page) == "```sh\nls\n```\nrules, [why](decisions/README.md), [own](../decisions/0002.md)"


def test_every_generated_page_can_be_written():
    written = {name: write() for name, write in reference.PAGES.items()}
    assert all(text.startswith("# ") for text in written.values())
    assert "POST /v1/predictions" in written["reference/http.md"]


@pytest.mark.slow("readme")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20 and [page.name for page in pages if LOADED.search(page.read_text())] == []
    commands = (tmp_path / "reference" / "commands.html").read_text()
    assert all(f"trueup {verb}" in commands for verb in ("evaluate", "emr plan", "review sample"))
