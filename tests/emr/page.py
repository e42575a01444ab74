"""What docs/deploy.md shows as the output of a command, beside what the command prints on the fake account.

A block ```` ```text output NAME ```` is compared line by line; a line `…` stands for any lines, `…` in a line for any text.
What differs from run to run (moments, seconds, random names, hashes) is written in one way on both sides.
"""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/deploy.md"
SAME = [(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-11-29T14:30:00Z"), (r"\b[0-9a-f]{64}\b", "<sha256>"),
        (r"-rehearsal-[0-9a-f]{8}\b", "-rehearsal-1a2b3c4d"), (r" +\d+\.\d s +\$\d+\.\d\d ", " 1.0 s $0.00 "),
        (r" +\d+\.\d s ", " 1.0 s "), (r"f{16}", "<source>"),
        (r"-[0-9a-f]{16}\b", "-<request>"), (r"predictions of \d{4}-\d\d-\d\d", "predictions of 2026-11-29"),
        (r"(table|as of) \d{4}-\d\d\b", r"\1 <month>"), (r"\$\d+\.\d\d beside", "$0.00 beside")]


def write_same(text):
    """The text without what differs from run to run."""
    for pattern, same in SAME:
        text = re.sub(pattern, same, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def shown():
    """Name -> text of every output that the page shows."""
    return dict(re.findall(r"^```text output (\S+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S))


def complaints():
    """What the page says that a command says when something is wrong: the quoted first column of its last table."""
    table = PAGE.read_text().split("## What goes wrong")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.M)


def check(name, printed):
    """AssertionError with what was printed, when the page shows something else."""
    given, printed = write_same(shown()[name]), write_same(printed)
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*") + r"\n"
                      for line in given.splitlines())
    assert re.fullmatch(pattern, f"{printed}\n"), f"docs/deploy.md, output {name}: expected\n{printed}"
