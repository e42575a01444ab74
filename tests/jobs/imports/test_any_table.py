"""Random tables in every flavour: what is read equals the plain form, or an error names file, row and column."""

import csv
import gzip
import io
import json
import os
import re
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import clock, labels
from contract.errors import TrueupError
from contract.records import LABEL, PREDICTION
from jobs.imports import rows
from jobs.imports.context import MISSING
from jobs.imports.notes import Notes
from jobs.imports.options import Reading

START, LATEST = clock.parse_moment("2026-01-01T00:00:00Z"), clock.to_us(clock.parse_moment("2027-01-01T00:00:00Z"))
# Names as people give them, and what programs write beside and instead of them.
NAMES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=12),
    st.text(st.sampled_from("aZ7.0 ,;|\t\n\"'[]{}eE+-\u00e9\u4e2d\u200b\ufeff"), min_size=1, max_size=8),
    st.sampled_from(["cat", "7", "007", "7.0", "7.5", "1e3", "1E+03", "true", "nan", "NA", "[\"a\"]", "\u2260", "sep=;", "#"]))
OTHERS = st.one_of(st.none(), st.booleans(), st.integers(-3, 99), st.floats(), st.lists(st.sampled_from("ab"), max_size=2),
                   st.fixed_dictionaries({"choices": st.lists(st.sampled_from("ab"), max_size=2)}))
IDS = st.from_regex(r"[a-z][a-z0-9/_.-]{0,9}", fullmatch=True)
SHARES = st.floats(0, 1)
TIMES = st.integers(0, 300 * 86_400).map(lambda s: START + timedelta(seconds=s))


@st.composite
def tables(draw, names):
    """(record, rows): of predictions or labels, with values as Python has them."""
    record = draw(st.sampled_from([PREDICTION, LABEL]))
    ids = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    if record is PREDICTION:
        return record, [{"prediction_id": i, "predicted_at": draw(TIMES), "predicted_label": draw(names), "model": "m",
                         "model_version": "1", "confidence": draw(SHARES)} for i in ids]
    return record, [{"prediction_id": i, "label": draw(names), "labeler": "ann", "labeled_at": draw(TIMES)} for i in ids]


def as_text(value):
    if value is None:
        return ""
    return value if isinstance(value, str) else value.isoformat() if hasattr(value, "isoformat") else json.dumps(value)


def plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


@st.composite
def csv_texts(draw, table):
    out, delimiter = io.StringIO(newline=""), draw(st.sampled_from(",;\t|"))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerow(table[0])
    writer.writerows([as_text(v) for v in row.values()] for row in table)
    return out.getvalue()


@st.composite
def csv_files(draw, table):
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    return "t.csv", draw(csv_texts(table)).encode(encoding)


@st.composite
def json_files(draw, table):
    found = [{k: plain(v) for k, v in row.items()} for row in table]
    ascii_ = draw(st.booleans())
    if draw(st.booleans()):
        text = json.dumps(found, ensure_ascii=ascii_, indent=draw(st.sampled_from([None, 1])))
    else:
        text = "\n".join(json.dumps(row, ensure_ascii=ascii_) for row in found)
    return draw(st.sampled_from(["t.json", "t.jsonl", "t.ndjson"])), text.encode(draw(st.sampled_from(["utf-8", "utf-16"])))


