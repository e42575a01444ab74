"""`import --new`: a folder that grows is imported every hour, and each of its files once."""

import json

import pytest

from jobs import import_table
from jobs.imports import growing
from jobs.imports.found import Asked
from jobs.imports.options import Reading
from tests.jobs.imports.bring import COLUMNS, bring, put
from tests.jobs.imports.foreign.test_data_capture import event
from tests.jobs.stored_rows import read_rows

NAMED = ("--model", "m", "--model-version", "3")


def capture(folder, hour, *numbers):
    return put(folder / f"pets/AllTraffic/2026/11/18/{hour:02d}/events.jsonl",
               [event({"predicted_label": "dog", "probability": 0.7}, n=n) for n in numbers])


def run(capsys, root, folder, *options, table="predictions"):
    capsys.readouterr()
    code = bring(root, table, folder, "--new", "--json", *options)
    return code, json.loads(capsys.readouterr().out)


def ids(root, table="predictions"):
    return sorted(r["prediction_id"] for r in read_rows(root, table))


def test_each_hour_takes_what_is_new(tmp_root, tmp_path, capsys):
    folder = tmp_path / "capture"
    capture(folder, 1, 1, 2)
    code, done = run(capsys, tmp_root, folder, *NAMED)
    assert (code, done["taken"], done["known"], done["rows"]) == (0, 1, 0, 2)
    capture(folder, 2, 3)
    put(folder / "_tmp/part.jsonl", ["{"])  # not finished by its writer
    put(folder / ".hidden.jsonl", ["{"])
    put(folder / "README.md", ["no rows"])
    code, done = run(capsys, tmp_root, folder, *NAMED)
    assert (code, done["taken"], done["known"], done["rows"]) == (0, 1, 1, 1)
    code, done = run(capsys, tmp_root, folder, *NAMED)
    assert (code, done["taken"], done["known"], done["files"]) == (0, 0, 2, [])
    assert ids(tmp_root) == ["event-1", "event-2", "event-3"]


def test_the_same_content_under_another_name_is_the_same_file(tmp_root, tmp_path, capsys):
    folder = tmp_path / "in"
    for hour in (1, 2):
        capture(folder, hour, 1)
    assert run(capsys, tmp_root, folder, *NAMED)[1]["taken"] == 1
    (folder / "pets/AllTraffic/2026/11/18/01/events.jsonl").rename(folder / "moved.jsonl")
    assert run(capsys, tmp_root, folder, *NAMED)[1]["taken"] == 0 and ids(tmp_root) == ["event-1"]


def test_a_kill_between_rows_and_record_repeats_nothing(tmp_root, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "in"
    for hour in range(3):
        capture(folder, hour, hour)
    calls = []

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return remember(*arguments)

    remember = growing.remember
    monkeypatch.setattr(growing, "remember", die)
    with pytest.raises(KeyboardInterrupt):
        growing.import_new(tmp_root, "predictions", folder, take(tmp_root))
    monkeypatch.setattr(growing, "remember", remember)
    assert ids(tmp_root) == ["event-0", "event-1"]
    assert run(capsys, tmp_root, folder, *NAMED)[1]["taken"] == 2 and ids(tmp_root) == ["event-0", "event-1", "event-2"]


def take(root):
    """What takes a file into the root, as the command does."""
    asked = Asked(fill={"model": "m", "model_version": "3"})
    return lambda path: import_table.import_into(root, "predictions", path, asked, False, None, Reading())


def test_one_bad_file_stops_no_other_and_comes_again(tmp_root, tmp_path, capsys):
    folder = tmp_path / "in"
    capture(folder, 1, 1)
    bad = put(folder / "a.csv", ["p1,2026-11-18T10:00:00Z,m,1,cat,not a number"], COLUMNS)
    code, done = run(capsys, tmp_root, folder, *NAMED)
    assert code == 1 and [entry["file"] for entry in done["failed"]] == [str(bad)] and ids(tmp_root) == ["event-1"]
    put(bad, ["p1,2026-11-18T10:00:00Z,m,1,cat,0.5"], COLUMNS)
    code, done = run(capsys, tmp_root, folder, *NAMED)
    assert (code, done["taken"], ids(tmp_root)) == (0, 1, ["event-1", "p1"])


def test_a_file_that_changes_meanwhile_is_no_taken_one(tmp_root, tmp_path):
    path = capture(tmp_path / "in", 1, 1)
    inner = take(tmp_root)

    def change(file):
        done = inner(file)
        capture(tmp_path / "in", 1, 1, 2)
        return done

    done = growing.import_new(tmp_root, "predictions", tmp_path / "in", change)
    assert done["taken"] == 0 and "changed meanwhile" in done["failed"][0]["error"] and str(path) in done["failed"][0]["error"]


def test_new_wants_a_folder(tmp_root, tmp_path, capsys):
    path = capture(tmp_path / "in", 1, 1)
    assert bring(tmp_root, "predictions", path, "--new", *NAMED) == 2
    assert "expected a folder with --new" in capsys.readouterr().err
