"""Files as people have them, and what `trueup evaluate --predictions --labels` and `trueup import` make of them."""

import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from contract.stores.store import Storage
from jobs import evaluate, import_table

AT, LATER = "2026-11-18T09:00:00Z", "2026-11-19T08:00:00Z"


def predictions(*classes, **columns):
    """One row for each class; `columns` are lists of further values."""
    rows = [{"prediction_id": f"a{i}", "predicted_at": AT, "predicted_label": name, "confidence": 0.9}
            for i, name in enumerate(classes)]
    return [row | {name: values[i] for name, values in columns.items()} for i, row in enumerate(rows)]


def labels(*names, **columns):
    rows = [{"prediction_id": f"a{i}", "label": name, "labeler": "anna", "labeled_at": LATER} for i, name in enumerate(names)]
    return [row | {name: values[i] for name, values in columns.items()} for i, row in enumerate(rows)]


def put_csv(path, rows, delimiter=",", encoding="utf-8", newline="\n"):
    """As `csv` writes it: quoted where it must be."""
    out = io.StringIO()
    # `csv` would not quote a line break that is none of its own.
    quoting = csv.QUOTE_ALL if newline == "\r" else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writeheader()
    writer.writerows({k: v if v is None or isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def put_lines(path, rows, encoding="utf-8"):
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding))
    return path


def put_array(path, rows, encoding="utf-8"):
    path.write_bytes(json.dumps(rows, ensure_ascii=False, indent=1).encode(encoding))
    return path


def put_parquet(path, rows, **types):
    """`types`: column -> its Arrow type, where it is not what Arrow tells itself."""
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    pq.write_table(pa.table(columns), path)
    return path


KINDS = {"csv": put_csv, "jsonl": put_lines, "json": put_array, "parquet": put_parquet}


def put(path: Path, rows):
    return KINDS[path.suffix[1:]](path, rows)


class Runs:
    """Runs the two commands in this process; `said` is what the last one said on standard error."""

    def __init__(self, folder: Path, capsys) -> None:
        self.folder, self.capsys, self.said = folder, capsys, ""

    def evaluate(self, p, l=None, *options, code=0):  # noqa: E741
        """The document of an evaluation of two files, or the message of the error."""
        files = ["--predictions", str(p), *(["--labels", str(l)] if l else [])]
        return self._finish(evaluate.main([*files, "--json", *options]), code)

    def bring(self, table, path, *options, code=0):
        """The document of an import into the root beside the files, or the message of the error."""
        return self._finish(import_table.main([table, str(path), "--root", str(self.folder / "root"), "--json", *options]), code)

    def _finish(self, found, code):
        shown = self.capsys.readouterr()
        self.said, document = shown.err, json.loads(shown.out)
        assert found == code, (shown.out, shown.err)
        return document["error"]["message"] if "error" in document else document


def rows_of(storage: Storage, table):
    """All rows of a table, in whatever order."""
    return [row for entry in storage.list(f"{table}/") if entry.key.endswith(".parquet")
            for row in pq.read_table(pa.BufferReader(storage.read(entry.key))).to_pylist()]


def count_plainly(storage, request):
    """What an evaluation of one version says, where each label is a vote and no prediction has two; no sums or tables."""
    predicted, said = rows_of(storage, "predictions"), {r["prediction_id"]: r["label"] for r in rows_of(storage, "labels")}
    right = [said[r["prediction_id"]] == r["predicted_label"] for r in predicted if r["prediction_id"] in said]
    classes = sorted({r["predicted_label"] for r in predicted} | set(said.values()))
    version = {"predictions": len(predicted), "labelled": len(right), "per_class": [{"label": name} for name in classes],
               "accuracy": {"value": sum(right) / len(right) if right else None}}
    rows = {"predictions": len(predicted), "invalid_predictions": 0, "labels": len(said), "invalid": 0, "orphan": 0,
            "vote": len(right)}
    return {"rows": rows, "versions": {predicted[0]["model_version"]: version} if predicted else {}}, None, {}


def accuracy(document):
    """(accuracy, labelled) of the only version."""
    (version,) = document["versions"].values()
    return version["accuracy"]["value"], version["labelled"]
