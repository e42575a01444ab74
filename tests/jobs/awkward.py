"""Random logs with every awkward case in them, written as files whose stored types differ."""

import math
import random
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from contract.ids import uuid7
from contract.records import LABEL, PREDICTION
from contract.storage import open_storage
from jobs.engines.day_files import list_day, read_footers
from jobs.engines.question import Question, Slice

US_PER_DAY = 86_400_000_000
DAY0 = int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()) * 1_000_000
DAYS = ("2026-11-19", "2026-11-20")
AS_OF = DAY0 + 3 * US_PER_DAY
SLICES = (Slice("client", "client"), Slice("camera", "attributes.camera"), Slice("hour", "hour"),
          Slice("size", "image_size"), Slice("latency", "latency"))
QUESTION = Question("m", AS_OF, slices=SLICES, labeler_weights={"ann": 131072, "bob": 0})
CLASSES = ["cat", "dog", "", "Dog", "d\u00f6g", "\U0001f436", "\ufb01sh"]


def pick(r: random.Random, common: list, rare: list):
    """Mostly one of the common values; one in twenty is of the rare ones."""
    return r.choice(common) if r.random() < 0.95 else r.choice(rare)


def prediction_ids(r: random.Random, day: int, n: int) -> list[str]:
    """Ids of one day: UUIDv7 in either case, ids of other kinds, a few of another day."""
    at = [datetime.fromtimestamp((DAY0 + (day + (r.random() < 0.05)) * US_PER_DAY) / 1e6 + r.random() * 86399, UTC)
          for _ in range(n)]
    made = [uuid7(moment, r.randbytes(10)) for moment in at]
    return [pick(r, [i], [i.upper(), i.replace("-", ""), f"order {n}", i[:14] + "4" + i[15:]]) for n, i in enumerate(made)]


def moment(r: random.Random, day: int, spread: int) -> int:
    """One of few moments, so that ties are common; some before the day, some after `as_of`."""
    return DAY0 + day * US_PER_DAY + r.choice([0, 1, 3_600_000_000, US_PER_DAY - 1]) + pick(r, [0, 0, 1], [-1, 4]) * (
        US_PER_DAY * spread)


def prediction(r: random.Random, ids: list[str], day: int) -> dict:
    """A prediction row."""
    at = moment(r, day, 0)
    return {
        "prediction_id": pick(r, ids, [None, "", *ids]), "predicted_at": pick(r, [at], [None, at + 1]),
        "recorded_at": pick(r, [None, at, at + 1], [at + 9 * US_PER_DAY, at - 5]),
        "model": pick(r, ["m", "m", "m", "other"], [None, "", "M"]), "model_version": pick(r, ["1", "2"], [None, "", "10"]),
        "predicted_label": pick(r, CLASSES[:2], [None, *CLASSES]),
        "confidence": pick(r, [0.05 * r.randrange(21), r.random(), math.nextafter(0.15, 0), 3 / 20], [
            None, math.nan, math.inf, -0.0, 1.0, -0.1, 1.5, math.nextafter(1, 0)]),
        "role": pick(r, [None, "live", "live"], ["shadow", "", "Live"]),
        "top_labels": pick(r, [CLASSES[:2], CLASSES[1::-1], ["eel", "Dog"]], [None, [], [None, "cat"], ["cat", "cat"]]),
        "top_probabilities": pick(r, [[0.5, 0.25]], [None, [], [math.nan, None]]), "image_sha256": r.choice("ab"),
        "image_uri": None, "width": pick(r, [63, 64, 300], [None, 5000]), "height": pick(r, [63, 64], [None]),
        "bytes": r.choice([None, 5, 7]), "weights_sha256": None, "preprocess_hash": None,
        "latency_ms": pick(r, [9.5, 10.0, 99.0], [None, math.nan, math.inf]),
        "client": pick(r, ["web", "app"], [None, "", "other"]),
        "request_id": None, "source_uri": None,
        "attributes": pick(r, [{"camera": "a"}, {"camera": "b", "site": "x"}], [None, {}, {"camera": None}, {"site": "y"}]),
    }


def label(r: random.Random, ids: list[str], day: int) -> dict:
    """A label row."""
    at = moment(r, day, 1)
    return {
        "label_id": pick(r, [None, f"l{r.randrange(400)}"], ["", "l1"]),
        "prediction_id": pick(r, ids, [None, "", "nobody's"]),
        "label": pick(r, [*CLASSES[:2], "\u2260"], [None, *CLASSES]),
        "labeler": pick(r, ["ann", "bob", "eve", "\u00e5sa"], [None]),
        "labeled_at": pick(r, [at], [None, at + 1]), "recorded_at": pick(r, [None, at], [at + 1, at + 9 * US_PER_DAY]),
        "origin": pick(r, ["feedback", "review", "audit", "import"], [None, "", "Audit", "crowd"]),
        "saw_prediction": r.choice([None, False, True, False]), "withdraws": pick(r, [None, False, False], [True]),
        "selection_probability": pick(r, [0.1, 1.0, 2.0**-20], [None, math.nan, 0.0, 2.0**-21, 1.5, -0.0]),
        "strategy": r.choice([None, "uniform"]), "actor": r.choice([None, "key 1"]),
        "shown_label": pick(r, [None, *CLASSES[:2]], ["", "\u2260"]),
    }


