"""Labels from an export of Label Studio: JSON, and JSON_MIN where it can mean one thing.

The forms are those of "Export annotations" and "Label Studio JSON format of annotated tasks" in Label Studio's guide:

    [{"id": 1, "data": {"image": "s3://bucket/img1.jpg"}, "predictions": [],
      "annotations": [{"completed_by": {"id": 7, "email": "anna@example.org"}, "was_cancelled": false,
                       "updated_at": "2026-11-19T10:00:00Z", "result": [
                           {"from_name": "choice", "type": "choices", "value": {"choices": ["cat"]}}]}]}]

Every annotation is a vote of its own. Those that were cancelled, and tasks that nobody has answered, are counted. Its
prediction is found by `data.prediction_id` or `meta.prediction_id`, by the field that `--id-field` names, else by the
picture (jobs/imports/foreign/pictures.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contract.errors import BadLabel, ForeignSchema
from contract.records import LABEL
from contract.stores.store import Storage
from jobs.imports import rows
from jobs.imports.foreign.json_files import dig, read_array, read_first_item, write_scalar
from jobs.imports.foreign.pictures import NoPrediction, Pictures
from jobs.imports.found import Asked, Found, Missing

Object = dict[str, Any]
IDS = ("data.prediction_id", "meta.prediction_id")
# Keys that JSON_MIN writes itself; every other one is of the task's data, or a control of the labelling page.
OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "prediction_id"}


def is_export(path: Path) -> bool:
    """Whether a file is an array of tasks with their annotations."""
    first = read_first_item(path)
    return isinstance(first.get("annotations"), list) and isinstance(first.get("data"), dict)


def is_min_export(path: Path) -> bool:
    """Whether a file is an array of annotations, each with its task's data beside it."""
    first = read_first_item(path)
    return {"annotation_id", "annotator"} <= first.keys() and "annotations" not in first and "labeled_at" not in first


def read(storage: Storage, path: Path, asked: Asked) -> Found:
    """Label rows, one for each annotation that a person finished."""
    found = Found()
    tasks = [(f"{path}: item {n} (task {task.get('id', '?')})", task) for n, task in enumerate(read_array(path), 1)]
    votes = [(where, task, vote) for where, task in tasks for vote in _finished(where, task, found)]
    if any(vote.get("completed_by") is None for _, _, vote in votes):
        found.notes.append("some annotations say nobody (completed_by): they count as one person's")
    _take(storage, found, asked, [(where, task, _fields_of(vote)) for where, task, vote in votes],
          lambda vote: _choice(vote["result"], asked.label_path))
    return found


def read_min(storage: Storage, path: Path, asked: Asked) -> Found:
    """Label rows of JSON_MIN. ForeignSchema: several keys could hold the label, and `--label-path` names none."""
    found = Found()
    items = read_array(path)
    key = asked.label_path or _find_control(path, items)
    votes = []
    for number, item in enumerate(items, 1):
        if item.get(key) in (None, "", [], {}):
            found.left_out["without_answer"] += 1
            continue
        data = {name: value for name, value in item.items() if name not in OWN - {"prediction_id"} and name != key}
        vote = {"completed_by": item.get("annotator"), "updated_at": item.get("updated_at"),
                "created_at": item.get("created_at"), "said": item[key]}
        votes.append((f"{path}: item {number} (annotation {item.get('annotation_id')})", item | {"data": data}, vote))
    _take(storage, found, asked, votes, lambda vote: _only(_as_list(vote["said"])))
    return found


def _take(storage: Storage, found: Found, asked: Asked, votes: Sequence[tuple[str, Object, Object]], choice: Any) -> None:
    """Adds a row for each vote to `found`, or says why it has none."""
    pictures = Pictures(storage, {_picture(task) or "" for _, task, _ in votes if not _id(task, asked)}, asked)
    for where, task, vote in votes:
        try:
            row = rows.make_row(LABEL, {"label": choice(vote), "labeler": _person(vote.get("completed_by")), "origin": "import",
                                      "labeled_at": vote.get("updated_at") or vote.get("created_at"), "prediction_id": "-",
                                      "saw_prediction": vote.get("saw_prediction")})
            given = _id(task, asked)
            found.good += [(where, row | {"prediction_id": i}) for i in ([given] if given else _ids(task, pictures, asked))]
        except NoPrediction as error:
            said = f"{error}. Import the predictions first, or name the field of their ids by `trueup import labels --id-field`."
            found.missing.append(Missing(where, _picture(task) or "", said, "data"))
        except (ValueError, TypeError, BadLabel) as error:
            found.bad.append(f"{where}: {error}")


