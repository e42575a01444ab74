"""Writes a raw log with pyarrow alone, by docs/design.md, and evaluates it as the command does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MODEL, DAY = "m", "2026-11-18"
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
TIME, TEXT = pa.timestamp("us", tz="UTC"), pa.string()
PREDICTIONS = pa.schema([("prediction_id", TEXT), ("predicted_at", TIME), ("recorded_at", TIME), ("model", TEXT),
                         ("model_version", TEXT), ("predicted_label", TEXT), ("confidence", pa.float64()), ("client", TEXT)])
LABELS = pa.schema([("label_id", TEXT), ("prediction_id", TEXT), ("label", TEXT), ("labeler", TEXT), ("labeled_at", TIME),
                    ("recorded_at", TIME), ("origin", TEXT), ("saw_prediction", pa.bool_()), ("shown_label", TEXT),
                    ("withdraws", pa.bool_()), ("selection_probability", pa.float64())])


def write_log(root, predictions, labels):
    """Rows are dictionaries; `day` of a prediction is DAY where it has none, and a label lies with its prediction."""
    Path(root).mkdir(parents=True, exist_ok=True)
    assert list(Path(root).iterdir()) == [], "something is in the way"
    Path(root, "trueup.json").write_text('{"schema": "1"}')
    day_of = {row["prediction_id"]: row.get("day", DAY) for row in predictions}
    noon = {day: datetime.fromisoformat(f"{day}T12:00:00+00:00") for day in day_of.values()}
    made = [{"model": MODEL, "model_version": "1", "predicted_at": noon[day_of[row["prediction_id"]]]} | row
            for row in predictions]
    told = [{"label_id": f"l{n}", "labeled_at": noon[day_of[row["prediction_id"]]] + timedelta(hours=1)} | row
            for n, row in enumerate(labels)]
    for table, schema, rows in (("predictions", PREDICTIONS, made), ("labels", LABELS, told)):
        for day in sorted(set(day_of.values())):
            mine = [{name: row.get(name) for name in schema.names} for row in rows if day_of[row["prediction_id"]] == day]
            folder = Path(root, table, f"dt={day}")
            folder.mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(mine, schema), folder / "w-0-1.parquet")


def run(capsys, main, root, *options, codes=(0, 3, 4)):
    """What a command prints with --json."""
    capsys.readouterr()
    code = main(["--root", str(root), "--model", MODEL, "--json", *options])
    printed = capsys.readouterr()
    assert code in codes, printed
    return json.loads(printed.out)


def evaluate(capsys, root, *evidence, options=("--as-of", "2026-11-25")):
    """The evaluation with sections of evidence."""
    from jobs.evaluate import main

    asked = [word for name in evidence for word in ("--evidence", name)]
    return run(capsys, main, root, "--no-report", *options, *asked)


def read_items(root):
    """The rows of all items under a root."""
    return [row for file in sorted(Path(root, "items").rglob("*.parquet")) for row in pq.read_table(file).to_pylist()]
