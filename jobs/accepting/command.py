"""Exports labels: those by people, and the answers of a model that an evaluation's thresholds accept unseen.

    trueup review accepted --model M --evaluation E --out labels.csv [--folder FOLDER]

An evaluation says for each class from which confidence answers may be accepted (`confidence_thresholds`). This writes one row
for each prediction that has a label now: `labelled_by` is `people`, or `model:<name>` for an answer at or above its class's
threshold. None of them is written to the label table: a model that is judged by its own answers is always right.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from command.progress import progress
from contract import clock, counts_store
from contract.counts import Origin
from contract.documents.evaluation import Evaluation
from contract.evaluations import read_evaluation, read_thresholds
from contract.settings import Settings
from contract.storage import open_root
from contract.texts.figures import write_figure, write_number, write_percent
from jobs.accepting.files import Folders, open_table
from jobs.accepting.rows import Taken, find_labels
from jobs.engines.question import Question, convert_settings
from jobs.labelers.use import apply_fit
from metrics.accepted import Accepted, measure_accepted
from metrics.selection.basis import Basis


@stage_command("accepted")
@click.option("--model", help="The model's name. [default: `model:` of the settings]")
@click.option("--evaluation", "evaluation_id", required=True, metavar="EVALUATION", help="Whose thresholds accept.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The table of labels: a .csv or .parquet file.")
@click.option("--folder", type=click.Path(path_type=Path), help="Pictures in class folders, for `trueup import images`.")
def command(settings: Settings, model: str | None, evaluation_id: str, out: Path, folder: Path | None) -> Outcome:
    """Write the labels of people, and the model's answers that an evaluation accepts."""
    storage = open_root(settings.need_root())
    name = with_options(settings, model=model).need_model()
    evaluation = read_evaluation(storage, name, evaluation_id)
    thresholds = read_thresholds(storage, name, evaluation_id, evaluation["role"])
    measured = measure(evaluation, thresholds, counts_store.load_all(storage, evaluation))
    question = Question(name, clock.to_us(clock.parse_moment(evaluation["as_of"])), evaluation["role"],
                        **convert_settings(settings.evaluate))
    question = apply_fit(storage, question)
    taken, folders = Taken(), Folders(storage, folder) if folder else None
    days = sorted(evaluation["counts"])
    with open_table(out) as table, progress("labels", len(days), "days") as shown:
        for day in days:
            for row in find_labels(storage, question, day, thresholds, taken):
                table.add(row)
                if folders:
                    folders.add(row)
            shown.advance(day=day)
        table.flush()
    document = _make_document(name, evaluation_id, evaluation, measured, taken, out, folders)
    return Outcome(document=document, text=describe(document))


def measure(evaluation: Evaluation, thresholds: dict[str, float | None], days: Sequence[Any]) -> Accepted:
    """Measures how many accepted answers are right, by the counts that the evaluation names."""
    import pyarrow as pa

    bases: dict[Origin, Basis] = {}
    for figures in evaluation["versions"].values():
        of = figures["estimate"]
        if of["origin"] is not None:
            bases[of["origin"]] = Basis(of["unbiased"], of["rests_on"], of["response_rate"])
    cells = pa.concat_tables([day.tables["cells"] for day in days])
    return measure_accepted(cells, thresholds, bases, evaluation["confidence"])


def _make_document(model: str, evaluation_id: str, evaluation: Evaluation, measured: Accepted, taken: Taken, out: Path,
                   folders: Folders | None) -> dict[str, Any]:
    document = {"model": model, "evaluation": evaluation_id, "role": evaluation["role"], "measured": measured, "out": str(out),
                "labels": {"people": taken.by_people, "model": taken.by_model, "unlabelled": taken.unlabelled,
                           "to_name": taken.to_name, "classes": sorted(taken.classes)}}
    if folders:
        document["folder"] = {"path": str(folders.folder), "without_picture": folders.without,
                              "classes_without_folder": sorted(folders.impossible)}
    return document


def describe(document: dict[str, Any]) -> str:
    """Says what was accepted, and how much of it is right."""
    measured, labels = document["measured"], document["labels"]
    accuracy = measured["accuracy"]
    lines = [f"{document['out']}: {write_number(labels['people'])} labels of people, {write_number(labels['model'])} "
             f"accepted answers of {document['model']}; {write_number(labels['unlabelled'])} have no label "
             f"yet, {write_number(labels['to_name'])} were called wrong and wait for their class.",
             f"The thresholds accept {write_percent(measured['share'], 1)} of {write_number(measured['predictions'])} answers. "
             f"Of those, {write_figure(accuracy)} are right: {accuracy['rests_on']}. These labels chose the thresholds, so the "
             f"figure flatters; an audit drawn now does not."]
    if measured["unsupported"]:
        lines.append(f"{write_number(measured['unsupported'])} of the accepted lie at a confidence at which nobody has labelled "
                     f"an answer of their class.")
    if folder := document.get("folder"):
        lines.append(f"{folder['path']}: class folders; {write_number(folder['without_picture'])} labels have no picture in "
                     f"the root")
        lines += [f"no folder can be called {name!r}" for name in folder["classes_without_folder"]]
    if labels["unlabelled"]:
        lines.append(f"Ask people about the rest: trueup review sample --model {document['model']} --role {document['role']} "
                     f"--below-thresholds {document['evaluation']}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `trueup review accepted` and returns its exit code."""
    return run(command, argv, prog_name="trueup review accepted")


if __name__ == "__main__":
    end_with(main)
