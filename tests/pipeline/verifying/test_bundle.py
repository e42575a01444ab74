"""A bundle goes to somebody without the bucket: the same findings there, and nothing leaves the folder it is unpacked to."""

import json
import shutil
import zipfile

import pytest

from contract import jsonio, layout
from contract.errors import DamagedDocument
from pipeline.verifying import command as verify
from pipeline.verifying.bundle import CONTENTS, unpack_bundle
from tests.pipeline.roots import MODEL, make_root
from tests.pipeline.verifying.test_verify import judge, states


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A bundle of a decision whose root is gone."""
    folder = tmp_path_factory.mktemp("packed")
    root, file = str(folder / "root"), folder / "audit.zip"
    make_root(root, right=120, n=200)
    made = judge(root)
    options = ["--root", root, "--model", MODEL, "--engine", "embedded", "--in-process", "--bundle", str(file)]
    assert verify.main([made, *options]) == 0
    assert verify.main([made, *options]) == 1, "there is one"
    shutil.rmtree(root)
    return file, made


def look(file, capsys):
    capsys.readouterr()
    code = verify.main([str(file), "--engine", "embedded", "--in-process", "--json"])
    return code, json.loads(capsys.readouterr().out)


def repack(file, into, change):
    """The bundle with some members changed: `change` takes (name, bytes) and returns what is written, a list of such."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            for made, data in change(name, old.read(name)):
                new.writestr(made, data)
    return into


def test_the_same_is_found_without_the_bucket(packed, capsys):
    file, made = packed
    code, document = look(file, capsys)
    assert (code, document["evaluation"], states(document, "differs", "missing", "cannot tell")) == (0, made, {})
    names = set(zipfile.ZipFile(file).namelist())
    assert {name.partition("/")[0] for name in names} == {
        "counts", "evaluations", "labels", "models", "predictions", CONTENTS}
    assert layout.decision(MODEL, made) in names


def test_a_byte_that_changes_in_a_bundle_is_found(packed, tmp_path, capsys):
    file, _ = packed
    with zipfile.ZipFile(file) as old:
        names = [i for i in old.infolist() if i.filename.endswith((".parquet", "decision.json", "00000001.json"))]
    assert len(names) >= 3
    for info in names[::5]:
        damaged = tmp_path / "damaged.zip"
        data = bytearray(file.read_bytes())
        data[info.header_offset + 200 + len(info.filename)] ^= 1
        damaged.write_bytes(bytes(data))
        code, document = look(damaged, capsys)
        assert code == 3 and info.filename in states(document, "differs", "missing"), info.filename


def test_a_member_with_other_content_or_none_is_named(packed, tmp_path, capsys):
    file, made = packed
    key = layout.decision(MODEL, made)
    other = repack(file, tmp_path / "other.zip", lambda name, data: [(name, data + b" " * (name == key))])
    code, document = look(other, capsys)
    assert code == 3 and key in states(document, "differs")
    without = repack(file, tmp_path / "without.zip", lambda name, data: [] if "labels/" in name else [(name, data)])
    code, document = look(without, capsys)
    assert code == 3 and any(name.startswith("labels/") for name in states(document, "missing"))


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "models/../../evil", "evil", "models/a\\..\\..\\evil", "models/\0evil",
                                  "s3://bucket/evil"])
def test_nothing_leaves_the_folder(packed, tmp_path, name):
    """A member that no key is, or that `bundle.json` does not name: neither is unpacked."""
    def add(member, data):
        if member != CONTENTS:
            return [(member, data)]
        document = json.loads(data)
        document["files"][name] = {"size": 4, "sha256": "a" * 64}
        return [(member, jsonio.dumps(document)), (name, b"evil")]

    bad = repack(packed[0], tmp_path / "bad.zip", add)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with pytest.raises(DamagedDocument, match="expected keys of a root"):
        unpack_bundle(bad, inner)
    unnamed = repack(packed[0], tmp_path / "unnamed.zip", lambda m, d: [(m, d), *([(name, b"evil")] if m == CONTENTS else [])])
    unpack_bundle(unnamed, inner)
    assert not [p for p in tmp_path.rglob("*evil*")]


def test_what_is_no_bundle_is_said(packed, tmp_path, capsys):
    file, _ = packed
    no_contents = repack(file, tmp_path / "no.zip", lambda name, data: [] if name == CONTENTS else [(name, data)])
    code, document = look(no_contents, capsys)
    assert code == 1 and "a zip without its bundle.json" in document["error"]["message"]
    cut = tmp_path / "cut.zip"
    cut.write_bytes(file.read_bytes()[:-200])
    code, document = look(cut, capsys)
    assert code == 1 and "expected a bundle, a whole zip file, got" in document["error"]["message"]
    code, document = look(tmp_path / "none.zip", capsys)
    assert code == 2 and "found no such file" in document["error"]["message"]
    assert verify.main([str(file), "--bundle", str(tmp_path / "x.zip")]) == 2


def test_a_member_is_not_longer_than_it_says(packed, tmp_path):
    file, _ = packed
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as new, zipfile.ZipFile(file) as old:
        document = json.loads(old.read(CONTENTS))
        key = next(name for name in document["files"] if name.startswith("labels/"))
        new.writestr(key, b"\0" * 50_000_000)
        new.writestr(CONTENTS, jsonio.dumps(document | {"files": {key: {"size": 100, "sha256": "a" * 64}}}))
    folder = tmp_path / "bomb"
    folder.mkdir()
    _, findings = unpack_bundle(tmp_path / "bomb.zip", folder)
    assert findings[0]["state"] == "differs" and (folder / key).stat().st_size <= 101
