"""A click group whose commands are imported when they run: `LazyGroup`, after the recipe in click's documentation.

`--help` and a mistyped word import nothing, because the group knows the name and the help line of every command.
"""

import difflib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from command.verb import Verb
from contract.errors import TrueupError, UsageError

# Our own packages: any other module that is missing at import belongs to an extra that was not installed.
OURS = ("command", "contract", "emr", "inference", "jobs", "jvm", "metrics", "pipeline", "training")


class PackageMissing(TrueupError):
    """A command needs a Python package that is not installed."""


class LazyGroup(click.Group):
    """A group of the commands that `verbs()` names; of a name with two words, the first is a group in this one."""

    def __init__(self, name: str, verbs: Callable[[], dict[str, Verb]], **settings: Any) -> None:
        super().__init__(name, **settings)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the words that may follow, in the order of `verbs()`."""
        return list(dict.fromkeys(name.partition(" ")[0] for name in self.verbs()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command of that word; None when there is none. Raises PackageMissing."""
        verbs = self.verbs()
        if cmd_name in verbs:
            return load(f"{ctx.command_path} {cmd_name}", verbs[cmd_name])
        inner = {name.removeprefix(f"{cmd_name} "): verb for name, verb in verbs.items() if name.startswith(f"{cmd_name} ")}
        return LazyGroup(cmd_name, lambda: inner) if inner else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first word names. Raises UsageError with the word that was probably meant."""
        words = self.list_commands(ctx)
        if args[0] in words:
            return super().resolve_command(ctx, args)
        path = ctx.command_path
        near = difflib.get_close_matches(args[0], words, 1)
        hint = f" Did you mean `{path} {near[0]}`?" if near else ""
        if not near and ctx.parent:
            below = path.partition(" ")[2]
            hint = f" There are: {', '.join(f'{below} {word}' for word in words)}."
        raise UsageError(f"there is no `{path} {args[0]}`.{hint} `{ctx.find_root().command_path} --help` lists all verbs.")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Returns the words that begin so, with their lines; click's own would import each command."""
        lines = {name.partition(" ")[0]: verb.line for name, verb in reversed(self.verbs().items())}
        words = [CompletionItem(word, help=lines[word]) for word in self.list_commands(ctx) if word.startswith(incomplete)]
        return words or click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the words and their lines; click's own would import each command for its docstring."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.line) for name, verb in self.verbs().items()])


def load(path: str, verb: Verb) -> click.Command:
    """Imports the command of a verb; `path` is what a person typed, for PackageMissing."""
    try:
        return getattr(import_module(verb.module), verb.attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        raise PackageMissing(f"`{path}` needs the Python package {error.name!r}, which is not installed. "
                             f"`make setup` installs everything; setup.py names the extras.") from error
