"""What a command line knows of a verb before its module is imported; it loads nothing, so that `--help` is quick."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """One command: the module that holds it, its line in the help, and the module's attribute that is the command."""

    module: str
    line: str
    attribute: str = "command"
