"""Part e: a GPU that was asked for and cannot be used is an error that names driver and CUDA, in training and in the service."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.jobs import make_job, write_manifest
from benchmarks.gpu.result import parse, show, show_missing
from contract import jsonio
from contract.storage import open_root

CHECKOUT = Path(__file__).resolve().parents[2]
HIDDEN = {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(CHECKOUT)}
NAMED = ("expected a GPU that torch can use", "driver", "CUDA", "device: cpu")


def refuse_training(folder: Path) -> subprocess.CompletedProcess[str]:
    """Starts a rank that is asked to use a GPU while all GPUs are hidden."""
    write_manifest(open_root(str(folder / "root"), create=True), {"train/0": 2}, ["a", "b"])
    job = make_job(str(folder / "root"), "refused", "resnet18", ["a", "b"], 32, 1, device="cuda")
    (folder / "job.json").write_bytes(jsonio.dumps(job.to_dict()))
    return run([sys.executable, "-m", "training.rank", str(folder / "job.json")], {})


def refuse_service(folder: Path) -> subprocess.CompletedProcess[str]:
    """Starts a service that is asked to use one."""
    return run([sys.executable, "-m", "inference.serve", "--root", str(folder / "root"), "--model", "m", "--port", "0",
                "--no-auth"], {"TRUEUP_SERVE_DEVICE": "cuda"})


def run(command: Sequence[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command that is expected to fail."""
    return subprocess.run(command, env=os.environ | HIDDEN | more, capture_output=True, text=True, timeout=60, check=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the part."""
    asked = parse(argv)
    with tempfile.TemporaryDirectory(prefix="trueup-gpu-") as folder:
        for what, refuse in (("a rank", refuse_training), ("the service", refuse_service)):
            done = refuse(Path(folder))
            said = done.stderr.strip().splitlines()
            line = next((line for line in reversed(said) if NAMED[0] in line), said[-1] if said else "nothing")
            show(f"{what}, asked for a GPU while none is visible", exit_code=done.returncode, said=line[:600],
                 holds=done.returncode != 0 and all(word in line for word in NAMED))
    show_missing("a driver that is too old for torch" if asked.gpu else "a GPU that is there and cannot be used")
    return 0


if __name__ == "__main__":
    sys.exit(main())
