"""Labels from an output manifest of SageMaker Ground Truth (augmented manifest, single-label image classification).

The form is that of "Classification job output" and "Chaining labeling jobs" in the Amazon SageMaker developer guide:

    {"source-ref": "s3://bucket/img1.jpg", "job-a": 0, "job-a-metadata": {"class-name": "cat", "confidence": 0.77,
     "type": "groundtruth/image-classification", "job-name": "labeling-job/job-a", "human-annotated": "yes",
     "creation-date": "2026-11-19T10:00:00.123456"}}

Each line names a picture and what people said of it. Its predictions are found by `prediction_id`, where the input
manifest brought one, else by the picture (jobs/imports/foreign/pictures.py). The labeler is the labelling job: the manifest holds
the consolidated answer, not the workers'. A line that nobody has labelled is counted, and no error.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contract.errors import BadLabel, ForeignSchema, UsageError
from contract.records import LABEL
from contract.stores.store import Storage
from contract.texts.figures import write_count
from jobs.imports import rows
from jobs.imports.foreign.json_files import dig, read_first_line, read_lines, write_scalar
from jobs.imports.foreign.pictures import NoPrediction, Pictures
from jobs.imports.found import Asked, Found, Missing
from jobs.imports.rows import Row

KIND, VERIFIED = "groundtruth/image-classification", "groundtruth/label-verification"
SUFFIX = "-metadata"
Line = tuple[int, dict[str, Any]]


class Answer(NamedTuple):
    """What one labelling job said of a picture: the attribute that it wrote, its value, and the metadata beside it."""

    attribute: str
    value: Any
    metadata: dict[str, Any]

    @property
    def kind(self) -> str:
        """What was asked for, `groundtruth/…`."""
        return str(self.metadata["type"])

    @property
    def job(self) -> str:
        """The job's name, `labeling-job/…`."""
        return str(self.metadata.get("job-name") or self.attribute)

    @property
    def label(self) -> str | None:
        """The class: its name, else what the class map says of the number, else the number."""
        number = write_scalar(self.value)
        return write_scalar(self.metadata.get("class-name")) or write_scalar(dig(self.metadata, f"class-map.{number}")) or number

    @property
    def missing(self) -> str | None:
        """Why there is no judgement of a person in it; None when there is one."""
        if self.metadata.get("failure-reason"):
            return "without_answer"
        return None if write_scalar(self.metadata.get("human-annotated", "yes")) == "yes" else "by_machine"


def is_manifest(path: Path) -> bool:
    """Whether a file of JSON lines is such a manifest: its first line names the source of a picture."""
    if path.suffix.lower() not in (".manifest", ".jsonl", ".ndjson", ".json") or not path.is_file():
        return False
    first = read_first_line(path)
    return "source-ref" in first and not {"label", "labeled_at"} <= first.keys()


def read(storage: Storage, path: Path, asked: Asked) -> Found:
    """Label rows of the lines that a person labelled. ForeignSchema: nothing says which of several jobs is meant."""
    lines = list(read_lines(path))
    _check_jobs(path, lines, asked.job)
    pictures = Pictures(storage, {_source(line) for _, line in lines if not _id(line, asked)}, asked)
    found, verified = Found(), Counter[str]()
    for number, line in lines:
        where = f"{path}: line {number}"
        try:
            answer = _find_answer(line, asked.job, verified)
            why = answer.missing if answer else "without_answer"
            if answer is None or why:
                found.left_out[why or "without_answer"] += 1
                continue
            row = _make_row(answer)
            given = _id(line, asked)
            found.good += [(where, row | {"prediction_id": i}) for i in ([given] if given else pictures.find(_source(line)))]
        except NoPrediction as error:
            said = f"{error}. Import the predictions first, or put `prediction_id` into the lines of the input manifest."
            found.missing.append(Missing(where, _source(line), said, "source-ref"))
        except (ValueError, TypeError, BadLabel) as error:
            found.bad.append(f"{where}: {error}")
    if verified:
        said = ", ".join(f"{name!r} {n:,}" for name, n in verified.most_common(5))
        found.notes.append(f"{write_count(verified.total(), 'line')} with the answer of a verification job, too ({said}): it was "
                           f"not looked at")
    return found


def _source(line: dict[str, Any]) -> str:
    return str(line.get("source-ref") or "")


def _id(line: dict[str, Any], asked: Asked) -> str | None:
    return write_scalar(dig(line, asked.id_field or "prediction_id"))


def _answers(line: dict[str, Any]) -> list[Answer]:
    """Of every labelling job that wrote into the line, of whatever kind."""
    return [Answer(k.removesuffix(SUFFIX), line.get(k.removesuffix(SUFFIX)), v) for k, v in line.items()
            if k.endswith(SUFFIX) and isinstance(v, dict) and str(v.get("type", "")).startswith("groundtruth/")]


def _is_of(answer: Answer, job: str) -> bool:
    return job in (answer.attribute, answer.job, answer.job.rpartition("/")[2])


def _find_answer(line: dict[str, Any], job: str | None, verified: Counter[str]) -> Answer | None:
    """The newest answer of a person, of chained jobs; else of another one; None without any. ValueError: of another kind."""
    answers = _answers(line)
    every = [a for a in answers if a.kind == KIND and (job is None or _is_of(a, job))]
    verified.update(str(a.label) for a in answers if a.kind == VERIFIED)
    strange = [a.kind for a in answers if a.kind not in (KIND, VERIFIED)]
    if not every and strange and job is None:
        raise ValueError(f"expected an answer of the type {KIND}, got {strange[0]!r}")
    return max(every, key=lambda a: (a.missing is None, str(a.metadata.get("creation-date", ""))), default=None)


def _make_row(answer: Answer) -> Row:
    return rows.make_row(LABEL, {"label": answer.label, "labeler": answer.job, "prediction_id": "-", "origin": "import",
                               "labeled_at": answer.metadata.get("creation-date")})


def _check_jobs(path: Path, lines: Sequence[Line], job: str | None) -> None:
    """Refuses a job that no line knows, and chained jobs that share no class: these asked different questions."""
    classes: dict[str, set[str]] = defaultdict(set)
    names: dict[str, str] = {}
    chained: set[tuple[str, str]] = set()
    for _, line in lines:
        answers = [a for a in _answers(line) if a.kind == KIND]
        for answer in answers:
            names[answer.attribute] = answer.job
            if answer.missing is None and answer.label:
                classes[answer.attribute].add(answer.label)
        chained |= {(a.attribute, b.attribute) for a in answers for b in answers if a.attribute < b.attribute}
    if job is not None and not any(job in (a, name, name.rpartition("/")[2]) for a, name in names.items()):
        raise UsageError(f"{path}: no line has an answer of the job {job!r}; there are {', '.join(sorted(names)) or 'none'}.")
    for a, b in sorted(chained) if job is None else ():
        if classes[a] and classes[b] and not classes[a] & classes[b]:
            said = " and ".join(f"{name} ({', '.join(sorted(classes[name])[:5])})" for name in (a, b))
            raise ForeignSchema(f"{path}: the chained jobs {said} have no class in common, so nothing says whose answers are "
                                f"meant. Name one: `trueup import labels {path} --job {a}`.")
