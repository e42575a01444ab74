"""README and the pages of docs/: their commands run, their quoted output is real; and no file says where packages come from.

The first words after a fence say what a block is: `sh run` (runs here), `sh slow` (runs by `make test-slow K=readme`),
`sh show` (not run: it needs AWS, say), `text output` (what the block before it prints, abridged by lines of `…`).
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
TAGS = {"run", "slow", "show", "output"}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it starts, its tag ("" when it has none) and its text."""

    line: int
    tag: str
    text: str


def blocks(markdown):
    """The fenced blocks of a page, in order."""
    found, opened, lines = [], None, []
    for number, line in enumerate(markdown.splitlines(), 1):
        fence = re.match(r"```\s*(.*)$", line)
        if fence and opened is None:
            opened, lines = (number, fence[1].split()), []
        elif fence:
            words = opened[1]
            found.append(Block(opened[0], words[1] if len(words) > 1 else "", "\n".join(lines) + "\n"))
            opened = None
        else:
            lines.append(line)
    return found


def form(text):
    """Lines without what differs from run to run: digits, hashes, widths, blank lines."""
    text = re.sub(r"\b[0-9a-f]{8,64}\b", "N", text)
    text = re.sub(r"\d[\d.,:]*", "N", text)
    return [" ".join(re.sub(r"[-─━═]{3,}", "---", line).split()) for line in text.splitlines() if line.strip()]


def first_missing(quoted, real):
    """The first quoted line whose form does not follow in the real output; None when all do."""
    rest = iter(form(real))
    wanted = (line for line in form(quoted) if line not in ("…", "..."))
    return next((line for line in wanted if line not in rest), None)


def run_in_order(path, tags, folder):
    """Run the blocks of a page with these tags one after another in one folder, and compare what they print with the quotes."""
    page = blocks(path.read_text())
    environ = os.environ | {"PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}", "TRUEUP_REPO": str(folder)}
    ran = 0
    for block, following in zip(page, [*page[1:], None], strict=True):
        if block.tag not in tags:
            continue
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        # Both streams in one, in the order in which a person sees the lines.
        done = subprocess.run(command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = done.stdout
        assert done.returncode == 0, f"{path.name}:{block.line} ended with {done.returncode}:\n{said[-3000:]}"
        if following and following.tag == "output":
            missing = first_missing(following.text, said)
            assert missing is None, f"{path.name}:{following.line} quotes {missing!r}; it printed:\n{said[-3000:]}"
        ran += 1
    return ran


def pages_with(tag):
    """The pages that have blocks with this tag, as parameters of a test."""
    return [pytest.param(page, id=page.stem) for page in PAGES if any(block.tag == tag for block in blocks(page.read_text()))]


def test_every_block_of_the_readme_says_what_it_is():
    untagged = [f"README.md:{block.line}" for block in blocks(README.read_text()) if block.tag not in TAGS]
    assert untagged == [], f"tag them: {sorted(TAGS)}"
    assert len(README.read_text().splitlines()) < 150


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like a checkout and is set up: what the commands leave in it does not land in the tree."""
    tops = {name.split("/")[0] for name in git("ls-files", "-z").split("\0") if name}
    for name in {*tops, ".venv"}:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_pages_have_commands_that_run():
    assert len(pages_with("run")) > 3 and len(pages_with("slow")) > 3


@pytest.mark.parametrize("page", pages_with("run"))
def test_the_quick_commands_run(page, checkout):
    run_in_order(page, {"run"}, checkout)


@pytest.mark.slow("readme")
@pytest.mark.parametrize("page", pages_with("slow"))
def test_all_commands_run(page, checkout):
    """The quick ones once more, because the slow ones may stand on what they left."""
    assert run_in_order(page, {"run", "slow"}, checkout) > 0


def test_blocks_are_found_with_their_tags():
    page = "a\n```sh run\nls\n```\n\n```text output\nx\n```\n```python\n1\n```\n"
    assert [(block.line, block.tag) for block in blocks(page)] == [(2, "run"), (6, "output"), (9, "")]


def test_the_form_forgets_figures_and_keeps_words():
    real = "start\nversion 2   accuracy 0.913 (0.88-0.94)\nwrote /a/deadbeef12345678\n"
    assert first_missing("version 1 accuracy 0.5 (0.4-0.61)\n…\nwrote /a/0123abcd01234567\n", real) is None
    assert first_missing("version 1 precision 0.5 (0.4-0.61)\n", real) == "version N precision N (N-N)"
    assert first_missing("wrote /a/0123abcd01234567\nstart\n", real) == "start", "the order counts"


# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = [
    "py" + r"pi\.org",
    "python" + r"hosted\.",
    "mave" + r"n\.(org|apache)",
    "mave" + r"n-central",
    "ana" + r"conda\.(org|com)",
    "index" + r"[-_]url\s*=\s*http",
    "clau" + "de",
    "anthro" + "pic",
    "chat" + "gpt",
    "/work" + "/(main|shared)",
    r"\bwork" + r"places?\b",
    r"\b(ai|coding|sub)[- ]?agents?\b",
    r"\bco-authored" + "-by",
]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def tracked_files():
    return [ROOT / name for name in git("ls-files", "-z").split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_registry_or_who_typed_it():
    files = tracked_files()
    assert len(files) > 30
    pattern = re.compile("|".join(FORBIDDEN), re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


def test_no_commit_message_does_either():
    pattern = re.compile("|".join(FORBIDDEN), re.IGNORECASE)
    assert [line for line in git("log", "--format=%B").splitlines() if pattern.search(line)] == []
