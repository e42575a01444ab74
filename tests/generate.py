"""Logs with every awkward case, from a random source (a seeded one, or hypothesis's), and a writer for them.

Values come from small pools, so that ties, duplicates and near misses are common. What the files say is the truth: the
writer may drop columns or precision, and `tests/oracle.py` reads what was written.
"""

import math
import random
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from contract.records import LABEL, PREDICTION

DAY_US = 86_400_000_000
REQUIRED = {"predictions": set(PREDICTION.required), "labels": set(LABEL.required)}
EDGES = [k / 20 for k in range(21)]
CONFIDENCES = [None, math.nan, math.inf, -math.inf, -0.25, -1e-300, 1.5, *EDGES, *(math.nextafter(e, 2) for e in EDGES),
               *(math.nextafter(e, -1) for e in EDGES), 0.123, 0.5001, 2**-31]
PROBABILITIES = [None, None, 0.0, -0.5, 2**-20, math.nextafter(2**-20, 0), math.nextafter(2**-20, 1), 0.1, 1 / 3, 0.25, 0.25,
                 1.0, math.nextafter(1, 2), math.nan, math.inf, 0.7]
NAMES = ["cat", "dog", "Dog", "dog ", "é", "e\u0301", "日本", "\U0001f600", "\uffff", "=1+1", "a,b\"'"]
# "Wrong, class not named", and labels that only look like it: they name a class.
WRONG, NEARLY_WRONG = "\u2260", ["=\u0338", "\u2260 ", "\u2260\u2260"]
CLASSES = ["audit", "review", "import", "feedback"]
# Known roles in odd case, and words that are no role; the last four only look like one.
ROLES = [*["shadow"] * 4, "batch", "canary", "replay", "LIVE", "BATCH", "Shadow", "REPLAY", "production", "Production", "prod",
         "", "live ", "l\u0131ve", "\u017fhadow", "null"]
# For a test that maps words to roles; other cases of a word mean the same.
ROLE_WORDS = {"production": "live", "Prod": "shadow"}


@dataclass
class Log:
    """The rows of one day in both tables, as dicts by our column names."""

    day: str
    predictions: list[dict]
    labels: list[dict]


