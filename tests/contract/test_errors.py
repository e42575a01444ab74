"""The codes that programs branch on: in the answers of the command line and of the service."""

import asyncio
import json

import click
import pytest

import emr.account
import pipeline.running.local
from command.command import run, stage_command
from contract import errors
from contract.errors import TrueupError
from inference.app import answer_failed
from inference.auth import Refused
from inference.pages.site import refuse_errors


def test_a_code_is_the_name_of_its_class():
    assert errors.NotFound.error_code == errors.NotFound("x").error_code == "NotFound"
    assert errors.NotFound("x").http_code == "not_found" and errors.NoSuchModel("x").http_code == "no_such_model"
    assert emr.account.AccountError("x", "Throttling").error_code == "AccountError"
    assert pipeline.running.local.StageFailed("x", 1).error_code == "StageFailed"


def test_leakage_keeps_the_code_that_programs_know():
    assert errors.LeakageFound("x").error_code == "Leakage" and errors.LeakageFound("x").http_code == "leakage"


def list_kinds(kind):
    """A class and all that derive from it."""
    return {kind}.union(*map(list_kinds, kind.__subclasses__()))


def test_no_other_class_has_a_code_of_its_own():
    kinds = list_kinds(TrueupError)
    assert errors.NoSuchModel in kinds and len(kinds) >= 30
    assert {kind.__name__ for kind in kinds if kind.error_code != kind.__name__} == {"LeakageFound"}


@pytest.mark.parametrize(("error", "code", "exit_code"), [
    (errors.LeakageFound("a row on two sides"), "Leakage", 1), (errors.UsageError("no"), "UsageError", 2),
    (errors.NotFound("gone"), "NotFound", 1)])
def test_the_command_line_says_the_code(capsys, error, code, exit_code):
    @stage_command("raise")
    def command(settings):
        raise error

    assert isinstance(command, click.Command) and run(command, ["--json"]) == exit_code
    assert json.loads(capsys.readouterr().out) == {"error": {"code": code, "message": str(error)}}


@pytest.mark.parametrize(("error", "code"), [
    (errors.LeakageFound("a row on two sides"), "leakage"), (errors.NotFound("gone"), "not_found"),
    (errors.UsageError("no"), "usage_error"), (errors.BadLabel("empty"), "bad_label")])
def test_the_service_says_the_code(error, code):
    answer = asyncio.run(answer_failed(None, error))
    assert json.loads(answer.body)["error"]["code"] == code


def test_refusals_of_pages_say_the_code():
    with pytest.raises(Refused) as refused, refuse_errors():
        raise errors.NoSuchVersion("9")
    assert refused.value.code == "no_such_version"