def _finished(where: str, task: Object, found: Found) -> Iterator[Object]:
    """The annotations of a task that a person finished; the others are counted, or named."""
    said = task.get("annotations") or []
    annotations = said if isinstance(said, list) else [said]
    if not annotations:
        found.left_out["without_answer"] += 1
    for one in annotations:
        if not isinstance(one, dict) or not isinstance(one.get("result", []), list):
            found.bad.append(f"{where}: expected an annotation as a JSON object with a list `result`, got {str(one)[:80]!r}. "
                             f"Export with the annotations.")
        elif one.get("was_cancelled"):
            found.left_out["cancelled"] += 1
        elif not one.get("result"):
            found.left_out["without_answer"] += 1
        else:
            yield one


def _fields_of(vote: Object) -> Object:
    """An annotation that was made from the model's own answer has seen it; of the others nothing is known."""
    return vote | {"saw_prediction": True if vote.get("parent_prediction") else None}


def _choice(result: Sequence[Any], control: str | None) -> str:
    """The one choice in an annotation. ValueError: none, several, or of several controls of the labelling page."""
    items = [item for item in result if isinstance(item, dict)]
    found = [item for item in items if isinstance(dig(item, "value.choices"), list) and control in (None, item.get("from_name"))]
    if not found:
        kinds = ", ".join(sorted({f"{item.get('type')} {item.get('from_name')!r}" for item in items}))
        raise ValueError(f"expected choices{f' of the control {control!r}' if control else ''}, got {kinds}")
    names = sorted({str(item.get("from_name")) for item in found})
    if len(names) > 1:
        raise ValueError(f"the controls {', '.join(names)} hold choices: name the one that is the label by "
                         f"`trueup import labels --label-path {names[0]}`")
    return _only([name for item in found for name in item["value"]["choices"]])


def _only(choices: Sequence[Any]) -> str:
    names = list(dict.fromkeys(write_scalar(name) for name in choices))
    if len(names) != 1 or names[0] is None:
        raise ValueError(f"expected one choice, got {len(choices)}: {', '.join(map(repr, choices[:5]))}. A picture has one "
                         f"label here: leave one of them, or leave the row out")
    return names[0]


def _as_list(said: Any) -> list[Any]:
    found = said.get("choices", said) if isinstance(said, dict) else said
    return found if isinstance(found, list) else [found]


def _find_control(path: Path, items: Sequence[Object]) -> str:
    """The key of JSON_MIN that holds the label: the only one that is neither its own nor an address."""
    names = {name for item in items for name in item if name not in OWN}
    said = sorted(name for name in names if not any(_is_address(item.get(name)) for item in items))
    if len(said) != 1:
        raise ForeignSchema(f"{path}: expected one key with the label, got {', '.join(said) or 'none'}. Name it: `trueup import "
                            f"labels {path} --label-path {said[0] if said else 'choice'}`.")
    return said[0]


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and ("/" in value or value.lower().endswith((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif")))


def _person(completed_by: Any) -> str | None:
    if isinstance(completed_by, dict):
        return write_scalar(completed_by.get("email")) or write_scalar(completed_by.get("id"))
    return write_scalar(completed_by)


def _id(task: Object, asked: Asked) -> str | None:
    paths = (asked.id_field,) if asked.id_field else IDS
    return next(filter(None, (write_scalar(dig(task, path)) for path in paths)), None)


def _ids(task: Object, pictures: Pictures, asked: Asked) -> list[str]:
    if asked.id_field:
        raise ValueError(f"no value at {asked.id_field!r}, where --id-field says that the prediction's id stands")
    uri = _picture(task)
    if uri is None:
        names = ", ".join(f"data.{name}" for name in task.get("data") or ())
        raise ValueError(f"nothing says which prediction it is of: expected data.prediction_id or data.image, got "
                         f"{names or 'no data'}. Name the field by `trueup import labels --id-field`")
    return pictures.find(uri)


def _picture(task: Object) -> str | None:
    """The picture's address in a task: `image`, else the only text among its data that is an address."""
    data = task.get("data")
    texts = {k: v for k, v in data.items() if isinstance(v, str) and v} if isinstance(data, dict) else {}
    addresses = [v for v in texts.values() if _is_address(v)]
    return texts.get("image") or (addresses[0] if len(addresses) == 1 else None)
