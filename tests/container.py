"""Runs containers of images that tests/image_builder.py built.

    with Container(images, image, {"TRUEUP_ROOT": …}, volume=folder) as container:
        code, said = container.run(log=tmp_path / "log")

A container is a chroot with the image's user, variables, entry point and a volume; its network is the machine's, and it has no
process number 1 of its own.
"""

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from tests.daemons import below, command_line, kill
from tests.image_builder import Images

# Written by whoever runs a container, or not on its disk.
NOT_ITS_OWN = {"/tmp", "/outbox", "/proc", "/sys", "/dev", "/run", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}


class Container:
    """A container of an image; `start` runs its entry point, any number of times one after the other."""

    def __init__(self, images: Images, image: str, environ: dict[str, str], volume: Path | None = None) -> None:
        self.images, self.image, self.given, self.volume = images, image, environ, volume
        self.config = images.inspect(image)["config"]

    def __enter__(self) -> "Container":
        with ExitStack() as stack:
            self.name = self.images.buildah("from", "--pull-never", self.image)
            stack.callback(self.images.buildah, "rm", self.name)
            self.disk = Path(self.images.buildah("mount", self.name))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def start(self, *words: str, log: Path, entry: list[str] | None = None) -> "Running":
        """Starts the entry point (or `entry`) with the arguments, or with the image's own."""
        variables = [word for key, value in self.given.items() for word in ("--env", f"{key}={value}")]
        volume = ["--volume", f"{self.volume}:/outbox"] if self.volume else []
        main = [*(self.config.get("Entrypoint", []) if entry is None else entry), *(words or self.config.get("Cmd", []))]
        chroot = ["--isolation", "chroot", "--network", "host", "--hostname", "localhost"]  # a name that is resolved
        command = self.images.command("run", *chroot, *variables, *volume, self.name, "--", *main)
        return Running(command, self.images.environ, log, main)

    def run(self, *words: str, log: Path, entry: list[str] | None = None, seconds: float = 300) -> tuple[int, str]:
        """Exit code and output of one command."""
        with self.start(*words, log=log, entry=entry) as running:
            return running.process.wait(seconds), log.read_text()

    def list_files(self) -> dict[str, tuple[int, int, int]]:
        """Every file of its disk but the volume, /tmp and what the machine mounts: path -> (mode, bytes, time)."""
        found, waiting = {}, [self.disk]
        while waiting:
            for entry in os.scandir(waiting.pop()):
                name = f"/{Path(entry.path).relative_to(self.disk)}"
                if name not in NOT_ITS_OWN:
                    status = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    found[name] = (status.st_mode, 0 if is_folder else status.st_size, status.st_mtime_ns)
                    waiting += [Path(entry.path)] if is_folder else []
        return found


class Running:
    """The process that an entry point is, below buildah's own."""

    def __init__(self, command: list[str], environ: dict[str, str], log: Path, main: list[str]) -> None:
        self.words, self.log = main[1:], log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, env=environ, stdout=file, stderr=file)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        for pid in [*below(self.process.pid), self.process.pid]:
            kill(pid)
        self.process.wait()

    @property
    def pid(self) -> int:
        """The entry point's own process: of all below that have its arguments, the innermost."""
        given = "\0".join(self.words)
        return max(pid for pid in below(self.process.pid) if command_line(pid).rstrip("\0").endswith(given))

    def read_users(self) -> set[int]:
        """The real, effective, saved and file system user of the process."""
        (line,) = [one for one in Path(f"/proc/{self.pid}/status").read_text().splitlines() if one.startswith("Uid:")]
        return {int(word) for word in line.split()[1:]}

    def end(self, how: signal.Signals, seconds: float) -> tuple[int, float]:
        """Sends the signal to the entry point; its exit code, and how long it took."""
        began = time.monotonic()
        os.kill(self.pid, how)
        return self.process.wait(seconds), time.monotonic() - began
