"""Stored forms that once made engines disagree: each counts the same in all of them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.engines.question import Question, Slice
from tests import generate
from tests.engines import counted as counted_by
from tests.engines import embedded, mapreduce, spark_here
from tests.jobs import awkward

DAY = "2026-11-20"
START = generate.start_of(DAY)
AS_OF = START + 5 * generate.DAY_US
TIME = pa.timestamp("us", "UTC")


@pytest.fixture(params=[embedded, lambda: mapreduce, lambda: spark_here], ids=["embedded", "mapreduce", "spark"])
def counted(request, tmp_path):
    """A function: columns of predictions and labels beside the required ones -> what an engine counts."""
    def run(predictions, labels=None, slices=(), **options):
        for name, columns in (("predictions", predictions), ("labels", labels or {"label": []})):
            folder = tmp_path / name / f"dt={DAY}"
            folder.mkdir(parents=True)
            pq.write_table(pa.table(with_required(name, columns)), folder / "a.parquet", **options)
        (found,) = counted_by(request.param(), tmp_path, [DAY], Question("m", AS_OF, slices=slices))
        return awkward.as_python(found)
    return run


def with_required(name, columns):
    rows = len(next(iter(columns.values())))
    if name == "predictions":
        made = {"prediction_id": [f"p{n}" for n in range(rows)], "predicted_at": pa.array([START] * rows, TIME),
                "model": ["m"] * rows, "model_version": ["1"] * rows, "predicted_label": ["cat"] * rows,
                "confidence": pa.array([0.5] * rows, pa.float64())}
    else:
        made = {"prediction_id": ["p0"] * rows, "label": ["cat"] * rows, "labeler": ["ann"] * rows,
                "labeled_at": pa.array([START] * rows, TIME)}
    return {n: pa.array(v, pa.string()) if n != "confidence" and isinstance(v, list) else v for n, v in (made | columns).items()}


NANS = np.array([0x7FF8000000000000, 0xFFF8000000000000], np.uint64).view(np.float64)


def test_a_nan_is_a_nan_whatever_its_bits(counted):
    found = counted({"prediction_id": ["p0", "p1", "p1"], "confidence": pa.array([0.5, *NANS[::-1]]), "client": ["x", "z", "y"]},
                    {"label": ["cat", "cat"], "selection_probability": pa.array(NANS)}, (Slice("client", "client"),))
    assert (found["rows"]["duplicate"], found["rows"]["superseded"], found["rows"]["vote"]) == (1, 0, 1)
    assert [row["value"] for row in found["slices"]] == ["x", "y"]


def test_lists_of_dictionaries_in_several_row_groups(counted):
    tops = pa.array([["cat", "dog"], ["dog", "cat"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))
    found = counted({"prediction_id": ["p0", "p1"], "top_labels": tops}, {"label": ["cat", "cat"], "prediction_id": ["p0", "p1"]},
                    row_group_size=1)
    assert sorted(row["rank"] for row in found["cells"]) == [1, 2]


def test_old_times_beyond_arrows_nanoseconds_are_in_the_future(counted):
    never = generate.start_of("9999-12-31")
    found = counted({"prediction_id": ["p0", "p1"], "recorded_at": pa.array([START, never], pa.timestamp("us"))},
                    use_deprecated_int96_timestamps=True)
    assert (found["rows"]["future_predictions"], found["known"]) == (1, (START, never))


def test_the_smallest_width_is_a_width(counted):
    width = pa.array([-2**31, None], pa.int32())
    found = counted({"prediction_id": ["p0", "p1"], "width": width, "height": pa.array([None, None], pa.int32())},
                    slices=(Slice("size", "image_size"),))
    assert [row["value"] for row in found["slices"]] == [None, "<64"]
