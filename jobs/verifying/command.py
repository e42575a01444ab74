"""Counts the raw files of an evaluation again and says what is equal: the half of `trueup verify` that counts.

    python -m jobs.verifying.command --root R --model M --evaluation ID [--engine E] [--into FOLDER] --json

`--into` takes what was made again, under the keys of what it stands beside: pipeline/verifying decides from that once more.
"""

from collections.abc import Sequence
from pathlib import Path

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract.documents.verification import conclude
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.local import LocalStorage
from jobs.evaluation_request import ENGINES, list_spark_options
from jobs.verifying.counts import OPTIONS
from jobs.verifying.evaluation import verify_evaluation


@stage_command("verify-evaluation", help="Count an evaluation's raw files again and compare; `trueup verify` calls it.")
@click.option("--model", help="Name of the model.")
@click.option("--evaluation", "evaluation_id", required=True, help="Folder of the evaluation.")
@click.option("--engine", type=click.Choice(sorted(ENGINES)), help="That counts. [default: another than made it]")
@click.option("--into", type=click.Path(path_type=Path), help="A folder for what was made again.")
def command(settings: Settings, model: str | None, evaluation_id: str, engine: str | None, into: Path | None) -> Outcome:
    """Verifies one evaluation."""
    settings = with_options(settings, model=model)
    # What Spark needs is asked for only where it counts: on an s3:// root jars are looked for.
    options = dict(OPTIONS) | ({"spark": list_spark_options(settings, ())} if engine == "spark" else {})
    checked = verify_evaluation(open_root(settings.need_root()), settings.need_model(), evaluation_id, engine,
                                options)
    if into is not None:
        made = LocalStorage(into)
        for key, data in checked.instead.items():
            made.put(key, data)
    document = {"findings": checked.findings, "read": sorted(checked.read), "made": sorted(checked.instead),
                "engines": checked.engines}
    lines = [f"{f['state']}  {f['of']}: {f['said']}" for f in checked.findings]
    return Outcome(conclude(checked.findings), document, "\n".join(lines))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run(command, argv)


if __name__ == "__main__":
    end_with(main)