def start_of(day):
    """The first microsecond of a UTC day."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_US


def uuid7(us, tail):
    """A UUIDv7 of that moment with a small number as its random part."""
    text = f"{us // 1000:012x}7{tail % 4096:03x}{'89ab'[tail % 4]}{tail:015x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def often(rng, usual, *rare, share=0.8):
    """Mostly the usual value, else one of the others."""
    return usual if rng.random() < share else rng.choice(rare)


class Pool:
    """The values that one log draws from, with `size` prediction ids."""

    def __init__(self, rng, day, size, as_of):
        self.rng, self.day, self.as_of, start = rng, day, as_of, start_of(day)
        ours = [uuid7(start + rng.choice([0, 1000 * i, DAY_US // 2, DAY_US - 1]), i) for i in range(1, size + 1)]
        ours += [ours[0].upper(), "request-1", "7", uuid7(start, 1)[:-1], uuid7(start, 1).replace("-", ""),
                 "0199e0d4-0000-4000-8000-000000000001", uuid7(start + 5, 3)[:19] + "c" + "0" * 16]
        strange = [None, "", uuid7(start - 1, 5), uuid7(start + DAY_US, 6), uuid7(start - 1, 5).upper(),
                   "ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-7000-8000-000000000000"]
        self.ids, self.strange = ours, strange
        self.times = [start + x for x in (0, 1, 999, 1000, DAY_US // 3, DAY_US // 3 + 1, DAY_US - 1)]
        self.later = [start + x for x in (DAY_US, DAY_US + DAY_US // 3 - 1, DAY_US + DAY_US // 3, 3 * DAY_US + 7)]
        self.never = [as_of, as_of + 1, as_of - 1, as_of + DAY_US, as_of + 2000]

    def id(self):
        return often(self.rng, self.rng.choice(self.ids), *self.strange, share=0.92)

    def prediction(self):
        rng = self.rng
        top = rng.choice([None, [], ["cat"], ["cat", "dog"], ["dog", "cat", "é"], NAMES, [None, "cat"], ["cat", "cat", "dog"],
                          ["cat", WRONG]])
        made = {
            "prediction_id": self.id(),
            "predicted_at": often(rng, rng.choice(self.times), None, *self.never, *self.later, -1, share=0.85),
            "recorded_at": often(rng, None, *self.times, *self.later, *self.never, share=0.6),
            "model": often(rng, "m", "other", "M", "", None, share=0.8),
            "model_version": often(rng, rng.choice(["1", "2", "10"]), "v3", "", None, "01", share=0.9),
            "predicted_label": often(rng, rng.choice(NAMES[:2]), *NAMES, "", None, *[WRONG] * 3, *NEARLY_WRONG, share=0.8),
            "confidence": rng.choice(CONFIDENCES),
            "role": often(rng, rng.choice(["live", None, "Live"]), *ROLES, share=0.75),
            "top_labels": top,
            "top_probabilities": rng.choice([None, [], [0.1, 0.2], [0.1, None], [0.1, math.nan], [-0.0, 0.2], [0.0, 0.1]]),
            "image_sha256": rng.choice([None, "", "ab", "aB", "é"]), "bytes": rng.choice([None, 0, -1, 2**40]),
            "width": rng.choice([None, 0, 63, 64, 256, 4095]), "height": rng.choice([None, 64, 511, 512, 4096]),
            "latency_ms": rng.choice([None, 9.999, 10.0, 99.5, 1000.0, math.nan, 0.0]),
            "client": rng.choice([None, "", "k1", "k2", "other", "é"]),
            "attributes": rng.choice([None, [], [("camera", "x")], [("camera", "y"), ("site", "s")], [("site", "")]]),
        }
        decision = None if made["width"] is None else "accept" if made["width"] > 100 else "review"
        return made | {"image_uri": f"images/{made['bytes']}" if made["bytes"] else None, "decision": decision}

    def label(self):
        rng = self.rng
        return {
            "label_id": often(rng, None, "", "l1", "l2", "l3", uuid7(start_of(self.day), 9), share=0.4),
            "prediction_id": self.id(),
            "label": often(rng, rng.choice([*NAMES[:3], WRONG]), *NAMES, "", None, *NEARLY_WRONG, share=0.85),
            "labeler": rng.choice([None, "ann", "bob", "Bob", "cyd", "dan"]),
            "labeled_at": often(rng, rng.choice(self.times + self.later), None, *self.never, 5 * DAY_US, share=0.9),
            "recorded_at": often(rng, None, *self.later, *self.never, share=0.6),
            "origin": often(rng, rng.choice(["audit", *CLASSES]), None, "", "Audit", "robot", share=0.85),
            "saw_prediction": rng.choice([False, False, True, None]),
            "shown_label": self.shown_label(rng.choice(NAMES[:2])),
            "withdraws": often(rng, None, False, True, True, share=0.7),
            "selection_probability": rng.choice(PROBABILITIES),
            "strategy": rng.choice([None, "uniform", "floor"]),
            "actor": rng.choice([None, "key-1"]),
        }

    def shown_label(self, right):
        """Null, the text that was predicted, or another one: an empty one and `≠` are others too."""
        return often(self.rng, self.rng.choice([None, right]), *NAMES, *[""] * 4, WRONG, *NEARLY_WRONG, share=0.85)

    def crowd(self, prediction):
        """Labels of several people for one prediction, mostly of one origin, some of them `≠`; times and labels tie often."""
        rng, predicted = self.rng, prediction["predicted_label"]
        said = _say_with_wrong(rng, predicted)
        people = rng.sample([None, "ann", "bob", "Bob", "cyd", "dan"], len(said))
        origin, times = rng.choice(CLASSES[1:] + CLASSES), rng.sample(self.later[:3] + self.times[-2:], 2)
        mixed = rng.random() < 0.4
        return [{**self.label(), "label_id": None, "prediction_id": prediction["prediction_id"], "label": label,
                 "labeler": labeler, "labeled_at": rng.choice(times), "recorded_at": None, "withdraws": None,
                 "origin": rng.choice(CLASSES) if mixed else origin, "shown_label": self.shown_label(predicted)}
                for label, labeler in zip(said, people, strict=True)]


def _say_with_wrong(rng, predicted):
    """What the people of a crowd say: `≠` alone, against the predicted label, and beside other names."""
    named = rng.sample([name for name in NAMES[:3] if name != predicted], 2)
    return rng.choice([[WRONG], [WRONG, WRONG], [WRONG] * 3, [WRONG, predicted], [WRONG, WRONG, predicted],
                       [WRONG, WRONG, predicted, predicted], [WRONG, WRONG, WRONG, predicted], [WRONG, named[0]],
                       [WRONG, *named], [WRONG, WRONG, *named], [WRONG, predicted, *named],
                       *[[WRONG, named[0], predicted, predicted]] * 3, [WRONG, WRONG, predicted, named[0]]])


def log(rng, day="2026-11-20", predictions=8, labels=16, as_of=None):
    """A log of about that many rows; some are repeated, whole or a little changed."""
    as_of = start_of(day) + 2 * DAY_US if as_of is None else as_of
    pool = Pool(rng, day, max(2, predictions * 2 // 3), as_of)
    made = Log(day, [pool.prediction() for _ in range(predictions)], [])
    judged = [r for r in made.predictions if r["prediction_id"] in pool.ids and r["model"] == "m"] or made.predictions
    # Most labels share few predictions, so that people disagree; some judge what nobody predicted.
    pool.ids = [r["prediction_id"] for r in made.predictions][:max(2, labels // 6)] + pool.ids[:1]
    while judged and len(made.labels) < labels // 2:
        made.labels += pool.crowd(rng.choice(judged))
    made.labels += [pool.label() for _ in range(labels - len(made.labels))]
    for rows, fresh in ((made.predictions, pool.prediction), (made.labels, pool.label)):
        for row in [r for r in rows if rng.random() < 0.25]:
            rows.append(_vary(rng, row, fresh()))
        rng.shuffle(rows)
    return made


def _vary(rng, row, fresh):
    """The row with no, one or two neighbouring columns changed: what orders ties is often the second."""
    names = list(row)
    start = rng.randrange(len(names))
    return row | {name: fresh[name] for name in names[start:start + rng.choice([0, 1, 1, 2, 2])]}


def seeded(seed, **size):
    """The log of a seed."""
    return log(random.Random(seed), **size)


# Hypothesis's own random source, so that a failing log shrinks.
randoms = st.randoms(use_true_random=False)


def write(made, root, rng):
    """Writes a log under a root: random files, orders, row groups, types, and missing columns."""
    for table, rows, record in (("predictions", made.predictions, PREDICTION), ("labels", made.labels, LABEL)):
        folder = Path(root) / table / f"dt={made.day}"
        folder.mkdir(parents=True, exist_ok=True)
        rows = rng.sample(rows, len(rows))
        cuts = sorted(rng.randint(0, len(rows)) for _ in range(rng.choice([0, 1, 1, 2, 3])))
        for i, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
            _write_file(folder / f"{rng.choice('abz')}-{i}.parquet", rows[start:stop], record, rng)
    if rng.random() < 0.2:
        (Path(root) / "labels" / f"dt={made.day}" / "_SUCCESS").write_bytes(b"")


def _write_file(path, rows, record, rng):
    columns = {f.name: _column(f, [r.get(f.name) for r in rows], rng) for f in record.fields
               if f.required or rng.random() < (0.7 if f.name == "shown_label" else 0.93)}
    if rng.random() < 0.2:
        columns["extra"] = pa.array([b"\x00"] * len(rows), pa.binary())
    if rng.random() < 0.1:
        columns[rng.choice(["Prediction_ID", "LABEL", "Confidence"])] = pa.array(["another column"] * len(rows))
    names = rng.sample(sorted(columns), len(columns))
    table = pa.table({name: columns[name] for name in names})
    pq.write_table(table, path, row_group_size=rng.choice([1, 3, 1000]), compression=rng.choice(["snappy", "zstd"]),
                   use_dictionary=rng.choice([True, False]), store_schema=rng.random() < 0.8)


def _column(field, values, rng):
    if rng.random() < 0.02:
        return pa.nulls(len(values))
    if field.type == "timestamp":
        return _times(values, rng)
    if field.type == "string":
        if field.name == "model_version" and all(v is None or v in ("1", "2", "10") for v in values) and rng.random() < .5:
            return pa.array([v and int(v) for v in values], rng.choice([pa.int64(), pa.int32()]))
        plain = pa.array(values, pa.string())
        return rng.choice([plain, plain, plain, plain.cast(pa.large_string()), plain.dictionary_encode()])
    if field.type == "double" and rng.random() < 0.2:
        return pa.array(values, pa.float32())
    if field.type == "list<float>" and rng.random() < 0.3:
        return pa.array(values, pa.list_(pa.float64()))
    kinds = {"double": pa.float64(), "float": pa.float32(), "int32": pa.int32(), "int64": pa.int64(), "bool": pa.bool_(),
             "list<string>": pa.list_(pa.string()), "list<float>": pa.list_(pa.float32()),
             "map<string,string>": pa.map_(pa.string(), pa.string())}
    return pa.array(values, kinds[field.type])


def _times(values, rng):
    unit, zone = rng.choice(["us", "us", "us", "ms", "ns"]), rng.choice(["UTC", "UTC", None])
    if unit == "ns":
        values = [v if v is None else v * 1000 + rng.choice([0, 1, 999]) for v in values]
    if unit == "ms":
        values = [v if v is None else v // 1000 for v in values]
    return pa.array(values, pa.timestamp(unit, zone))
