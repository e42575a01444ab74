"""What every command shares: --root, --config, --json, errors as exit codes.

A stage is a click command wrapped by `stage_command`; its function gets `settings` first and returns an exit code, or
an `Outcome` whose document `--json` prints. Library errors become one message on stderr, and with --json one document
on stdout.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from functools import wraps
from io import StringIO
from typing import Any

import click

from command.examples import Command
from command.interrupts import INTERRUPTED, end_started, heed_interrupts, may_say, was_interrupted
from command.names import suggest
from command.options import check_arguments
from command.process import has_lost_its_reader
from contract import jsonio
from contract.errors import DONE, ERROR, USAGE, TrueupError
from contract.sections.modules import allow
from contract.sections.pictures import choose_decoder
from contract.settings import is_submitted


@dataclass
class Outcome:
    """How a command ended: its exit code, its document (for --json), and its text for people (may be empty).

    A text that takes time to make may be a function that makes it: with --json it is not wanted.
    """

    code: int = DONE
    document: dict[str, Any] = field(default_factory=dict)
    text: str | Callable[[], str] = ""


def stage_command(name: str, **attributes: Any) -> Callable[[Callable[..., Outcome]], click.Command]:
    """Makes a click command of a function (settings, **options) -> Outcome, with the common options added.

    `attributes`: those of click.Command, such as `help`.
    """

    def decorate(function: Callable[..., Outcome]) -> click.Command:
        @wraps(function)
        def wrapped(root: str | None, config: str | None, as_json: bool, overrides: tuple[str, ...], **options: Any) -> int:
            from command.load_settings import load

            settings = load(root=root, path=config, overrides=overrides)
            allow(settings.allow_modules)
            choose_decoder(settings.pictures.decoder, settings.pictures.endings)
            outcome = function(settings, **options)
            emit(outcome, as_json)
            return outcome.code

        for option in reversed(COMMON):
            wrapped = option(wrapped)
        return click.command(name, cls=Command, **attributes)(wrapped)

    return decorate


COMMON = (
    click.option("--root", help="Folder or s3://bucket/prefix that holds everything. [env: TRUEUP_ROOT]"),
    click.option("--config", type=click.Path(), help="Settings file. [default: trueup.yaml when there is one]"),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any setting, e.g. train.epochs=3."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output, nothing else."),
)


def emit(outcome: Outcome, as_json: bool) -> None:
    """Prints the outcome: the document with --json, else its text. A reader that went away (`| head`) is no error."""
    try:
        if as_json:
            print(jsonio.dumps(outcome.document).decode(), end="", flush=True)
        elif text := outcome.text() if callable(outcome.text) else outcome.text:
            # Colours only on a terminal, and not for those who want none (no-color.org).
            click.echo(text, color=False if os.environ.get("NO_COLOR") else None)
    except BrokenPipeError:
        if not has_lost_its_reader():
            raise


def run(command: click.Command, argv: Sequence[str] | None = None, prog_name: str | None = None) -> int:
    """Runs a command and returns its exit code; never raises for an error that Trueup raised on purpose."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _keep_document_alone(arguments), heed_interrupts():
        try:
            return _run(command, arguments, prog_name)
        except BaseException:  # whatever a library made of Ctrl-C
            if not was_interrupted():
                raise
            return _say_interrupted(arguments)


def _keep_document_alone(arguments: list[str]) -> AbstractContextManager[Any]:
    """Silences stderr with --json under spark-submit, which sends a program's stderr to its own stdout. A step on a cluster
    takes the document itself; what is said meanwhile belongs into its log."""
    if "--json" in arguments and is_submitted() and sys.stdout is sys.__stdout__:
        return redirect_stderr(StringIO())
    return nullcontext()


def _run(command: click.Command, arguments: list[str], prog_name: str | None) -> int:
    try:
        check_arguments(arguments)
        code = command.main(arguments, prog_name=prog_name, standalone_mode=False, help_option_names=["-h", "--help"])
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        error = _suggest_choice(error)
        return _report_error(arguments, USAGE, type(error).__name__, error.format_message(), error.show)
    except click.Abort as error:
        return _say_interrupted(arguments) if isinstance(error.__cause__, KeyboardInterrupt) else _report_error(
            arguments, ERROR, "Unanswered", "the question was answered with no, or by nobody: nothing was done after it.")
    except TrueupError as error:
        if was_interrupted():
            return _say_interrupted(arguments)
        return _report_error(arguments, error.exit_code, error.error_code, str(error))


def _suggest_choice(error: click.ClickException) -> click.ClickException:
    """Adds the word that was probably meant where an option has few."""
    if isinstance(error, click.BadParameter) and error.param is not None and isinstance(error.param.type, click.Choice):
        given = re.match("'(.*)' is not one of", error.message)
        if given:
            message = error.message + suggest(given[1], map(str, error.param.type.choices))
            return click.BadParameter(message, error.ctx, error.param, error.param_hint)
    return error


def _say_interrupted(argv: list[str]) -> int:
    end_started()
    return _report_error(argv, INTERRUPTED, "Interrupted", "interrupted.", None if may_say() else lambda: None)


def _report_error(argv: list[str], code: int, kind: str, message: str, show: Callable[[], None] | None = None) -> int:
    if "--json" in argv:
        print(json.dumps({"error": {"code": kind, "message": message}}, ensure_ascii=False, indent=1))
    show() if show else print(f"error: {message}", file=sys.stderr)
    return code
