"""Every command's help ends with examples, and each of them is read as the command line would read it."""

import shlex

import click

from command.examples import EXAMPLES, wrap
from command.explain_settings import list_names
from command.first_steps import FIRST_STEPS
from command.groups import Group
from command.lazy_group import LazyGroup
from pipeline import cli

ROOT = LazyGroup("trueup", cli.find_verbs)
HELP = ["-h", "--help"]


def find(words):
    """The context of the command that these words name, and the words behind it."""
    ctx = click.Context(ROOT, info_name="trueup", help_option_names=HELP)  # those below inherit it; click keeps it for good
    words = list(words)
    while isinstance(ctx.command, click.Group) and words:
        name, command, _ = ctx.command.resolve_command(ctx, words)
        ctx = click.Context(command, info_name=name, parent=ctx)
        words = words[1:]
    return ctx, words


def list_paths(ctx=None):
    ctx = ctx or find([])[0]
    for name in ctx.command.list_commands(ctx):
        inner = click.Context(ctx.command.get_command(ctx, name), info_name=name, parent=ctx)
        yield inner.command_path.partition(" ")[2]
        if isinstance(inner.command, click.Group):
            yield from list_paths(inner)


PATHS = list(list_paths())
TYPED = [line for found in EXAMPLES.values() for line in found if not line.startswith("#")]


def check(line):
    """Reads an example to the end: its command, its options, its choices, what is required, its settings."""
    words = shlex.split(line)
    assert words[0] == "trueup", line
    ctx, rest = find(words[1:])
    assert not isinstance(ctx.command, click.Group), f"{line}: names no command"
    values, _, order = ctx.command.make_parser(ctx).parse_args(list(rest))
    for parameter in ctx.command.get_params(ctx):
        given = values.get(parameter.name)
        assert given is not None or not parameter.required, f"{line}: {parameter.name} is missing"
        if isinstance(parameter.type, click.Choice) and given is not None:
            for value in given if isinstance(given, list | tuple) else [given]:
                parameter.type.convert(value, parameter, ctx)
    assert {text.partition("=")[0] for text in values.get("overrides") or ()} <= set(list_names()), line


def test_the_help_of_every_command_has_examples_in_80_columns():
    for path in PATHS:
        ctx, _ = find(path.split())
        ctx.terminal_width = ctx.max_content_width = 80
        shown = ctx.command.get_help(ctx)
        assert "\nExamples:\n  # " in shown and f"\n  trueup {path}" in shown, path
        assert [line for line in shown.splitlines() if len(line) > 80] == [], path


def test_a_long_example_goes_on_in_the_next_line_and_stays_what_it_was():
    for line in TYPED:
        parts = list(wrap(line))
        assert shlex.split(" ".join(part.removesuffix(" \\") for part in parts)) == shlex.split(line)
        assert all(len(part) <= 78 for part in parts), line


def test_there_are_examples_of_nothing_else():
    assert set(EXAMPLES) == set(PATHS)


def test_every_example_is_what_the_command_line_takes():
    for line in TYPED:
        check(line)


def test_the_first_steps_are_commands_and_fit():
    for line in FIRST_STEPS:
        words = line.split("   ")[0]
        assert len(f"  {line}") <= 80 and (words.endswith("--help") or check(words) is None)


def test_a_group_shows_whole_sentences_and_names_the_word_that_was_meant(capsys):
    ctx, _ = find(["model"])
    assert isinstance(ctx.command, Group) and "its card stays" in " ".join(ctx.command.get_help(ctx).split())
    for words, meant in ((["model", "lst"], "`trueup model list`"), (["keys", "ad"], "`trueup keys add`"),
                         (["import", "labls"], "`trueup import labels`"), (["review", "smple"], "`trueup review sample`")):
        assert cli.main(words) == 2
        assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_a_group_alone_shows_what_there_is(capsys):
    for words in ("import", "review", "model", "keys", "emr", "review gold"):
        assert cli.main(words.split()) == 2
        shown = capsys.readouterr()
        assert "Commands:" in shown.out + shown.err and "Examples:" in shown.out + shown.err, words
        assert cli.main([*words.split(), "--help"]) == 0
