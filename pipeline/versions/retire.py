"""`trueup model retire`: no version is live any more, and services let the model go."""

import click

from command.command import Outcome, stage_command
from contract.deciding import changes
from contract.settings import Settings
from pipeline.versions.shared import BY, MODEL, mirrored, open_registry, report_change


@stage_command("retire")
@mirrored
@MODEL
@BY
@click.option("--reason", required=True, help="Why, for the history.")
def retire_command(settings: Settings, model: str | None, by: str, reason: str) -> Outcome:
    """Make no version live: services let the model go, what was logged stays."""
    return report_change(changes.retire(open_registry(settings, model), by=by, reason=reason))
