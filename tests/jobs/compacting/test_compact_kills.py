"""`trueup compact` dies before or after any of its writes: every reader finds each row once, and the next run goes on."""

import shutil

import pytest

from contract.records import LABEL
from contract.storage import open_storage
from tests.faults import AFTER, BEFORE, Died, FaultyStorage, Process
from tests.jobs.compacting.small_files import make, others, ours, put, selected, step

LATE = [{"label_id": f"late{n}", "prediction_id": f"p{n}", "label": "a", "labeler": "z", "labeled_at": 1_763_700_000_000_000 + n,
         "origin": "audit"} for n in range(6)]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A root with a day in many files, whole and unpacked."""
    root = tmp_path_factory.mktemp("day") / "root"
    make(str(root), each=2)
    return root


def play(root, storage, tables):
    """Packs, shows and cleans; then late labels come, which are packed with what is there, shown and cleaned again."""
    for _ in range(3):
        step(storage, tables=tables)
    come_late(root)
    for _ in range(3):
        step(storage, tables=tables)


def come_late(root):
    for n in range(2):
        put(str(root), "labels", LABEL, LATE[3 * n:3 * n + 3], f"late{n}")


def store(root):
    return open_storage(str(root))


# A death after a write leaves what one before the next would.
DEATHS = [pytest.param(("labels",), (AFTER,), id="labels"),
          pytest.param(("predictions", "labels"), (BEFORE, AFTER), id="both", marks=pytest.mark.slow("compact"))]


@pytest.mark.parametrize(("tables", "times"), DEATHS)
def test_a_death_at_any_write_hides_no_row_and_doubles_none(day, tmp_path, monkeypatch, tables, times):
    monkeypatch.setattr("jobs.compacting.folder.AT_ONCE", 1)  # one removal after another: which was the n-th is known
    process, root = Process(), shutil.copytree(day, tmp_path / "whole")
    play(root, FaultyStorage(store(root), process), tables)
    assert len(process.writes) > 15 and {name.split()[0] for name in process.writes} == {"create", "delete"}
    # Names hold what is new in every attempt, so a write is told by its number.
    for n in range(len(process.writes)):
        for when in times:
            check_death(day, tmp_path / f"{n}-{when}", n, when, tables, often=len(times) > 1)
            shutil.rmtree(tmp_path / f"{n}-{when}")


def check_death(day, folder, n, when, tables, often):
    root = shutil.copytree(day, folder)
    healthy, count = store(root), iter(range(10_000))
    process = Process(lambda name: when if next(count) == n else None)
    with pytest.raises(Died):
        play(root, FaultyStorage(healthy, process), tables)
    died_at = process.writes[-1]
    came = late(root)
    look(root, day, died_at, came, while_shown=died_at.startswith("delete") or "/packed-" in died_at)
    for again in range(3):
        step(healthy, tables=tables)
        if often or again == 0:
            look(root, day, f"run {again} after {died_at}", came)
    step(healthy, tables=tables)
    look(root, day, f"the last run after {died_at}", came)
    assert len(list(healthy.list("labels/"))) <= 4, "two schemas, a document, and room for one"


def late(root):
    """Whether the late labels came: they lie in files of their own, or were packed."""
    return any("late0" in row for row in ours(store(root))[0])


def look(root, day, where, came, while_shown=False):
    """All readers against the day as it was, with the late labels where they came. Others may see rows twice while the packed
    files are shown and the originals go."""
    wanted, storage = make_wanted(day, came), store(root)
    rows, names = ours(storage)
    assert rows == wanted["rows"] and selected(storage) == wanted["selected"], where
    assert came or names == wanted["names"], where  # late files have another time in every copy
    seen = others(storage)
    assert not wanted["rows"] - seen, f"{where}: others miss rows"
    twice = seen - wanted["rows"]
    assert not twice or (while_shown and not twice - wanted["rows"]), f"{where}: others see rows too often"


WANTED = {}


def make_wanted(day, with_late):
    if with_late not in WANTED:
        root = day
        if with_late:
            root = shutil.copytree(day, day.parent / "late")
            come_late(root)
        rows, names = ours(store(root))
        WANTED[with_late] = {"rows": rows, "names": names, "selected": selected(store(root))}
    return WANTED[with_late]
