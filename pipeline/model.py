"""What is live, and who may change it.

    trueup model list|show|history [--model digits]
    trueup model alias NAME VERSION|--remove --by NAME      `shadow`: computes beside the live version
    trueup model retire --by NAME --reason WHY              no version is live: services let the model go
    trueup model thresholds accept EVALUATION|show|clear    from which confidence on answers are accepted unseen
    trueup model convert VERSION --number-format int8       the same weights, computed otherwise (docs/runtimes.md)
    trueup model shadow [VERSION]                           whether it would hold as the live version: 0, 3 or 4
    trueup model canary start VERSION      answers a share of the predictions; status, step, withdraw, promote, run
    trueup model delete VERSION --by NAME --reason WHY      removes the weights, keeps the card
    trueup model promote|approve VERSION --by NAME
    trueup model sign --key FILE           the newest record, and with it all before (docs/verify.md)
    trueup model reserve VERSION           no number up to it is given again (docs/restore.md)
    trueup model override --gate G --by NAME --reason TEXT --until T|--withdraw
    trueup rollback --by NAME [--to VERSION]            (python -m pipeline.model rollback …)

Every change is one history record with who, when and why. A running service picks it up within seconds. A version is
asked in a service process of its own before it is made live; one that does not answer is not (pipeline/answering.py).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.process import end_with
from command.terminal import align, escape
from contract.assessed.first_holdout import FirstHoldouts, Measured
from contract.canary.changes import PROMOTED
from contract.deciding import changes
from contract.deciding.names import list_aliases
from contract.errors import DamagedDocument, RootError, UsageError, pass_over
from contract.registry import Registry, check_version, models
from contract.settings import Settings
from contract.storage import open_root
from pipeline import answering
from pipeline.gates.decide import GATES
from pipeline.show_card import write_card, write_first_holdout
from pipeline.versions.alias import alias_command
from pipeline.versions.canary import canary_group
from pipeline.versions.convert import convert_command
from pipeline.versions.retire import retire_command
from pipeline.versions.shadow import shadow_command
from pipeline.versions.shared import BY, MODEL, UNTRIED, VERSION, mirrored, open_registry, report_change
from pipeline.versions.thresholds import say_of_version, thresholds_group


@click.group("model", cls=Group)
def group() -> None:
    """Look at models and versions, and change what is live."""


@stage_command("list")
def list_command(settings: Settings) -> Outcome:
    """List the models under the root."""
    storage = open_root(settings.need_root())
    rows = [_summarise(Registry(storage, name)) for name in models(storage)]
    table = align(("model", "live", "versions", "since", "aliases"), [
        (*(str(row[name]) for name in ("model", "live", "versions", "since")), _write_aliases(row["aliases"])) for row in rows])
    return Outcome(document={"models": rows}, text=table)


@stage_command("show")
@MODEL
@click.argument("version", required=False)
def show_command(settings: Settings, model: str | None, version: str | None) -> Outcome:
    """Show the card of a version. [default: the live one]"""
    registry = open_registry(settings, model)
    card = registry.card(check_version(version) if version else registry.live())
    state, _ = registry.newest_known()
    document = {"card": card.to_dict(), "live": state.state.live if state else None,
                "state": state.state.to_dict() if state else None}
    names = list_aliases(state.state, card.version) if state else []
    measured = _measure_first_holdout(registry)
    parts = [write_card(card, state.state.live if state else None, names), write_first_holdout(measured, card.version),
             *(say_of_version(state.state, card.version) if state else [])]
    rows = None if isinstance(measured, str) else [one._asdict() for one in measured]
    return Outcome(document=document | {"aliases": names, "first_holdout": rows}, text="\n\n".join(parts))


def _measure_first_holdout(registry: Registry) -> list[Measured] | str:
    """What every version knows of the first dataset; or why not, for who may read versions and not the runs that made them."""
    try:
        return list(FirstHoldouts(registry).find().values())
    except RootError as error:
        return str(error)


@stage_command("history")
@MODEL
def history_command(settings: Settings, model: str | None) -> Outcome:
    """List every change, oldest first."""
    registry = open_registry(settings, model)
    if registry.newest_known()[0] is None:
        registry.live()  # a name that was never published is an error, not an empty table
    records, damaged = registry.history_known()
    rows = [(str(r.seq), r.at[:19] + "Z", r.change["kind"], str(r.state.live), str(r.change.get("by", "")),
             str(r.change.get("reason", ""))) for r in records]
    table = align(("seq", "at", "change", "live", "by", "reason"), rows)
    text = "\n".join([table, *(escape(f"cannot be read: {line}") for line in damaged)])
    return Outcome(document={"history": [r.to_dict() for r in records], "damaged": damaged}, text=text)


@stage_command("promote")
@mirrored
@MODEL
@VERSION
@BY
@click.option("--reason", required=True, help="Why, for the history.")
@click.option("--expect", metavar="VERSION", help="Refuse unless this version is live. [default: whatever is live now]")
@UNTRIED
def promote_command(settings: Settings, model: str | None, version: str, by: str, reason: str,
                    expect: str | None, untried: bool) -> Outcome:
    """Make a version live that answers."""
    registry = open_registry(settings, model)
    newest = registry.newest()
    expected = expect or (newest.state.live if newest else None)
    made = changes.promote(registry, version, by=by, reason=reason, expected=expected,
                           ask=answering.make_ask(settings, registry, untried))
    return report_change(made)


@stage_command("approve")
@mirrored
@MODEL
@VERSION
@BY
@UNTRIED
def approve_command(settings: Settings, model: str | None, version: str, by: str, untried: bool) -> Outcome:
    """Make live what a run with `cycle.approval: manual` ended with."""
    registry = open_registry(settings, model)
    made = changes.approve(registry, version, by=by, ask=answering.make_ask(settings, registry, untried))
    return report_change(made)


@stage_command("delete")
@MODEL
@VERSION
@BY
@click.option("--reason", required=True, help="Why, for the history.")
def delete_command(settings: Settings, model: str | None, version: str, by: str, reason: str) -> Outcome:
    """Remove the weights of a version that is not live; its card stays."""
    record = open_registry(settings, model).delete(check_version(version), by, reason)
    return Outcome(document=record.to_dict(), text=f"the weights of version {version} are gone, its card stays")


@stage_command("override")
@MODEL
@BY
@click.option("--gate", required=True, type=click.Choice(GATES), metavar="GATE",
              help=f"The gate that passes until then: {', '.join(GATES)}.")
@click.option("--reason", required=True, help="Why, for the history.")
@click.option("--until", metavar="T", help="A moment or a day (its end), UTC; then the gate decides again.")
@click.option("--withdraw", is_flag=True, help="Take back what holds now: the gate decides again at once.")
def override_command(settings: Settings, model: str | None, by: str, gate: str, reason: str, until: str | None,
                     withdraw: bool) -> Outcome:
    """Let a gate pass for a while, by a person's word, or take that back."""
    if withdraw == bool(until):
        raise UsageError("expected --until T, or --withdraw, and not both.")
    registry = open_registry(settings, model)
    if withdraw:
        return report_change(changes.withdraw_override(registry, gate=gate, by=by, reason=reason))
    return report_change(changes.override(registry, gate=gate, by=by, reason=reason, until=until or ""))


