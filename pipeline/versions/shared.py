"""What the verbs of `trueup model` share: options, the registry they open, and how a decision is told."""

import getpass
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from command.command import Outcome
from command.load_settings import with_options
from command.tracking.tracking import tell, write_told
from command.tracking.versions import mirror_state
from contract.deciding import changes
from contract.documents.history import HistoryEntry
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_root

MODEL = click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
BY = click.option("--by", default=getpass.getuser, help="Who decides. [default: your login name]")
MOVES = ("promote", "rollback")  # kinds of changes after which another version is live
VERSION = click.argument("version")
UNTRIED = click.option("--untried", is_flag=True, help="Do not ask the version first; for a machine that cannot run its "
                       "network. What does not answer is then live.")


def open_registry(settings: Settings, model: str | None) -> Registry:
    """Opens the registry of a model: the one named, or else the settings'."""
    settings = with_options(settings, model=model)
    return Registry(open_root(settings.need_root()), settings.need_model())


def mirrored(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """Of a command that changes what is live, or a name of a version: tells MLflow afterwards, where that is set."""

    @wraps(function)
    def wrapped(settings: Settings, model: str | None, **options: Any) -> Outcome:
        outcome = function(settings, model=model, **options)
        told = tell(settings.track, lambda store: mirror_state(store, open_registry(settings, model)))
        if told is None:
            return outcome
        said = outcome.text() if callable(outcome.text) else outcome.text
        return replace(outcome, document=outcome.document | {"tracking": told}, text=said + write_told(told))

    return wrapped


def report_change(made: changes.Change) -> Outcome:
    """Says what a decision came to. What is asked for may be so already: then no record was written."""
    record, change = made.record, made.record.change
    if not made.written:
        given = made.earlier
        if change["kind"] not in MOVES:
            return Outcome(document=record.to_dict() | {"changed": False}, text="it is so already: nothing was changed")
        before = f"version {given.state.live} was approved before (record {given.seq}); " if given else ""
        said = f"{before}version {record.state.live} is live (record {record.seq}): nothing was changed"
        return Outcome(document=record.to_dict() | {"changed": False}, text=said)
    result = _say_change(record)
    return Outcome(document=record.to_dict(), text=f"{result} (record {record.seq}, by {change['by']}: {change['reason']})")


def _say_change(record: HistoryEntry) -> str:
    change = record.change
    said = {"override": f"gate {change.get('gate')} passes until {change.get('until')}",
            "override withdrawn": f"gate {change.get('gate')} decides again",
            "thresholds": f"answers of version {change.get('version')} are accepted by the thresholds of "
                          f"{change.get('evaluation')}, {change.get('classes')} classes",
            "thresholds cleared": "there are no thresholds any more: answers carry no decision",
            "format": f"version {change.get('version')} is a format of version {change.get('of')}",
            "retire": f"version {change.get('replaces')} is live no longer, and no other one is",
            "alias": f"{change.get('alias')} is version {change['version']}" if change.get("version") else
            f"{change.get('alias')} is the name of no version any more"}
    return said.get(change["kind"], f"version {record.state.live} is live")
