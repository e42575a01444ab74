"""The drill of docs/restore.md: a bucket back from its versions, a root back from yesterday's copy; what is run is the page's."""

import json
import re
import shlex
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest
from moto.s3.models import s3_backends

from contract import clock, layout, sequence
from contract.errors import UsageError
from contract.records import LABEL, PREDICTION
from contract.registry import Registry
from contract.storage import open_root
from contract.stores.s3_versions import require_versions
from inference.outbox.outbox import Outbox
from inference.outbox.shipper import Shipper
from pipeline import cli
from pipeline.checks import machine
from tests.inference.serving import serving, until
from tests.pipeline.conftest import fake_stages  # noqa: F401  (a fixture)
from tests.pipeline.roots import put_rows, rows
from tests.upgrade.of_rules_1 import DAYS, MODEL, make_picture, stand_still, unpack

PAGE = Path(__file__).parents[2] / "docs" / "restore.md"
PNG = {"Content-Type": "image/png"}


@pytest.fixture(autouse=True)
def quick_doctor(monkeypatch):
    monkeypatch.setattr(machine, "CHECKS", {"root": machine.CHECKS["root"]})


def said_on_the_page():
    """The commands in the page's blocks, as words after `trueup`."""
    blocks = re.findall(r"```sh show\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def run(capsys, root, *words, since="", code=0):
    """Runs a command that the page has, on this root and model; its document."""
    assert list(words) in said_on_the_page(), words
    here = {"2026-11-28T14:00Z": since, "digits": MODEL}
    found = cli.main([*(here.get(word, word) for word in words), "--root", root, "--json"])
    said = capsys.readouterr()
    assert found == code or code is None, said
    return json.loads(said.out)


def look(capsys, root, code=0):
    """`doctor --contents`: what is bad, by the name of the check."""
    found = run(capsys, root, "doctor", "--contents", code=code)["checks"]
    return {row["check"]: row for row in found if row["state"] == "bad"}


def go_on(capsys, root):
    """The last step of the page."""
    assert look(capsys, root) == {}
    counted = run(capsys, root, "evaluate", "--model", "digits")
    assert counted["rows"]["vote"] == 110
    return run(capsys, root, "cycle", "--model", "digits", code=None)


def fill(root, **files):
    """A bucket that keeps versions with these objects, and the moment after they were written."""
    client, name = boto3.client("s3"), root.split("/")[2]
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    storage = require_versions(open_root(root, create=True))
    for key, data in files.items():
        storage.put(key, data)
    # A listing knows seconds: what was written so far was written an hour ago.
    for _, versions in s3_backends["123456789012"]["aws"].buckets[name].keys.lists():
        for one in versions:
            one.last_modified -= timedelta(hours=1)
    return storage, clock.now() - timedelta(minutes=30)


def test_what_was_deleted_or_overwritten_comes_back(s3_root, capsys):
    storage, moment = fill(s3_root, **{"models/m/live.json": b"2", "a b/deleted": b"d", "twice": b"t", "stays": b"s"})
    for key in ("a b/deleted", "twice", "twice"):
        storage.delete(key)
    storage.put("models/m/live.json", b"{}")
    storage.put("since", b"new")
    since = clock.iso(moment)
    planned = run(capsys, s3_root, "restore", "--since", "2026-11-28T14:00Z", "--dry-run", since=since)
    assert (planned["deleted"], planned["overwritten"]) == (["a b/deleted", "twice"], ["models/m/live.json"])
    assert not storage.exists("twice")
    assert run(capsys, s3_root, "restore", "--since", "2026-11-28T14:00Z", since=since) == planned | {"dry_run": False}
    assert {key: storage.read(key) for key in ("models/m/live.json", "a b/deleted", "twice", "stays", "since")} == {
        "models/m/live.json": b"2", "a b/deleted": b"d", "twice": b"t", "stays": b"s", "since": b"new"}


@pytest.mark.slow("s3")
def test_a_bucket_comes_back_from_its_versions(s3_root, tmp_path, capsys, fake_stages):  # noqa: F811
    folder = Path(unpack(tmp_path))
    storage, moment = fill(s3_root, **{str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*"))
                                       if p.is_file() and "images" not in p.parts})
    keys = {entry.key: storage.read(entry.key) for entry in storage.list()}
    evaluation = next(key for key in keys if key.endswith("evaluation.json"))
    for key in keys:
        if key.startswith(("models/", "counts/", "labels/", "runs/")):
            storage.delete(key)
    storage.put(evaluation, b"{}")
    storage.put("predictions/dt=2026-11-10/since-000000000001-000000000009.parquet",
                keys["predictions/dt=2026-11-10/old-000000000001-000000000060.parquet"])
    since = clock.iso(moment)
    assert cli.main(["doctor", "--contents", "--root", storage.root]) == 1
    capsys.readouterr()
    planned = run(capsys, storage.root, "restore", "--since", "2026-11-28T14:00Z", "--dry-run", since=since)
    assert planned["overwritten"] == [evaluation] and len(planned["deleted"]) > 20
    assert not storage.exists(layout.live(MODEL))
    done = run(capsys, storage.root, "restore", "--since", "2026-11-28T14:00Z", since=since)
    assert done == planned | {"dry_run": False}
    assert {key: storage.read(key) for key in keys} == keys
    assert storage.exists("predictions/dt=2026-11-10/since-000000000001-000000000009.parquet")
    assert go_on(capsys, storage.root)["live_at_start"] == "2"


def test_an_erased_picture_does_not_come_back(s3_root, capsys):
    sha256 = "a" * 64
    storage, moment = fill(s3_root, **{layout.image(sha256, "png"): b"a picture", "other": b"o"})
    storage.put(layout.erasure(sha256), b"{}")
    for key in (layout.image(sha256, "png"), "other"):
        storage.delete(key)
    since = clock.iso(moment)
    assert run(capsys, s3_root, "restore", "--since", "2026-11-28T14:00Z", "--dry-run", since=since)["deleted"] == ["other"]
    storage.put(layout.image(sha256, "png"), b"a picture")
    assert sha256 in look(capsys, s3_root, code=1)["erasures"]["found"]


def test_what_keeps_no_versions_says_so(tmp_root, s3_root, capsys):
    for root, why in ((tmp_root, "A folder keeps none: copy it back"), (s3_root, "got one that never did")):
        open_root(root, create=True)
        assert cli.main(["restore", "--root", root, "--since", "2026-11-28"]) == 2
        assert why in capsys.readouterr().err


def publish_again(storage):
    """Version 3, with the weights of version 2."""
    registry = Registry(storage, MODEL)
    card = registry.card("2").model_copy(update={"version": registry.claim(by="me"), "parent": "2"})
    registry.write_version(card, Path(storage.root.removeprefix("file://"), layout.weights(MODEL, "2")))
    registry.promote(card.version, by="me", reason="r", expected_live="2")
    return card.version


def test_the_service_and_the_cycle_go_on_from_yesterdays_copy(tmp_path, capsys, monkeypatch, fake_stages):  # noqa: F811
    monkeypatch.setattr(sequence, "LOOK_AGAIN_S", 0.0)
    root, copy, lost = unpack(tmp_path), tmp_path / "copy", tmp_path / "lost"
    subprocess.run(["cp", "-a", root, copy], check=True)
    with serving(root, tmp_path / "own", "serve.poll_seconds=0.05", models=(MODEL,)) as client:
        def ask(n):
            answer = client.post("/v1/predictions", content=make_picture("red", n), headers=PNG)
            assert answer.status_code == 200, answer.text
            return answer.json()["model_version"]

        def is_shipped():
            return client.service.outbox.measure_depth().rows == 0

        assert ask(1) == "2"
        assert publish_again(open_root(root)) == "3"
        until(lambda: ask(2) == "3")
        until(is_shipped)
        Path(root).rename(lost)  # with the rows that were shipped today
        assert ask(3) == "3"  # answered, and kept in the outbox
        copy.rename(root)  # in one step: rows are shipped as soon as the root's id is there
        until(lambda: ask(4) == "2")  # the history of the copy says so
        until(is_shipped)
    bad = look(capsys, root, code=1)
    assert list(bad) == ["numbers of versions"]
    assert bad["numbers of versions"]["do"] == f"trueup model reserve 3 --model {MODEL} --reason restored"
    assert cli.main([*shlex.split(bad["numbers of versions"]["do"])[1:], "--root", root]) == 0
    assert "reserved: 3; the next version is 4" in capsys.readouterr().out
    gaps = {row["check"]: row for row in run(capsys, root, "doctor", "--contents")["checks"]}["rows of outboxes"]
    assert "in no file of these days" in gaps["found"]
    assert go_on(capsys, root)["live_at_start"] == "2"
    assert Registry(open_root(root), MODEL).claim(by="test") == "4"


def test_an_open_run_of_the_copy_is_carried_on(tmp_path, capsys, monkeypatch, fake_stages):  # noqa: F811
    """Its owner was at work when the copy was made, and is gone; what its stages name and is lost is said."""
    root = unpack(tmp_path)
    storage = open_root(root)
    for stage in ("promotion", "publish", "assess"):
        storage.delete(layout.stage(MODEL, 1, stage))
    storage.delete(layout.run_end(MODEL, 1))
    card = storage.read(layout.card(MODEL, "2"))
    storage.delete(layout.card(MODEL, "2"))
    assert "names what is not there: version 2" in look(capsys, root, code=1)[f"runs of {MODEL}"]["found"]
    storage.put(layout.card(MODEL, "2"), card)
    storage.delete(layout.history(MODEL).format(2))
    bad = look(capsys, root, code=1)
    assert "it ends with record 1, live.json is a copy of record 2" in bad[f"history of {MODEL}"]["found"]
    Registry(storage, MODEL).publish_copy()
    assert look(capsys, root) == {}
    stand_still(monkeypatch)
    assert cli.main(["cycle", "--root", root, "--model", MODEL, "--in-process", "--json", "--set",
                     "cycle.takeover_seconds=0"]) == 0
    ended = json.loads(capsys.readouterr().out)
    assert (ended["run"], ended["published"]) == (f"{MODEL}/1", "2")


@pytest.mark.parametrize("gone, check, words", [
    (layout.weights(MODEL, "1"), f"versions of {MODEL}", "version 1 has no weights"),
    (layout.claim(MODEL, "2"), f"versions of {MODEL}", "version 2 has no claim"),
    ("datasets/", "datasets", "dataset [0-9a-f]+ of tiny's versions"),
    ("counts/", f"evaluations of {MODEL}", "names counts of 2026-11-09 that are not there"),
    (f"labels/dt={DAYS[0]}/", f"evaluations of {MODEL}", "counted and not there: 1 file of rows: labels/dt=2026-11-09"),
    (None, "numbers of versions", "cannot be read: predictions/dt=2026-11-09/odd.parquet"),
    (layout.history(MODEL).format(1), f"history of {MODEL}", "00000001.json")])
def test_what_is_missing_is_named(tmp_path, capsys, gone, check, words):
    root = unpack(tmp_path)
    storage = open_root(root)
    if gone is None:
        storage.put("predictions/dt=2026-11-09/odd.parquet", b"PAR1 no parquet")
    for entry in list(storage.list(gone)) if gone else ():
        storage.delete(entry.key)
    bad = look(capsys, root, code=1)
    assert re.search(words, bad[check]["found"]) and bad[check]["do"], bad


def test_evaluations_of_a_model_that_was_never_published_are_looked_at_too(tmp_root, capsys):
    """The logs of another service's model."""
    storage = open_root(tmp_root, create=True)
    for record, table, made in zip((PREDICTION, LABEL), ("predictions", "labels"), rows(20, 15, 20, DAYS[0]), strict=True):
        put_rows(storage, record, table, made, DAYS[0])
    assert cli.main(["evaluate", "--root", tmp_root, "--model", "digits", "--as-of", "2026-11-28T00:00:00Z"]) == 0
    capsys.readouterr()
    assert look(capsys, tmp_root) == {}
    for entry in list(storage.list("counts/")):
        storage.delete(entry.key)
    assert f"names counts of {DAYS[0]}" in look(capsys, tmp_root, code=1)["evaluations of digits"]["found"]


def test_files_that_were_packed_are_not_missing(tmp_path, capsys):
    root = unpack(tmp_path)
    whole = Path(root, layout.row_file("labels", DAYS[0], "old", 1, 58))
    packed = pq.read_table(whole)
    for first, last in ((1, 30), (31, 58)):
        half = Path(root, layout.row_file("labels", DAYS[0], "old", first, last))
        pq.write_table(packed.slice(first - 1, last - first + 1), half)
    whole.unlink()
    shutil.rmtree(Path(root, layout.evaluations(MODEL)))  # of the whole file
    assert cli.main(["evaluate", "--root", root, "--model", MODEL, "--as-of", "2026-11-28T00:00:00Z"]) == 0
    options = [w for one in ("grace_hours=0", "after_days=0", "files=2") for w in ("--set", f"compact.{one}")]
    for _ in range(3):  # pack, show, clean
        assert cli.main(["compact", "--root", root, "--json", *options]) == 0
    capsys.readouterr()
    assert any(layout.is_packed(e.key) for e in open_root(root).list("labels/"))
    assert look(capsys, root) == {}


def test_a_gate_without_its_counts_says_to_evaluate_again(tmp_path, capsys, monkeypatch):
    stand_still(monkeypatch)
    root = unpack(tmp_path)
    assert cli.main(["evaluate", "--root", root, "--model", MODEL]) == 0
    for entry in list(open_root(root).list("counts/")):
        open_root(root).delete(entry.key)
    assert cli.main(["gate", "--root", root, "--model", MODEL]) == 1
    assert re.search(rf"expected the counts that it names, got: .*evaluate again: trueup evaluate --model {MODEL}",
                     capsys.readouterr().err)
    assert cli.main(["evaluate", "--root", root, "--model", MODEL]) == 0
    capsys.readouterr()
    assert look(capsys, root, code=None)[f"evaluations of {MODEL}"]["found"].count("names counts") == 3


def test_an_outbox_ships_to_the_copy_at_another_address(tmp_path):
    """Only where somebody says that it is one: it might be a copy that people try things on."""
    old = unpack(tmp_path)
    Path(old).rename(tmp_path / "moved")
    storage = open_root(str(tmp_path / "moved"))
    with pytest.raises(UsageError, match=r"holds rows of the root .*the old root is lost and this is its copy: --restored-from"):
        Outbox(tmp_path / "outbox", storage.root, 1 << 20)
    with pytest.raises(UsageError, match="holds rows"):
        Outbox(tmp_path / "outbox", storage.root, 1 << 20, restored_from="file:///another")
    box = Outbox(tmp_path / "outbox", storage.root, 1 << 20, restored_from=f"file://{old}")
    assert Shipper(box, storage, 900, 1 << 20, lambda *_, **__: None).ship(everything=True)
    box.close()
    Outbox(tmp_path / "outbox", storage.root, 1 << 20).close()  # it is its root now


def test_the_page_tells_how_a_service_is_started_then(tmp_root, capsys):
    from inference import serve

    words = next(words for words in said_on_the_page() if words[0] == "serve")
    assert "--restored-from" in words and "--outbox" in words
    assert serve.main(["--root", tmp_root, "--model", "m", "--restored-from", "s3://bucket/prefix"]) == 2
    assert "--restored-from: expected --outbox" in capsys.readouterr().err
