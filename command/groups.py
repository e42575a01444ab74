"""A click group in our words: every line of its help whole, examples, and the word that was probably meant."""

from __future__ import annotations

import difflib

import click

from command.examples import find_path, write_examples
from contract.errors import UsageError


class Group(click.Group):
    """A group of commands."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first word names. Raises UsageError with the word that was probably meant."""
        words = self.list_commands(ctx)
        if args[0] in words:
            return super().resolve_command(ctx, args)
        path = ctx.command_path
        near = difflib.get_close_matches(args[0], words, 1)
        hint = f" Did you mean `{path} {near[0]}`?" if near else ""
        if not near and " " in path:
            below = path.partition(" ")[2]
            hint = f" There are: {', '.join(f'{below} {word}' for word in words)}."
        raise UsageError(f"there is no `{path} {args[0]}`.{hint} `{ctx.find_root().command_path} --help` lists all verbs.")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes each command with its first sentence; click's own cuts it."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(1000)) for name, command in commands if command])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples."""
        super().format_epilog(ctx, formatter)
        write_examples(find_path(ctx), formatter)
