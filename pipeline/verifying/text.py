"""What was found, for people: how much is equal, then everything that is not, figure by figure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from command.terminal import escape
from contract.documents.verification import BAD, EQUAL, OPEN, STATES, UNHASHED, Finding
from contract.errors import shorten

MOST = 20  # figures of one object that are shown; --json has them all


def write_text(document: Mapping[str, Any]) -> str:
    """The whole text; the last line says how it ended."""
    findings = document["findings"]
    lines = [_count(findings)]
    for state in STATES:
        if state != EQUAL:
            lines += _write_state(state, [f for f in findings if f["state"] == state])
    if bundle := document["bundle"]:
        lines.append(escape(f"bundle {bundle['file']}: {bundle['objects']:,} objects of {bundle['root']}"))
    return "\n".join([*lines, escape(document["sentence"])])


def _count(findings: Sequence[Finding]) -> str:
    figures = sum(f.get("equal", 0) for f in findings)
    states = Counter(f["state"] for f in findings)
    others = "".join(f", {states[state]} {state}" for state in (*BAD, *OPEN, UNHASHED) if states[state])
    return f"{figures:,} figures equal; {states[EQUAL]:,} checks of files and documents equal{others}"


def _write_state(state: str, findings: Sequence[Finding]) -> Iterator[str]:
    if state == UNHASHED and findings:
        yield escape(f"{state}  {len(findings):,} objects, the first is {findings[0]['of']}: {findings[0]['said']}")
        return
    for finding in findings:
        yield escape(f"{state}  {finding['of']}: {finding['said']}")
        differ = finding.get("differ", [])
        for figure in differ[:MOST]:
            yield escape(f"    {figure['figure']}: told {shorten(figure['told'])}, recomputed {shorten(figure['recomputed'])}")
        if len(differ) > MOST:
            yield f"    and {len(differ) - MOST:,} more (--json)"
