"""Files as other systems write them, and what an import of them leaves behind."""

import json

from jobs import evaluate, import_table
from tests.jobs.stored_rows import read_rows

COLUMNS = "prediction_id,predicted_at,model,model_version,predicted_label,confidence"
SAID = "prediction_id,label,labeler,labeled_at"


def put(path, lines, header=None):
    """Writes texts, or objects as JSON, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [x if isinstance(x, str) else json.dumps(x) for x in lines]
    path.write_text("\n".join([*([header] if header else []), *texts]) + "\n", "utf-8")
    return path


def bring(root, table, path, *options):
    return import_table.main([table, str(path), "--root", root, *options])


def labels_of(root):
    """(prediction id, day, label) of every label in the root, sorted."""
    return sorted((r["prediction_id"], r["day"], r["label"]) for r in read_rows(root, "labels"))


def accuracy(capsys, *options):
    """Evaluates; returns its document, and (labelled, accuracy) by version."""
    capsys.readouterr()
    assert evaluate.main([*map(str, options), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    return document, {v: (x["labelled"], x["accuracy"]["value"]) for v, x in document["versions"].items()}
