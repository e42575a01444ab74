"""The table at the end of `make bench`: its lines, its arithmetic, two machines side by side."""

import json

import pytest

from benchmarks import summary
from emr.estimate import read_recorded

HERE = {"machine": "2 cores", "date": "2026-11-21", "load_before": 0.1, "upload_mb_per_s": 750.0, "evaluation_rows_per_s": 1e5,
        "training_rows_per_s": 12.5, "serving": {"throughput": {"per_second": 50.0, "p50": 310.0, "p99": 420.5},
                                                 "latency": {"per_second": 30.0, "p50": 33.0, "p99": 51.2}}}
THERE = {**HERE, "machine": "16 cores, a GPU", "evaluation_rows_per_s": 2e6, "serving": {}}
LINES = ["machine", "date", "load before", "upload MB/s", "evaluation rows/s", "training rows/s", "requests/s, throughput",
         "p50, p99 ms", "requests/s, latency", "p50, p99 ms", "dollars per 100,000 predictions"]


def test_one_table_has_every_figure():
    lines = summary.text([HERE]).splitlines()
    assert [line.split("  ")[0].strip() or line.strip().split("  ")[0] for line in lines[:len(LINES)]] == LINES
    assert lines[7].split()[-2:] == ["310,", "420.5"] and lines[9].split()[-2:] == ["33,", "51.2"]


def test_dollars_are_the_hours_of_answering_and_counting():
    hours = (1e5 / 50 + 1e5 / 1e5) / 3600
    assert summary.dollars_of(HERE, 0.096) == pytest.approx(0.096 * hours)
    assert summary.dollars_of({**HERE, "serving": {"throughput": {"per_second": 100.0}}}, 0.096) < 0.051 * hours


def test_two_machines_stand_side_by_side(tmp_path, capsys):
    files = [tmp_path / "here.json", tmp_path / "there.json"]
    for path, record in zip(files, (HERE, THERE), strict=True):
        path.write_text(json.dumps(record))
    assert summary.main([str(path) for path in files]) == 0
    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["evaluation rows/s"].split()[-2:] == ["100,000", "2,000,000"]
    assert lines["requests/s, throughput"].split()[-3:] == ["50.0", "not", "measured"]
    assert read_recorded(files[0]).evaluation_rows_per_s == 1e5  # what `trueup emr plan` computes with
