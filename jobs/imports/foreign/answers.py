"""What a network answered, read from the text that its endpoint sent: probabilities of all classes, or labels with them.

The forms are those of SageMaker's own algorithms and of the common containers (TensorFlow Serving, PyTorch, Hugging Face):
`[0.1, 0.9]`, `{"predictions": [[0.1, 0.9]]}`, `{"predicted_label": "cat", "probability": 0.9}`, `{"labels": ["cat", "dog"],
"probabilities": [0.9, 0.1]}`, `[{"label": "cat", "score": 0.9}, …]`, and CSV, `0.1,0.9` or `cat,0.9`. Everything else is a
ValueError that says what came and which option would tell.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import labels
from contract.errors import BadLabel, UsageError, shorten
from jobs.imports.foreign.json_files import dig, parse, read_text, write_scalar

WRAPPERS = ("predictions", "prediction", "outputs", "output")
LABELS, SCORES = ("predicted_label", "label"), ("probability", "score", "confidence")
LISTS = ("probabilities", "scores", "probability", "score")
ROUNDED = 0.005  # the rounding error of a probability that was written with two digits
LOOK = "Say where they stand by `trueup import predictions --label-path` and `--confidence-path`"
Answer = dict[str, Any]


def read_answer(text: str, form: str | None, classes: Sequence[str] | None = None, label_path: str | None = None,
                confidence_path: str | None = None) -> Answer:
    """The answer as columns of a prediction: predicted_label, confidence, and of a whole list top_labels, top_probabilities.

    `form`: "json" or "csv"; None when the endpoint did not say.
    """
    value = _parse(text, form)
    if label_path or confidence_path:
        return _read_named(value, classes, label_path, confidence_path)
    value = _unwrap(value)
    if isinstance(value, dict):
        return _read_object(value, classes)
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        return _read_pairs(value)
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _is_number(value[1]):
        return {"predicted_label": value[0], "confidence": float(value[1])}
    if isinstance(value, list) and value and all(map(_is_number, value)):
        return _read_probabilities(value, classes)
    raise ValueError(f"expected an answer with a label or the probabilities of all classes, got {shorten(value)}. {LOOK}")


def read_classes(path: Path) -> list[str]:
    """The classes of a file, one a line or a JSON list, in the order of the network's outputs."""
    text = read_text(path)
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else text.rstrip().splitlines()
        names = [labels.normalise_class(write_scalar(name)) for name in found]
    except (ValueError, BadLabel) as error:
        raise UsageError(f"--classes {path}: expected one class a line or a JSON list of them: {error}") from error
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice or not names:
        raise UsageError(f"--classes {path}: expected distinct classes, got {f'{twice!r} twice' if twice else 'none'}.")
    return names


def _parse(text: str, form: str | None) -> Any:
    if form == "json" or (form is None and text.lstrip()[:1] in ("{", "[")):
        lines = [line for line in text.split("\n") if line.strip()]
        return parse(text if len(lines) != 1 else lines[0], "endpointOutput.data")
    rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    if len(rows) != 1:
        raise ValueError(f"expected one answer for an event, got {len(rows)}: {shorten(text)}. Log the requests one by one")
    return [_as_number(field) for field in rows[0]]


def _as_number(field: str) -> Any:
    try:
        return float(field)
    except ValueError:
        return field.strip()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unwrap(value: Any) -> Any:
    """Takes off what only wraps one answer: a key of its own, a list of one list or object."""
    while True:
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in WRAPPERS:
            value = next(iter(value.values()))
            if isinstance(value, list) and len(value) > 1 and not all(map(_is_number, value)):
                raise ValueError(f"expected one answer for an event, got {len(value)}: {shorten(value)}. {LOOK}")
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | dict):
            value = value[0]
        else:
            return value


def _read_named(value: Any, classes: Sequence[str] | None, label_path: str | None, confidence_path: str | None) -> Answer:
    """The values at the paths that the caller named; a whole number as label is that class of `classes`."""
    if not label_path:
        raise ValueError("expected `--label-path` beside `--confidence-path`")
    label, confidence = dig(value, label_path), dig(value, confidence_path) if confidence_path else None
    if write_scalar(label) is None:
        raise ValueError(f"no label at {label_path!r} of {shorten(value)}")
    if confidence_path and not _is_number(confidence) and not _is_number(_as_number(str(confidence))):
        raise ValueError(f"no number at {confidence_path!r} of {shorten(value)}")
    return {"predicted_label": _name_class(label, classes), "confidence": None if confidence is None else float(confidence)}


