"""A click group whose commands are imported when they run: `LazyGroup`, after the recipe in click's documentation.

`--help` and a mistyped word import nothing, because the group knows the name and the help line of every command.
"""

import gc
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from command.groups import Group
from command.verb import Verb
from contract.errors import TrueupError

# Our own packages: any other module that is missing at import belongs to an extra that was not installed.
OURS = ("command", "contract", "emr", "inference", "jobs", "jvm", "metrics", "pipeline", "training")
# Help lines of the groups that no module defines.
GROUP_LINES = {"import": "Bring in what others wrote: labels, predictions, pictures by class folder.",
               "labels": "Look at the labels that datasets are made of.",
               "pictures": "Look at the pictures that were stored.",
               "review": "Choose which pictures people are asked about, and measure who answers."}


class PackageMissing(TrueupError):
    """A command needs a Python package that is not installed."""


class LazyGroup(Group):
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
        return LazyGroup(cmd_name, lambda: inner, help=GROUP_LINES.get(cmd_name)) if inner else None

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
    gc.disable()  # of modules nothing is garbage, and to look for it takes a tenth of their time
    try:
        return getattr(import_module(verb.module), verb.attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        raise PackageMissing(f"`{path}` needs the Python package {error.name!r}, which is not installed. "
                             f"`make setup` installs everything; setup.py names the extras.") from error
    finally:
        gc.enable()
