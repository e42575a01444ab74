"""A day in many small files, with every oddity that rows have, and what readers of all kinds find of it."""

import random
from collections import Counter

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from contract import layout
from contract.records import LABEL, PREDICTION
from contract.rows.listing import list_day, list_rows
from contract.rows.reading import rows_where
from contract.settings import CompactSettings
from contract.storage import open_storage
from jobs.compacting.folder import Folder
from tests import generate

DAY = "2026-11-20"
TABLES = (("predictions", PREDICTION), ("labels", LABEL))
ORIGINS = ("audit", "review", "import", "feedback")
NOW = CompactSettings(files=2, grace_hours=0)
LATER = CompactSettings(files=2)


def make(root, seed=5, each=4):
    """A day of which each table lies in files of two releases: the older one's lack columns that came later."""
    made = generate.log(random.Random(seed), day=DAY, predictions=20, labels=24)
    for table, record in TABLES:
        rows = made.predictions if table == "predictions" else made.labels
        for n in range(2 * each):
            put(root, table, record, rows[n::2 * each], f"w{n}", lacks=record.names[-1:] if n % 2 else ())
    return open_storage(root)


def put(root, table, record, rows, writer, lacks=()):
    """One file of rows, as the service writes them."""
    storage = open_storage(root)
    schema = pa.schema([f for f in record.arrow() if f.name not in lacks], metadata={"trueup.schema": "1"})
    made = pa.Table.from_pylist([{k: v for k, v in row.items() if k in schema.names} for row in rows], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink, compression="zstd")
    key = layout.row_file(table, DAY, writer, 1, len(rows))
    storage.put(key, sink.getvalue().to_pybytes())
    return key


def step(storage, settings=NOW, tables=("predictions", "labels")):
    """One run of `trueup compact` on the day."""
    return [Folder(storage, table, DAY, settings).advance() for table in tables]


def as_counter(rows):
    return Counter(repr(sorted(row.items())) for row in rows)


def ours(storage):
    """What whoever goes through the listing reads: every row of both tables, with how often, and the files' names for counts."""
    found = Counter()
    system, base = storage.arrow()
    for table, record in TABLES:
        for file in list_rows(storage, table, DAY):
            read = pq.ParquetFile(f"{base}/{file.key}", filesystem=system).read()
            found += as_counter(dict.fromkeys(record.names) | row for row in read.to_pylist())
    return found, list_day(storage, DAY).fingerprint()


def selected(storage):
    """What `rows_where` finds: lineage, forget, the pages and the lists of doubtful rows read by it."""
    everybody = [row["prediction_id"] for _, row in rows_where(storage, "labels", DAY, "origin", ORIGINS, ("prediction_id",),
                                                               unreadable=None)]
    return Counter(everybody)


def others(storage):
    """What a program of others reads by the documented pattern, without any column of ours: every row, with how often."""
    found = Counter()
    system, base = storage.arrow()
    for table, record in TABLES:
        data = ds.dataset(f"{base}/{table}", filesystem=system, schema=record.arrow(), format="parquet")
        found += as_counter(data.to_table().to_pylist())
    return found