def _name_class(label: Any, classes: Sequence[str] | None) -> str:
    name = write_scalar(label) or ""
    if classes is None or name in classes:
        return name
    if name.isdecimal() and int(name) < len(classes):
        return classes[int(name)]
    raise ValueError(f"expected one of the {len(classes)} classes of `--classes` or its number, got {name!r}")


def _read_object(value: dict[str, Any], classes: Sequence[str] | None) -> Answer:
    label = next((value[name] for name in LABELS if write_scalar(value.get(name)) is not None), None)
    score = next(((name, value[name]) for name in SCORES if _is_number(value.get(name))), None)
    lists = next((value[name] for name in LISTS if isinstance(value.get(name), list) and value[name]), None)
    names = value.get("labels", value.get("label"))
    if lists is not None and isinstance(names, list) and len(names) == len(lists):
        answer = _rank([(write_scalar(name) or "", p) for name, p in zip(names, lists, strict=True)])
    elif lists is not None and classes is None and (place := _as_place(label, lists)) is not None:
        answer = {"predicted_label": write_scalar(label), "confidence": lists[place]}
    elif lists is not None:
        answer = _read_probabilities(lists, classes)
    elif label is not None and score is not None:
        return _read_scored(label, *score, classes)
    else:
        raise ValueError(f"expected an object with {' or '.join(LABELS)} and {' or '.join(SCORES)}, or lists of labels and "
                         f"probabilities, got {shorten(value)}. {LOOK}")
    if label is not None and _name_class(label, classes) != answer["predicted_label"]:
        raise ValueError(f"the label is {write_scalar(label)!r}, but the highest of its probabilities is of "
                         f"{answer['predicted_label']!r}. {LOOK}")
    return answer


def _as_place(label: Any, lists: Sequence[Any]) -> int | None:
    """The place in the list that a label means, where it is the number of a class."""
    name = write_scalar(label) or ""
    return int(name) if name.isdecimal() and int(name) < len(lists) else None


def _read_scored(label: Any, name: str, score: float, classes: Sequence[str] | None) -> Answer:
    """A label with one number. A `score` beside the label 0 or 1 may be the probability of 1, as linear learner's is."""
    if name == "score" and write_scalar(label) in ("0", "1"):
        raise ValueError(f"the score {score} may be the probability of the label {write_scalar(label)} or of the label 1. If it "
                         f"is the label's own, say so: `trueup import predictions --label-path` and `--confidence-path`")
    return {"predicted_label": _name_class(label, classes), "confidence": float(score)}


def _read_pairs(value: Sequence[dict[str, Any]]) -> Answer:
    pairs: list[tuple[str, Any]] = [(write_scalar(v.get("label")) or "", v.get("score", v.get("probability"))) for v in value]
    if any(not name or not _is_number(p) for name, p in pairs) or len({name for name, _ in pairs}) < len(pairs):
        raise ValueError(f"expected one answer, or objects with a label and a score each, got {shorten(list(value))}. {LOOK}")
    return _rank(pairs)


def _read_probabilities(value: Sequence[Any], classes: Sequence[str] | None) -> Answer:
    """Of all classes, in the order of the file that names them."""
    if len(value) == 1:
        raise ValueError(f"one number, {shorten(value[0])}, says no class. {LOOK}")
    off = abs(sum(value) - 1) if all(map(_is_number, value)) and all(0 <= p <= 1 for p in value) else 1
    if off > min(ROUNDED * len(value), 0.1) + 1e-6:
        raise ValueError(f"expected the probabilities of all classes, from 0 to 1 with the sum 1, got {shorten(list(value))}. "
                         f"{LOOK}")
    if classes is None:
        raise ValueError(f"{len(value)} probabilities without the names of their classes: name these by `trueup import "
                         f"predictions --classes FILE`, one a line in the order of the network's outputs")
    if len(classes) != len(value):
        raise ValueError(f"expected {len(classes)} probabilities, as many as `--classes` names, got {len(value)}")
    return _rank(list(zip(classes, value, strict=True)))


def _rank(pairs: Sequence[tuple[str, float]]) -> Answer:
    best = sorted(pairs, key=lambda pair: -pair[1])
    return {"predicted_label": best[0][0], "confidence": best[0][1], "top_labels": [name for name, _ in best],
            "top_probabilities": [p for _, p in best]}
