"""Remove from an environment what torch's CUDA wheel brings and a machine without a GPU never opens.

    python3 tools/install_extras.py --torch trimmed …        (runs this)

torch of the lock is linked against CUDA and is not imported without it, so what stays is what a process that has imported
torch and torchvision, and has computed with them on the CPU, holds in its memory.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

# Prints where the packages are, and every file of theirs that is mapped.
LOOK = """
import json, pathlib, torch, torchvision
with torch.inference_mode():
    network = torchvision.models.shufflenet_v2_x0_5().eval()
    for batch in (1, 4):
        network(torch.rand(batch, 3, 64, 64)).softmax(1)
loss = torch.nn.functional.conv2d(torch.rand(1, 1, 5, 5), torch.rand(1, 1, 3, 3, requires_grad=True)).sum()
loss.backward()
torch.linalg.solve(torch.eye(3), torch.ones(3))
site = pathlib.Path(torch.__file__).resolve().parents[1]
mapped = sorted({line.split()[-1] for line in open("/proc/self/maps") if str(site) in line})
print(json.dumps([str(site), mapped]))
"""


def main(python: str, target: str | None) -> None:
    """Remove the libraries, and look again: what was removed must not be missed."""
    site, mapped = look(python, target)
    before = measure(site)
    remove(site, set(mapped))
    look(python, target)
    print(f"torch trimmed: {before / 1e6:.0f} MB of NVIDIA's libraries before, {measure(site) / 1e6:.0f} MB after", flush=True)


def look(python: str, target: str | None) -> tuple[Path, list[str]]:
    """Find where torch's packages are, and which of their files a process maps that computes on the CPU."""
    environ = dict(os.environ, CUDA_VISIBLE_DEVICES="") | ({"PYTHONPATH": target} if target else {})
    done = subprocess.run([python, "-c", LOOK], capture_output=True, text=True, env=environ)
    if done.returncode:
        sys.exit(f"torch cannot compute on the CPU: {done.stderr[-1500:]}")
    site, mapped = json.loads(done.stdout)
    return Path(site), mapped


def remove(site: Path, mapped: set[str]) -> None:
    """Remove each library under nvidia/ that is not mapped, and what compilers would need of CUDA."""
    for path in (site / "nvidia").rglob("*"):
        if path.is_file() and str(path.resolve()) not in mapped and (".so" in path.name or path.suffix in (".a", ".h", ".hpp")):
            path.unlink()


def measure(site: Path) -> int:
    """Count the bytes under nvidia/."""
    return sum(path.stat().st_size for path in (site / "nvidia").rglob("*") if path.is_file())


if __name__ == "__main__":
    main(sys.argv[1], None)
