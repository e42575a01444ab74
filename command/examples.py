"""The examples in the help of every command, and how help shows them.

tests/command/test_examples.py reads each as the command line would.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from command.examples_text import TEXT

WIDEST = 78


def parse_examples(text: str) -> dict[str, list[str]]:
    """Parses TEXT: command -> its lines, `# what for` and what is typed."""
    found: dict[str, list[str]] = {}
    path = ""
    for line in filter(None, text.splitlines()):
        if line.startswith(" "):
            found[path].append(line.strip())
        else:
            path = line
            found[path] = []
    return found


EXAMPLES = parse_examples(TEXT)


def write_examples(path: str, formatter: click.HelpFormatter) -> None:
    """Writes the examples of a command; `path`: what a person types, without `trueup`."""
    if found := EXAMPLES.get(path):
        with formatter.section("Examples"):
            for line in found:
                formatter.write("".join(f"  {part}\n" for part in ([line] if line.startswith("#") else wrap(line))))


def wrap(line: str) -> Iterator[str]:
    """Yields a command line in parts of at most WIDEST columns, each but the last with a backslash, between options."""
    part = ""
    for word in map(shlex.quote, shlex.split(line)):
        room = WIDEST - (0 if not word.startswith("--") else 12)
        if part and len(f"{part} {word} \\") > room:
            yield f"{part} \\"
            part = "   "
        part = f"{part} {word}" if part else word
    yield part


class Command(click.Command):
    """A command whose help ends with its examples."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        write_examples(find_path(ctx), formatter)


def find_path(ctx: click.Context) -> str:
    """Finds the words of a command that follow `trueup`; a command that is run as a module is called by its verb, too."""
    return ctx.command_path.partition(" ")[2]
