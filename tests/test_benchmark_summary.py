"""The table at the end of `make bench`: its lines, its arithmetic, two machines side by side."""

import json

import pytest

import benchmarks.__main__ as measuring
from benchmarks import summary
from contract.storage import open_storage
from emr.estimate import read_recorded
from pipeline import bench

HERE = {"machine": "2 cores", "date": "2026-11-21", "load_before": 0.1, "upload_mb_per_s": 750.0, "evaluation_rows_per_s": 1e5,
        "training_rows_per_s": 12.5, "serving": {"throughput": {"per_second": 50.0, "p50": 310.0, "p99": 420.5},
                                                 "latency": {"per_second": 30.0, "p50": 33.0, "p99": 51.2}}}
THERE = {**HERE, "machine": "16 cores, a GPU", "evaluation_rows_per_s": 2e6, "serving": {}}
LINES = ["machine", "instance", "dollars an hour", "date", "load before", "upload MB/s", "to", "evaluation rows/s",
         "training rows/s", "resnet152", "requests/s, throughput", "p50, p99 ms", "requests/s, latency", "p50, p99 ms",
         "dollars per 100,000 predictions"]


def name_line(line):
    """What a line of the table is called; some names are indented."""
    return line.strip().split("  ")[0]


def rows(said):
    return {name_line(line): line for line in said.splitlines()}


def test_one_table_has_every_figure():
    lines = summary.text([HERE]).splitlines()
    assert [name_line(line) for line in lines[:len(LINES)]] == LINES
    assert lines[11].split()[-2:] == ["310,", "420.5"] and lines[13].split()[-2:] == ["33,", "51.2"]


def test_dollars_are_the_hours_of_answering_and_counting():
    hours = (1e5 / 50 + 1e5 / 1e5) / 3600
    assert summary.dollars_of(HERE, 0.096) == pytest.approx(0.096 * hours)
    assert summary.dollars_of({**HERE, "serving": {"throughput": {"per_second": 100.0}}}, 0.096) < 0.051 * hours


def test_two_machines_stand_side_by_side(tmp_path, capsys):
    files = [tmp_path / "here.json", tmp_path / "there.json"]
    for path, record in zip(files, (HERE, THERE), strict=True):
        path.write_text(json.dumps(record))
    assert summary.main([str(path) for path in files]) == 0
    lines = rows(capsys.readouterr().out)
    assert lines["evaluation rows/s"].split()[-2:] == ["100,000", "2,000,000"]
    assert lines["requests/s, throughput"].split()[-3:] == ["50.0", "not", "measured"]
    assert read_recorded(files[0]).evaluation_rows_per_s == 1e5  # what `trueup emr plan` computes with


def test_each_column_is_priced_by_its_own_machine(tmp_path, capsys):
    files = [tmp_path / f"{n}.json" for n in range(3)]
    for path, kind in zip(files, ("m5.large", "p3.2xlarge", None), strict=True):
        path.write_text(json.dumps(HERE | ({"instance": kind} if kind else {})))
    assert bench.main([str(path) for path in files]) == 0
    said = rows(capsys.readouterr().out)
    assert said["dollars an hour"].split()[3:] == ["0.096", "3.06", "unknown", "price"]
    seconds = 1e5 / 50 + 1e5 / 1e5
    assert said["dollars per 100,000 predictions"].split()[4:6] == [f"{hour * seconds / 3600:.4f}" for hour in (0.096, 3.06)]
    assert bench.main([*map(str, files), *["--instance=c7i.large"] * 2, "--instance=z1.huge"]) == 0
    assert rows(capsys.readouterr().out)["dollars an hour"].split()[3:] == ["0.08925", "0.08925", "unknown", "price"]


def test_what_is_wrong_is_an_error_and_no_traceback(tmp_path, capsys, monkeypatch):
    (tmp_path / "half.json").write_text('{"machine": "x"}')
    for door in (summary.main, bench.main):
        assert door([str(tmp_path / "none.json")]) == 1 and "Measure one there" in capsys.readouterr().err
        assert door([str(tmp_path / "half.json")]) == 1 and "half.json" in capsys.readouterr().err
        assert door(["--instance", "m5.large", "--instance", "m5.large"]) == 2 and "got 2" in capsys.readouterr().err
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    assert bench.main([]) == 2 and "expected a checkout" in capsys.readouterr().err


def test_upload_is_timed_to_the_root_that_is_given(s3_root):
    assert measuring.upload(s3_root, objects=2, size=1000) > 0
    assert list(open_storage(s3_root).list()) == []  # nothing stays


def test_resnet_152_is_measured_by_default(monkeypatch):
    rates = {"resnet18": 9.0, "resnet152": 1.0}
    monkeypatch.setattr(measuring, "training", lambda network="resnet18": rates[network])
    monkeypatch.setattr(measuring, "upload", lambda root=None: 5.0)
    counted = {"programs": {"trueup embedded": {"wall": 2.0}}, "rows": 100, "labels": 20}
    made = measuring.record(counted, "100", 0.0, instance="c5.large")
    assert made["training_of"] == {"network": "resnet152", "rows_per_s": 1.0} and made["training_rows_per_s"] == 9.0
    assert rows(summary.text([made]))["resnet152"].split() == ["resnet152", "1.0"] and made["instance"] == "c5.large"
