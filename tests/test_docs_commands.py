"""Every `trueup …` and `make …` that the pages quote is one that exists, with options that it takes."""

import re
import shlex
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest

from pipeline.cli import find_verbs

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")])
OMITTED = ("…", "...")  # stand for words that a reader adds
# What ends a command on its line: a comment, a pipe, another command.
ENDS = re.compile(r"(?<!\S)(#.*|[|;&>].*)$|[;|)].*$")


def lines(page):
    """(line number, command) of everything that begins with trueup, in fenced blocks and in `code` in the text."""
    text = re.sub(r"\\\n", lambda _: " ", page.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        found = [line] if re.match(r"\s*(\$ )?(\.venv/bin/)?trueup ", line) else re.findall(r"`([^`]*trueup [^`]+)`", line)
        found += re.findall(r'"(?:/\S*/)?trueup (?:cycle|evaluate)[^"]*"', line)
        for command in found:
            match = re.search(r"(?:^|[\s/\"])trueup (.*)", command)
            if match:
                yield number, match[1].strip('"')


def words(command):
    """The words of a command up to a pipe, a comment or what a person leaves out; None for what is no command line."""
    command = ENDS.sub("", command).strip()
    try:
        found = shlex.split(command)
    except ValueError:
        return None
    stop = next((n for n, word in enumerate(found) if word in OMITTED or "|" in word), len(found))
    return [word.strip("[]") for word in found[:stop]]


@cache
def command_of(name):
    """The click command behind a verb."""
    verb = find_verbs()[name]
    return getattr(import_module(verb.module), verb.attribute)


def problem(given):
    """What is wrong with a quoted command; None when it is one that the command line would take."""
    verbs = find_verbs()
    name = next((" ".join(given[:n]) for n in (2, 1) if " ".join(given[:n]) in verbs), None)
    if name is None:
        group = [word for word in given if not word.startswith("-")]
        if len(group) == 1 and any(verb.startswith(f"{group[0]} ") for verb in verbs):
            return None
        return None if given[:1] in ([], ["--help"], ["VERB"], ["--version"]) else f"there is no `trueup {' '.join(group)}`"
    command, rest = command_of(name), given[len(name.split()):]
    while isinstance(command, click.Group):
        if not rest or rest[0].startswith("-"):
            return None
        if rest[0] not in command.commands:
            return f"`trueup {name}` has no {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    given = [word.partition("=")[0] for word in (rest[:rest.index("--")] if "--" in rest else rest) if word.startswith("--")]
    unknown = [] if command.context_settings.get("ignore_unknown_options") else [o for o in given if o not in known]
    return f"`trueup {name}` has no option {', '.join(unknown)}" if unknown else None


def test_pages_quote_commands_that_exist(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trueup"])
    quoted = [(page, number, found) for page in PAGES for number, text in lines(page) if (found := words(text))]
    assert len(quoted) > 50
    wrong = [f"{page.relative_to(ROOT)}:{number} trueup {' '.join(given)}: {why}" for page, number, given in quoted
             if (why := problem(given))]
    assert wrong == []


@pytest.mark.parametrize(("text", "why"), [
    ("trueup nonsense", "there is no"), ("trueup evaluate --modell m", "no option --modell"),
    ("trueup import --help", None), ("trueup import nonsense", "there is no"),
    ("trueup emr explode", "has no 'explode'"), ("trueup model approve 2 --by me", None),
    ("trueup cycle --runner emr; echo $?", None)])
def test_what_does_not_exist_is_found(text, why):
    found = problem(words(text.removeprefix("trueup ")))
    assert found is None if why is None else why in found


def list_benchmarks(text):
    """(module, option without its dashes) of every option with which a text starts a benchmark."""
    found = re.findall(r"python -m (benchmarks(?:\.\w+)*)([^`#\n]*)", text)
    return [(module, option) for module, rest in found for option in re.findall(r"(?<!\S)\[?--([a-z][\w-]*)", rest)]


def takes_option(module, option):
    """Whether the source of a benchmark, or of what it reads its options by, has an option of that name."""
    path = ROOT / module.replace(".", "/")
    source = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    source += (ROOT / "benchmarks/simulation.py").read_text() if "read_options" in source else ""
    return re.search(rf'"(?:--)?{option}"', source) is not None


def test_pages_and_benchmarks_themselves_start_benchmarks_with_options_that_they_take():
    """Not the log, which says how something was measured then."""
    texts = [path for path in (*PAGES, *ROOT.glob("benchmarks/**/*.py")) if path.name != "log.md"]
    quoted = [(path, *one) for path in texts for one in list_benchmarks(path.read_text())]
    assert len(quoted) > 100
    assert [f"{path.name}: {module} --{option}" for path, module, option in quoted if not takes_option(module, option)] == []


def test_pages_quote_targets_that_make_has():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))
    quoted = {(page.name, name) for page in PAGES for name in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)}
    assert len(quoted) > 10 and {name for _, name in quoted} <= targets


def test_pages_link_to_files_that_are_there():
    named = [(page, name) for page in PAGES for name in re.findall(
        r"(?<![\w/])((?:docs|command|contract|emr|inference|jobs|jvm|metrics|pipeline|training|benchmarks|tests|tools)/"
        r"[\w./-]+\.(?:py|md|json|sh|yaml|Dockerfile))", page.read_text())]
    assert len(named) > 20
    made = "benchmarks/recorded.json"  # by `make bench`
    assert [f"{page.name}: {name}" for page, name in named if name != made and not (ROOT / name).exists()] == []
