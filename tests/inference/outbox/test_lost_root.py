"""A local root whose disk is gone for a while: nothing is written to the bare folder, nothing is forgotten, all arrives."""

import subprocess
from pathlib import Path

import httpx
import pytest

from contract.errors import UsageError
from contract.layout import MARKER
from contract.storage import open_root
from inference.outbox.outbox import Outbox
from tests.inference.made_pictures import picture
from tests.inference.outbox.disks import mount_disk, unmount
from tests.inference.outbox.test_outbox import append, prediction
from tests.inference.published import publish_tiny
from tests.inference.serving import IMAGE, serving, table_rows, until

LIMIT = 10 << 20


class Disk:
    """A root's folder that can be taken away, and then is an empty folder, and be brought back."""

    def __init__(self, root: str) -> None:
        self.folder, self.away = Path(root), Path(f"{root}-away")

    def unmount(self) -> None:
        """As an unmounted disk leaves it."""
        self.folder.rename(self.away)
        self.folder.mkdir()

    def mount(self) -> None:
        """Fails when anything was written to the bare folder."""
        self.folder.rmdir()
        self.away.rename(self.folder)


class MountedDisk:
    """The same with a real disk, which is bound to the root's folder and unbound."""

    def __init__(self, root: str, device: Path) -> None:
        self.folder, self.device = Path(root), device
        self.folder.mkdir(exist_ok=True)
        self.mount()

    def unmount(self) -> None:
        unmount(self.folder)

    def mount(self) -> None:
        assert list(self.folder.iterdir()) == []
        subprocess.run(["mount", "--bind", self.device, self.folder], check=True)


@pytest.fixture(params=["moved", "mounted"])
def disk(request, tmp_root, tmp_path):
    if request.param == "moved":
        yield Disk(tmp_root)
        return
    with mount_disk(tmp_path / "device", megabytes=32) as device:
        made = MountedDisk(tmp_root, device)
        yield made
        made.unmount()


def predict(client: httpx.Client, n: int) -> str:
    answer = client.post("/v1/predictions", content=picture(n), headers=IMAGE)
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction_id"]


@pytest.mark.parametrize("marker", [None, b'{"schema": "1"}'], ids=["with an id", "of an earlier release"])
def test_rows_wait_for_the_disk_and_all_arrive_once(disk, tmp_root, tmp_path, marker):
    publish_tiny(tmp_root)
    if marker:
        Path(tmp_root, MARKER).write_bytes(marker)
    with serving(tmp_root, tmp_path / "outbox") as client:
        made = [predict(client, n) for n in range(3)]
        until(lambda: len(table_rows(tmp_root, "predictions")) == 3)
        disk.unmount()
        until(lambda: client.get("/health/ready").status_code == 503)
        assert "Is its disk mounted" in client.get("/health/ready").json()["reasons"][0]
        made += [predict(client, n) for n in range(3, 16)]
        label = client.post("/v1/labels", json={"prediction_id": made[0], "label": "a"})
        assert label.status_code == 201
        assert not client.service.shipper.ship(everything=True)
        assert client.service.outbox.measure_depth().rows == 14
        assert list(Path(tmp_root).iterdir()) == []
        disk.mount()
        until(lambda: client.get("/health/ready").status_code == 200)
        until(lambda: client.service.outbox.measure_depth().rows == 0)
    assert sorted(row["prediction_id"] for row in table_rows(tmp_root, "predictions")) == sorted(made)
    assert len(table_rows(tmp_root, "labels")) == 1 and len(list(open_root(tmp_root).list("images/"))) == 16


def test_an_outbox_with_rows_refuses_another_root_at_the_same_place(tmp_path):
    box = Outbox(tmp_path, "file:///a", LIMIT, "one")
    append(box, prediction())
    box.close()
    with pytest.raises(UsageError, match="holds rows of the root 'one'; this service has 'two'. Is the disk of the root mounted"):
        Outbox(tmp_path, "file:///a", LIMIT, "two")
    Outbox(tmp_path, "file:///a", LIMIT, "one").close()


def test_an_outbox_of_an_earlier_release_learns_the_id(tmp_path):
    box = Outbox(tmp_path, "file:///a", LIMIT)
    append(box, prediction())
    box.close()
    Outbox(tmp_path, "file:///a", LIMIT, "one").close()
    with pytest.raises(UsageError, match="holds rows of the root 'one'"):
        Outbox(tmp_path, "file:///a", LIMIT, "two")


def test_an_empty_outbox_takes_another_root(tmp_path):
    for root_id in ("one", "two"):
        Outbox(tmp_path, "file:///a", LIMIT, root_id).close()
