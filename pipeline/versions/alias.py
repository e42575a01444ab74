"""`trueup model alias`: a name for a version, by which others ask for it. `shadow` is one that the service knows."""

import click

from command.command import Outcome, stage_command
from contract.deciding import changes
from contract.errors import UsageError
from contract.settings import Settings
from pipeline.versions.shared import BY, MODEL, mirrored, open_registry, report_change


@stage_command("alias")
@mirrored
@MODEL
@BY
@click.argument("alias")
@click.argument("version", required=False)
@click.option("--remove", is_flag=True, help="Take the name away.")
@click.option("--reason", default="named", show_default=True, help="Why, for the history.")
def alias_command(settings: Settings, model: str | None, by: str, alias: str, version: str | None, remove: bool,
                  reason: str) -> Outcome:
    """Give a version a name, such as shadow: then it computes beside the live one."""
    if remove == bool(version):
        raise UsageError("expected a VERSION, or --remove, and not both.")
    return report_change(changes.set_alias(open_registry(settings, model), alias, version, by=by, reason=reason))
