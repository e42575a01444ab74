"""The limit that a benchmark sets beside an evaluation applies the rules: it counts what the embedded engine counts."""

import json
import random
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import limits, rules_by_hand
from contract import clock
from jobs.engines.question import Question
from tests.engines import counted, embedded
from tests.generate import start_of, uuid7

DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")
BAD = ["invalid", "misfiled", "future", "duplicate", "vote"]
ENDINGS = {"orphans": [*BAD, "orphan", "future_predictions", "misfiled_predictions", "duplicate_predictions"],
           "superseded": [*BAD, "superseded", "invalid_predictions"], "others": ["other_model", "orphan", "vote"]}
LATE = 200 * 365 * 86_400_000_000  # us since 1970: known to nobody yet


def make_rows(rng, day, kind):
    """Prediction and label rows of a day: repeated, misfiled, invalid and future ones, ties, confidences at the edges of bins."""
    start, ids = start_of(day), [uuid7(start_of(day) + rng.randrange(86_400_000_000), n) for n in range(60)]
    elsewhere, models = uuid7(start - 1000, 1), {name: "other" for name in ids[::9]}
    predictions = [{"prediction_id": name, "predicted_at": LATE if name in ids[1:4] else start + rng.randrange(2),
                    "model": models.get(name, "bench"), "model_version": rng.choice("12"), "predicted_label": rng.choice("abc"),
                    "confidence": rng.choice([0.05 * rng.randrange(21), rng.random()])}
                   for name in [*ids, *rng.sample(ids, 8), elsewhere, None]]
    without = [*models, *([] if kind == "orphans" else ids[1:4])]
    labelled = rng.choices([name for name in ids if name not in without], k=200)
    names = rng.sample(ids, 40) if kind == "others" else [*labelled, elsewhere, None]
    labels = [{"label_id": uuid7(start, n if rng.random() < 0.9 else 0), "prediction_id": name, "label": rng.choice("abc"),
               "labeler": rng.choice("xyz") if kind == "superseded" else f"w{n}", "labeled_at": start + rng.randrange(5)}
              for n, name in enumerate(names)]
    if kind != "others":
        labels[0]["labeled_at"], labels[1]["label"] = LATE, ""
    return {"predictions": predictions, "labels": labels}


@pytest.mark.parametrize("kind", ["orphans", "superseded", "others"])
@pytest.mark.parametrize("seed", range(2))
def test_by_hand_counts_what_the_engine_counts(tmp_path, capsys, seed, kind):
    rng = random.Random(seed)
    for day in DAYS:
        for table, rows in make_rows(rng, day, kind).items():
            folder = tmp_path / "root" / table / f"dt={day}"
            folder.mkdir(parents=True)
            made = pa.Table.from_pylist(rows)
            time = "predicted_at" if table == "predictions" else "labeled_at"
            made = made.set_column(made.column_names.index(time), time, made[time].cast(pa.timestamp("us", "UTC")))
            pq.write_table(made, folder / "rows.parquet")
    out = tmp_path / "out"
    out.mkdir()
    assert rules_by_hand.main(["rules", str(tmp_path / "root"), "--out", str(out)]) == 0
    by_hand = json.loads(capsys.readouterr().out)
    as_of = clock.to_us(datetime(2100, 1, 1, tzinfo=UTC))
    ours = counted(embedded(), tmp_path / "root", list(DAYS), Question(rules_by_hand.MODEL, as_of))
    assert by_hand == {name: sum(day.rows[name] for day in ours) for name in by_hand}
    assert all(by_hand[name] for name in ENDINGS[kind])
    cells = [day.tables["cells"].append_column("dt", pa.repeat(day.day, day.tables["cells"].num_rows)) for day in ours]
    theirs = pa.concat_tables([pq.read_table(file) for file in sorted(out.glob("*.parquet"))])
    assert limits.sort(theirs) == limits.sort(pa.concat_tables(cells))
