"""The command line as people find it."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline import cli

REPO = Path(__file__).resolve().parents[2]


def trueup(*arguments, **options):
    """The command as a process."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPO, check=False, **options)


def test_help_lists_the_verbs():
    """tests/test_architecture.py has how soon it answers."""
    said = trueup("--help")
    assert said.returncode == 0
    assert len(cli.find_verbs()) >= 12
    for verb, entry in cli.find_verbs().items():
        assert f"  {verb:<20}{entry.line}\n" in said.stdout


def test_help_loads_nothing_heavy():
    code = "import sys; from pipeline import cli; cli.main(['--help']); print(sorted(m.split('.')[0] for m in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True).stdout
    for name in ("numpy", "pydantic", "pyarrow", "torch", "click"):
        assert f"'{name}'" not in said


def test_a_verb_whose_module_is_not_there_is_not_listed(monkeypatch):
    monkeypatch.setitem(cli.GROUPS["The loop"], "dream", cli.Verb("jobs.dream", "not yet"))
    assert "dream" not in cli.find_verbs() and "dream" not in cli.write_help()
    assert cli.main(["dream"]) == 2


@pytest.mark.parametrize(("arguments", "message"), [
    (["modle"], "there is no `trueup modle`. Did you mean `trueup model`?"),
    (["import", "xyzzy"], "There are: import images"),
    (["xyzzy"], "`trueup --help` lists all verbs"),
])
def test_a_wrong_verb_is_wrong_usage_with_a_hint(capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(cli, "_exists", lambda module: True)
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["gate"], ["import"], ["import", "labels"], ["emr", "plan"], []])
def test_h_is_help_everywhere(words, capsys):
    assert cli.main([*words, "-h"]) == 0
    assert "Usage: trueup" in capsys.readouterr().out


FIRST_WORDS = list(dict.fromkeys(name.partition(" ")[0] for name in cli.find_verbs()))


@pytest.mark.parametrize(("line", "words"), [("trueup im", ["import"]), ("trueup import l", ["labels"]), ("trueup ", FIRST_WORDS),
                                             ("trueup emr pl", ["plan"]), ("trueup gate --ve", ["--version"])])
def test_a_shell_completes_words_and_options(line, words, monkeypatch, capsys):
    monkeypatch.setenv("_TRUEUP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit):
        cli.main([])
    assert [row.partition(",")[2] for row in capsys.readouterr().out.splitlines()] == words


def test_no_verb_is_wrong_usage_and_prints_the_help(capsys):
    assert cli.main([]) == 2
    assert "The loop:" in capsys.readouterr().out


def test_a_package_that_is_not_installed_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydantic", None)
    for name in ("pipeline.config", "command.load_settings", "contract.settings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert cli.main(["config"]) == 1
    assert "`trueup config` needs the Python package 'pydantic', which is not installed" in capsys.readouterr().err


def test_every_verb_has_help_that_names_it_and_documents_its_options():
    verbs = [verb for verb, entry in cli.find_verbs().items() if entry.module.startswith("pipeline.")]
    assert len(verbs) >= 7
    for verb in verbs:
        said = trueup(*verb.split(), "--help")
        assert said.returncode == 0, said.stderr
        assert f"Usage: trueup {verb}" in said.stdout


def test_an_error_is_one_line_or_one_document(tmp_root):
    plain, as_json = (trueup("status", "--root", tmp_root, *extra) for extra in ((), ("--json",)))
    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr.startswith("error: root ") and plain.stderr.count("\n") == 1
    assert as_json.returncode == 1 and '"code": "RootError"' in as_json.stdout


def test_the_version_is_the_packages():
    assert trueup("--version").stdout.strip() == version("trueup")
