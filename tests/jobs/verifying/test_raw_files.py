"""Raw files are known by their content from now on, and by size and etag before."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from contract import jsonio, layout
from contract.counts_store import CountsDocument
from contract.records import LABEL
from contract.settings import CompactSettings
from contract.storage import open_storage
from jobs import evaluate
from jobs.compacting.folder import Folder
from jobs.verifying.raw_files import look_at_day
from tests.pipeline.roots import DAY, MODEL, make_root, put_rows, rows


def count(root, *options):
    """Evaluates the day; the counts document."""
    assert evaluate.main(["--root", root, "--model", MODEL, "--no-report", *options]) == 0
    storage = open_storage(root)
    keys = [e.key for e in storage.list(layout.counts(MODEL, DAY)) if e.key.endswith(".json")]
    return [CountsDocument.load(storage, key) for key in keys]


def found(root, document):
    """(what was said of each file, whether the day can be counted again)."""
    raw = look_at_day(open_storage(root), document)
    return {f["of"]: (f["state"], f["said"]) for f in raw.findings}, raw.files is not None


@pytest.mark.parametrize("options", [(), ("--engine", "mapreduce", "--runner", "inline")], ids=["embedded", "mapreduce"])
def test_counts_name_each_file_by_its_content_and_the_engine(tmp_root, options):
    make_root(tmp_root, right=1, n=4)
    (document,) = count(tmp_root, *options)
    assert document.engine == (options[1] if options else "embedded")
    assert document.hashes == {key: hashlib.sha256(Path(tmp_root, key).read_bytes()).hexdigest() for key, _, _ in document.files}
    assert len(document.hashes) == 2


def test_a_copy_has_another_time_and_the_same_content(tmp_root):
    make_root(tmp_root, right=1, n=4)
    (document,) = count(tmp_root)
    key = document.files[0][0]
    os.utime(Path(tmp_root, key), (1, 1))
    said, again = found(tmp_root, document)
    assert again and {state for state, _ in said.values()} == {"equal"}
    old = document.model_copy(update={"hashes": None})
    said, again = found(tmp_root, old)
    assert again and said[key] == ("no content hash", "no content hash: size and etag only; its modification time is another, as "
                                   "that of a copy is")
    with open(Path(tmp_root, key), "ab") as file:
        file.write(b"x")
    said, _ = found(tmp_root, old)
    assert said[key][0] == "differs" and "bytes, got" in said[key][1]


def test_files_that_were_packed_carry_the_hashes_of_the_compaction(tmp_root):
    make_root(tmp_root, right=1, n=4)
    storage = open_storage(tmp_root)
    put_rows(storage, LABEL, "labels", rows(6, 0, 6)[1][4:], writer="more")
    (before,) = count(tmp_root)
    for _ in range(4):
        Folder(storage, layout.LABELS, DAY, CompactSettings(files=2, grace_hours=0)).advance()
    storage.delete(layout.counts_document(MODEL, DAY, before.name))
    (after,) = count(tmp_root)
    assert (after.files, after.hashes) == (before.files, before.hashes)
    said, again = found(tmp_root, after)
    assert again and any("stands for 2 packed files" in text for _, text in said.values())
    wrong = after.model_copy(update={"hashes": {**after.hashes, after.files[0][0]: "0" * 64}})
    said, _ = found(tmp_root, wrong)
    assert any(state == "differs" and "another content than was counted" in text for state, text in said.values())


def test_rows_that_were_packed_with_later_ones_cannot_be_told_apart(tmp_root):
    make_root(tmp_root, right=1, n=4)
    (before,) = count(tmp_root)
    storage = open_storage(tmp_root)
    put_rows(storage, LABEL, "labels", rows(6, 0, 6)[1][4:], writer="later")
    for _ in range(4):
        Folder(storage, layout.LABELS, DAY, CompactSettings(files=2, grace_hours=0)).advance()
    said, again = found(tmp_root, before)
    assert not again and any(state == "cannot tell" and "came after these counts" in text for state, text in said.values())


def test_a_record_of_expiry_that_names_other_files_excuses_nothing(tmp_root):
    make_root(tmp_root, right=1, n=4)
    (document,) = count(tmp_root)
    storage = open_storage(tmp_root)
    record = {"schema": "1", "day": DAY, "at": "2026-11-20T00:00:00Z", "days": 30, "files": document.files[:1], "objects": [],
              "counts": [{"model": MODEL, "role": "live", "name": document.name}]}
    storage.put(layout.expiry(DAY, "rows"), jsonio.dumps(record))
    said, again = found(tmp_root, document)
    assert not again and {state for state, _ in said.values()} == {"cannot tell"}
    storage.put(layout.expiry(DAY, "rows"), jsonio.dumps(record | {"files": document.files}))
    said, _ = found(tmp_root, document)
    assert {state for state, _ in said.values()} == {"expired"}
    storage.put(layout.expiry(DAY, "rows"), json.dumps({"day": DAY}).encode())
    said, _ = found(tmp_root, document)
    assert {state for state, _ in said.values()} == {"differs"}