@stage_command("sign")
@MODEL
@BY
@click.option("--key", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A private key of Ed25519 in PEM, without a password.")
def sign_command(settings: Settings, model: str | None, by: str, key: Path) -> Outcome:
    """Sign the newest record of the history, and with it all before."""
    from pipeline.verifying.history import sign_history

    registry = open_registry(settings, model)
    made = sign_history(registry.storage, registry.model, key.read_bytes(), by)
    return Outcome(document=made.to_dict(), text=f"record {made.seq} of {made.model} is signed by {made.by}, key "
                   f"{made.public_key}")


@stage_command("reserve")
@MODEL
@VERSION
@BY
@click.option("--reason", default="restored", show_default=True, help="Why, in the claims.")
def reserve_command(settings: Settings, model: str | None, version: str, by: str, reason: str) -> Outcome:
    """Let no version up to this number be made again; after a restore that lost some."""
    registry = open_registry(settings, model)
    registry.live()
    taken = registry.reserve(version, by=f"{by}: {reason}")
    said = f"reserved: {', '.join(taken)}" if taken else "all were taken: nothing was changed"
    return Outcome(document={"model": registry.model, "reserved": taken}, text=f"{said}; the next version is "
                   f"{registry.newest_claim() + 1}")


@stage_command("rollback")
@mirrored
@MODEL
@BY
@click.option("--to", metavar="VERSION", help="The version to go back to. [default: the one that was live before]")
@click.option("--reason", default="rolled back", show_default=True, help="Why, for the history.")
@UNTRIED
def rollback_command(settings: Settings, model: str | None, by: str, to: str | None, reason: str, untried: bool) -> Outcome:
    """Make the newest earlier version that answers live again."""
    registry = open_registry(settings, model)
    made = changes.roll_back(registry, by=by, reason=reason, to=to,
                             ask=answering.make_ask(settings, registry, untried, aloud=True))
    said = report_change(made)
    return Outcome(said.code, said.document | {"passed_over": made.passed_over}, said.text) if made.written else said


def _summarise(registry: Registry) -> dict[str, Any]:
    newest, wrong = registry.newest_known()
    if wrong:
        pass_over(DamagedDocument(wrong))
    moves = [r for r in registry.history_known()[0] if r.change["kind"] in ("promote", "rollback", "retire", PROMOTED)]
    return {"model": registry.model, "live": newest.state.live if newest else None,
            "versions": len(registry.versions()), "since": moves[-1].at if moves else None,
            "aliases": dict(sorted(newest.state.aliases.items())) if newest else {}}


def _write_aliases(aliases: dict[str, str]) -> str:
    return ", ".join(f"{name}: {version}" for name, version in aliases.items()) or "-"


for _command in (list_command, show_command, history_command, promote_command, approve_command, override_command,
                 delete_command, reserve_command, sign_command, alias_command, shadow_command, canary_group, retire_command,
                 thresholds_group, convert_command):
    group.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `model …`, or `rollback …` when that is the first word, and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["rollback"]:
        return run(rollback_command, arguments[1:], prog_name="trueup rollback")
    return run(group, arguments, prog_name="trueup model")


if __name__ == "__main__":
    end_with(main)