def rows_of(seed: int, n: int = 60) -> dict[str, dict[str, list[dict]]]:
    """{day: {table: rows}} with duplicates, some of them after a small change."""
    r = random.Random(seed)
    made = {}
    for number, day in enumerate(DAYS):
        ids = prediction_ids(r, number, n)
        predictions = [prediction(r, ids, number) | {"prediction_id": pick(r, [i], [None, *ids])} for i in ids]
        labels = [label(r, ids[: n // 2], number) for _ in range(3 * n)]
        predictions += [_changed(r, row, prediction(r, ids, number)) for row in r.choices(predictions, k=n // 3)]
        labels += [_changed(r, row, label(r, ids, number)) for row in r.choices(labels, k=n)]
        r.shuffle(predictions), r.shuffle(labels)
        made[day] = {"predictions": predictions, "labels": labels}
    return made


def _changed(r: random.Random, row: dict, other: dict) -> dict:
    changed = r.sample([c for c in row if c != "prediction_id"], k=r.choice([0, 0, 1, 2]))
    return row | {c: other[c] for c in changed}


OPTIONAL = {"predictions": [f.name for f in PREDICTION.fields if not f.required],
            "labels": [f.name for f in LABEL.fields if not f.required]}


def write(root: str, rows: dict, seed: int, files: int = 3) -> None:
    """The rows in several files a day and table: stored types, column order and optional columns differ by file."""
    for day, tables in rows.items():
        for name, of_table in tables.items():
            for n in range(files):
                r = random.Random(f"{seed} {name} {n}")  # the same forms on each day, so that Spark reads few groups
                table = stored(r, name, of_table[n::files])
                folder = open_storage(root).path(f"{name}/dt={day}")
                folder.mkdir(parents=True, exist_ok=True)
                old = {"use_deprecated_int96_timestamps": True} if r.random() < 0.15 else {"version": "2.6"}
                pq.write_table(table, folder / f"part {n} [a]%20{{x,y}}*.parquet", row_group_size=r.choice([7, 40, 1000]), **old)


def stored(r: random.Random, name: str, rows: list[dict]) -> pa.Table:
    """The rows as one of the forms that are taken as they are; whatever a form cannot hold is lost on writing."""
    record = PREDICTION if name == "predictions" else LABEL
    schema = record.arrow()
    dropped = set(r.sample(OPTIONAL[name], k=r.choice([0, 0, 1, 3])))
    columns = {}
    for field in schema:
        values = [row.get(field.name) for row in rows]  # columns that no engine counts by are null here
        if field.type == pa.map_(pa.string(), pa.string()):
            values = [None if v is None else list(v.items()) for v in values]
        if field.name not in dropped:
            columns[field.name] = _stored(r, field, values)
    names = list(columns)
    r.shuffle(names)
    return pa.table({n: columns[n] for n in names})


def _stored(r: random.Random, field: pa.Field, values: list) -> pa.Array:
    plain = pa.array(values, field.type)
    if pa.types.is_timestamp(field.type):
        unit, zone = r.choice([("us", "UTC"), ("us", None), ("ms", "UTC"), ("ns", None), ("ns", "UTC")])
        made = plain.cast(pa.timestamp(unit, zone), safe=False)
        if unit == "ns":  # a fraction that must be rounded down
            extra = pa.array([r.randrange(1000) for _ in values])
            made = pa.compute.add(made.cast(pa.int64()), extra).cast(made.type)
        return made
    if field.name == "model_version" and r.random() < 0.3:
        numbers = [int(v) if v else None for v in values]
        return pa.array(numbers, r.choice([pa.int64(), pa.int8(), pa.uint32(), pa.uint64()]))
    if plain.null_count == len(values) or (field.name in ("actor", "client") and r.random() < 0.1):
        return pa.nulls(len(values))
    if field.type == pa.string():
        return r.choice([plain, plain.cast(pa.large_string()), plain.dictionary_encode()])
    if field.name in ("confidence", "selection_probability") and r.random() < 0.2:
        return plain.cast(pa.float32())
    return plain


def day_files(root: str, question: Question = QUESTION, days: tuple[str, ...] = DAYS):
    """The storage of a root and its days, footers read."""
    storage = open_storage(root)
    return storage, read_footers(storage, [list_day(storage, day) for day in days], question.slices)[0]


def as_python(counts) -> dict:
    """Day counts as plain values that compare and print well."""
    tables = {name: table.to_pylist() for name, table in counts.tables.items()}
    return {"day": counts.day, "rows": counts.rows, "known": (counts.known_through, counts.next_future), **tables}
