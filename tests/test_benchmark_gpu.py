"""The script for a machine with a GPU: here it runs on the CPU; a part that hangs is ended in time, and its figures are kept."""

import json
import sys
import time

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu.digits import noise
from tests.daemons import command_line
from tests.inference.serving import until


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow("torchrun")
def test_on_a_cpu_every_part_runs_and_says_what_it_could_not_show(tmp_path, capsys):
    out = tmp_path / "found.jsonl"
    assert gpu.main(["--device", "cpu", "--out", str(out)]) == 0, out.read_text()
    found = read(out)
    assert found[0]["device"] == "cpu" and {entry.get("part") for entry in found[1:]} == set("abcde")
    assert {entry["part"] for entry in found if entry.get("what") == "done"} == set("abcde")
    assert {entry["part"] for entry in found if "not_shown" in entry} == set("abcde")
    assert any("several GPUs" in entry.get("not_shown", "") for entry in found)
    (resumed,) = [entry for entry in found if entry.get("what") == "a checkpoint resumes"]
    assert resumed["same_weights"]
    swapped = [entry for entry in found if "new version under load" in entry.get("what", "")]
    assert swapped and all(entry["failed"] == 0 and set(entry["versions"]) == {"1", "2"} for entry in swapped)
    assert capsys.readouterr().out.count("NOT SHOWN") == sum("not_shown" in entry for entry in found)


def test_a_part_that_hangs_is_ended_with_all_that_it_started_and_keeps_what_it_had(tmp_path, monkeypatch):
    script = ("import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
              "print('{\"what\": \"so far\", \"child\": %d}' % child.pid, flush=True); time.sleep(60)")
    popen = gpu.subprocess.Popen
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda command, **more: popen([sys.executable, "-c", script], **more))
    out, began = tmp_path / "found.jsonl", time.monotonic()
    sink = gpu.Sink(True, out)
    gpu.run_part(gpu.Part("x", "none", 2), 2, "cpu", sink)
    sink.close()
    assert time.monotonic() - began < 20 and sink.failed
    first, last = read(out)
    assert (first["part"], first["what"], last["ended"]) == ("x", "so far", "its 2 s were over")
    until(lambda: not command_line(first["child"]))


def test_what_does_not_hold_is_said_and_is_the_exit_code(capsys):
    sink = gpu.Sink(False, None)
    sink.add({"part": "a", "what": "something", "rows": 3, "holds": True})
    assert not sink.failed
    sink.add({"part": "a", "what": "another", "holds": False})
    assert sink.failed
    assert capsys.readouterr().out.splitlines() == ["a  something: rows 3  holds", "a  another:   DOES NOT HOLD"]


def test_all_parts_together_take_ten_minutes_at_most():
    assert sum(part.limit for part in gpu.PARTS) <= 570


def test_a_difference_is_noise_by_the_number_of_pictures():
    assert noise(0.97, 400, 2) == pytest.approx(2 * (0.97 * 0.03 / 400 * 1.5) ** 0.5)
    assert noise(1.0, 400, 1) > 0


@pytest.mark.slow("networks")
def test_the_lines_that_need_a_gpu_run_where_the_cpu_passes_for_one(tmp_path, monkeypatch, capsys):
    import torch
    from torch import distributed as dist

    from benchmarks.gpu import digits, ranks, service
    from benchmarks.gpu.result import Asked
    from inference.model import devices

    asked, start, device = Asked("cuda", True), dist.init_process_group, torch.device
    monkeypatch.setattr(devices, "choose", lambda *_: torch.device("cpu"))
    data = digits.prepare(str(tmp_path / "root"), asked)
    digits.resume(data, "cuda", "cpu")
    monkeypatch.delitem(digits.VARIANTS, "bfloat16, channels_last, torch.compile")  # it takes a minute
    digits.compare(data)
    monkeypatch.setattr(digits, "prepare", lambda *_: data)
    service.show_labels(tmp_path)
    service.show_direct([service.make_version(asked, seed) for seed in (1, 2)], asked)
    path = ranks.write(tmp_path, asked, 1)
    monkeypatch.setattr(dist, "init_process_group", lambda _, **more: start("gloo", **more))
    monkeypatch.setattr(torch.cuda.nccl, "version", lambda: (2, 28, 9))
    monkeypatch.setattr(torch, "device", lambda *parts: device("cpu") if parts[0] == "cuda" else device(*parts))
    ranks.show_nccl(path)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert len(found) >= 12 and not any(entry.get("holds") is False for entry in found), found
