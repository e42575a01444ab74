"""One root, made once; each test may serve it, or a copy that it may change."""

import shutil

import pytest

from contract import clock
from contract.storage import open_root
from inference.pictures import kept_days
from tests.inference.pictures import rows
from tests.inference.small_service import SmallService, publish


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of the root, and the ids of its predictions by day."""
    folder = tmp_path_factory.mktemp("pictures")
    storage = open_root(str(folder / "root"), create=True)
    publish(storage, folder)
    return folder / "root", rows.make(storage)


@pytest.fixture
def service(made, tmp_path, monkeypatch):
    """A service of a copy of the root, a day after its last prediction."""
    monkeypatch.setattr(clock, "now", lambda: rows.NOW)
    monkeypatch.setattr(kept_days, "find_cache_folder", lambda root: tmp_path / "cache")
    monkeypatch.setattr("inference.pictures.joining.run_child", lambda *_: "no child in a test")
    shutil.copytree(made[0], tmp_path / "root")
    found = SmallService(str(tmp_path / "root"))
    found.ids = made[1]
    return found
