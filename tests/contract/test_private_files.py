"""Rows, pictures and secrets are their owner's alone, whatever the umask; a root with setgid is its group's."""

import os
import stat
from pathlib import Path

import pytest

from contract.storage import make_private, open_root
from inference.keys import KeyRing
from inference.outbox.outbox import Outbox


@pytest.fixture(params=[0o022, 0o000, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Name -> rights of everything below a folder, and of itself."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


def loose(folder: Path) -> dict[str, str]:
    return {name: mode for name, mode in modes(folder).items() if int(mode, 8) & 0o077}


def fill(root: Path) -> None:
    storage = open_root(str(root), create=True)
    KeyRing(storage).read_session_secret()
    storage.put("predictions/dt=2026-11-20/w-1-1.parquet", b"rows")
    source = root.parent.parent / "weights"
    source.write_bytes(b"weights")
    storage.put_file("models/m/versions/1/weights.safetensors", source)
    storage.now()


def test_what_a_root_holds_is_for_its_owner(umask, tmp_path):
    fill(tmp_path / "new" / "root")
    assert loose(tmp_path / "new") == {} and len(modes(tmp_path / "new")) == 13


def test_a_folder_that_was_open_already_gets_private_files(umask, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    fill(root)
    assert loose(root) == {".": "0o755"}


@pytest.mark.parametrize("top, file, folder", [
    (0o2770, "0o660", "0o2770"), (0o2750, "0o640", "0o2750"), (0o2775, "0o660", "0o2770")])
def test_a_root_of_a_group_is_for_the_group(umask, tmp_path, top, file, folder):
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(top)
    fill(root)
    found = modes(root)
    assert found.pop(".") == oct(top)
    assert {mode for name, mode in found.items() if (root / name).is_file()} == {file}
    assert {mode for name, mode in found.items() if (root / name).is_dir()} == {folder}


def test_an_outbox_is_for_its_owner_its_log_too(umask, tmp_path):
    box = Outbox(tmp_path / "deep" / "box", "file:///x", 1 << 20)
    try:
        assert {"outbox.sqlite3", "outbox.sqlite3-wal", "outbox.sqlite3-shm", "lock"} <= set(modes(tmp_path / "deep" / "box"))
        assert loose(tmp_path / "deep") == {}
    finally:
        box.close()


def test_what_earlier_releases_left_open_is_closed(umask, tmp_path):
    box, root = tmp_path / "box", tmp_path / "root"
    Outbox(box, "file:///x", 1 << 20).close()
    fill(root)
    for path in (box, *box.iterdir(), root / "keys"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    Outbox(box, "file:///x", 1 << 20).close()
    make_private(open_root(str(root)), "keys/")
    assert loose(box) == loose(root) == {}


def test_a_folder_in_which_others_keep_things_is_not_closed(tmp_path):
    (tmp_path / "theirs").write_text("x")
    tmp_path.chmod(0o755)
    Outbox(tmp_path, "file:///x", 1 << 20).close()
    assert set(loose(tmp_path)) - {"theirs"} == {"."}