@st.composite
def parquet_files(draw, table):
    columns = {}
    for name in table[0]:
        values = [row[name] for row in table]
        texts = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
        stamps = [pa.timestamp(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC", "Asia/Tokyo")]
        kinds = texts if all(isinstance(v, str) for v in values) else stamps if hasattr(values[0], "isoformat") else [None]
        kind = draw(st.sampled_from(kinds))
        columns[name] = pa.array(values, kind)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return "t.parquet", sink.getvalue()


def read(record, name, data, **options):
    """(rows by number, lines of bad rows, notes), or the error."""
    notes = Notes()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        good, bad = rows.read(path, record, reading=Reading(latest=LATEST, **options), notes=notes)
    return {number: row for number, row in good}, bad, notes


def means_one_thing(name):
    """The label that a text must be read as; None where an error is right, too."""
    try:
        made = labels.normalise_class(name)
    except TrueupError:
        return None
    return None if made in MISSING or re.match(r"[\[{]|-?\d+\.0$|\d+(\.\d+)?[eE]", made) else made


WRITERS = st.sampled_from([csv_files, json_files, parquet_files])
QUICK = settings(max_examples=int(os.environ.get("ANY_TABLE_EXAMPLES", "60")), suppress_health_check=list(HealthCheck),
                 database=None, derandomize=True)


@QUICK
@given(st.data())
def test_names_are_read_as_they_are_or_named_with_row_and_column(data):
    record, table = data.draw(tables(NAMES))
    name, content = data.draw(data.draw(WRITERS)(table))
    column = "predicted_label" if record is PREDICTION else "label"
    good, bad, notes = read(record, name, content)
    assert len(good) + len(bad) + notes.unlabelled == len(table)
    for number, row in enumerate(table, 1):
        wanted = means_one_thing(row[column])
        if number in good:
            found = good[number]
            assert found["prediction_id"] == row["prediction_id"]
            assert found.get("confidence") == row.get("confidence")
            assert (found.get("predicted_at") or found["labeled_at"]) == (row.get("predicted_at") or row["labeled_at"])
            assert wanted in (None, found[column])
        else:
            assert wanted is None
            assert not row[column].strip() or any(re.search(rf"/{name}: row {number}: column '{column}': .", b) for b in bad)


@QUICK
@given(st.data())
def test_values_of_other_types_are_read_alike_in_every_format_or_named(data):
    """Of the same value JSON and CSV say the same, or one of them an error: never two labels."""
    values = data.draw(st.lists(OTHERS, min_size=1, max_size=3))
    table = [{"prediction_id": f"x{i}", "label": v, "labeler": "ann", "labeled_at": START} for i, v in enumerate(values)]
    seen = []
    for writer in (csv_files, json_files):
        name, content = data.draw(writer(table))
        good, bad, notes = read(LABEL, name, content)
        assert len(good) + len(bad) + notes.unlabelled == len(table)
        assert all(re.search(rf"/{name}: row \d+: column 'label': .", line) for line in bad)
        seen.append(good)
    for number, value in enumerate(values, 1):
        found = {of[number]["label"] for of in seen if number in of}
        assert len(found) <= 1 or isinstance(value, bool | float), "what is text in CSV is no text in JSON"
        if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
            assert seen[1][number]["label"] == str(int(value))


@QUICK
@given(st.data(), st.sampled_from(["cp1252", "latin-1", "utf-16-le"]))
def test_an_encoding_that_is_named_gives_the_same_rows(data, encoding):
    letters = st.characters(codec="latin-1" if encoding == "latin-1" else "cp1252", categories=["L"])
    record, table = data.draw(tables(st.text(letters, min_size=1, max_size=6)))
    text = data.draw(csv_texts(table))
    wanted, found = read(record, "t.csv", text.encode()), read(record, "t.csv", text.encode(encoding), encoding=encoding)
    assert found[0] == wanted[0] and len(found[1]) == len(wanted[1])


@QUICK
@given(st.data(), st.sampled_from(["t.csv", "t.json", "t.jsonl", "t.parquet", "t.csv.gz", "t.json.gz"]))
def test_bytes_of_any_kind_are_rows_or_an_error_that_names_the_file(data, name):
    """Bytes that nobody meant, and files of which a few bytes are others."""
    record, table = data.draw(tables(NAMES))
    _, content = data.draw(data.draw(WRITERS)(table))
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    content = data.draw(st.sampled_from([bytes(spoilt), data.draw(st.binary(max_size=60))]))
    try:
        good, bad, notes = read(record, name, gzip.compress(content) if name.endswith("gz") and len(content) % 2 else content)
    except TrueupError as error:
        assert f"/{name}: " in str(error)
    else:
        assert all(f"/{name}: row " in line for line in bad)
        assert max(good, default=0) <= len(good) + len(bad) + notes.unlabelled
