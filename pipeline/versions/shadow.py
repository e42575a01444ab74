"""`trueup model shadow`: whether the shadow would hold as the live version, by an evaluation's labelled predictions of both."""

from typing import Any

import click

from command.command import Outcome, stage_command
from command.load_settings import with_options
from command.terminal import colour_verdict, escape
from contract.deciding.formats import list_answering
from contract.deciding.names import SHADOW
from contract.errors import UsageError
from contract.evaluations import find_newest_to_judge, read_evaluation
from contract.registry import check_version
from contract.settings import Settings
from contract.texts.figures import write_count, write_figure
from metrics.judging.verdicts import EXIT_CODES
from pipeline.gates.shadow import judge_shadow
from pipeline.versions.shared import MODEL, open_registry


@stage_command("shadow")
@MODEL
@click.argument("version", required=False)
@click.option("--evaluation", "evaluation_id", metavar="ID", help="Folder of the evaluation. [default: the newest of role live "
              "that ends with the newest day]")
def shadow_command(settings: Settings, model: str | None, version: str | None, evaluation_id: str | None) -> Outcome:
    """Say whether the shadow would hold as the live version. [default: the version that is named shadow]"""
    settings = with_options(settings, model=model)
    registry = open_registry(settings, model)
    newest, _ = registry.newest_known()
    named = version or (newest.state.aliases.get(SHADOW) if newest else None)
    if named is None:
        raise UsageError(f"no version of {registry.model!r} is named shadow: expected a VERSION, or a name for one first: trueup "
                         f"model alias shadow VERSION.")
    evaluation_id = evaluation_id or find_newest_to_judge(registry.storage, registry.model)
    evaluation = read_evaluation(registry.storage, registry.model, evaluation_id)
    live, newest = registry.live(), registry.newest()
    decision = judge_shadow(settings.gates, evaluation, list_answering(newest.state if newest else None), check_version(named))
    code = EXIT_CODES[decision["verdict"]]
    document = {"model": registry.model, "live": live, "evaluation": evaluation_id, **decision, "exit_code": code}
    return Outcome(code, document, write_text(decision))


def write_text(decision: dict[str, Any]) -> str:
    """Writes the verdict, and how often both versions agree."""
    said = f"{colour_verdict(decision['verdict'])}: {escape(decision['sentence'])}"
    if decision["agreement"] is None:
        return said
    rows = write_count(decision["rows"], "prediction")
    return f"{said}\nOf {rows} both answered alike {write_figure(decision['agreement'])}."
