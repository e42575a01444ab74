"""What torch computes on: a GPU that was asked for and cannot be used is an error, whoever asks."""

import pytest
import torch

from contract.errors import GpuUnusable
from contract.settings import ServeSettings, TrainSettings
from inference.model import devices
from inference.model.predictor import Predictor
from tests.inference.published import PREPROCESS, publish_tiny
from training.fit.process_group import choose_backend, join_process_group

NONE = "expected a GPU that torch can use .device: cuda., but torch finds none: driver .*torch .*its CUDA .*device: cpu"


class Driver:
    """Stands for libcuda and libnvidia-ml: the second one fails."""

    def __init__(self, name):
        self.name = name

    def cuDriverGetVersion(self, number):
        number._obj.value = 12040
        return 0

    def nvmlInit_v2(self):
        return 9


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    devices._warn_of_unused.cache_clear()
    devices._try.cache_clear()
    yield
    devices._try.cache_clear()


def test_without_a_gpu_auto_is_the_cpu_and_cuda_is_an_error():
    assert devices.choose() == devices.choose("cpu") == torch.device("cpu")
    with pytest.raises(GpuUnusable, match=NONE):
        devices.choose("cuda")


def test_a_rank_a_predictor_and_the_service_refuse_alike(tmp_root):
    from contract.registry import Registry
    from contract.storage import open_root
    from inference.cores import Cores

    with pytest.raises(GpuUnusable, match=NONE), join_process_group(1, alone=True, device_asked="cuda"):
        pass
    publish_tiny(tmp_root)
    registry = Registry(open_root(tmp_root), "m")
    with pytest.raises(GpuUnusable, match=NONE):
        Predictor(registry.card("1"), registry.weights("1"), "cuda")
    with pytest.raises(GpuUnusable, match=NONE):
        Cores(1, "cuda")


def test_the_message_names_driver_and_what_it_supports(monkeypatch, tmp_path):
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.03  Release Build\nGCC version: 13\n")
    monkeypatch.setattr(devices, "DRIVER", version)
    monkeypatch.setattr(devices.ctypes, "CDLL", Driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(GpuUnusable, match="driver 580.159.03 .CUDA 12.4 at most., torch .*CUDA_VISIBLE_DEVICES='1'"):
        devices.choose("cuda")


def test_auto_beside_a_driver_says_that_it_computes_on_the_cpu_and_hidden_gpus_are_meant_to_be(monkeypatch, tmp_path, capsys):
    version = tmp_path / "version"
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.1.2  Thu\n")
    monkeypatch.setattr(devices, "DRIVER", version)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.choose().type == "cpu" and capsys.readouterr().err == ""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    devices._warn_of_unused.cache_clear()
    assert devices.choose().type == devices.choose().type == "cpu"
    assert capsys.readouterr().err.count("driver 535.1.2") == 1


def test_a_gpu_that_is_found_and_does_not_compute_is_an_error_for_auto_too(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "ones", fails)
    with pytest.raises(GpuUnusable, match=r"cuda:1 does not compute \(CUDA error: no kernel image is available\)"):
        devices.choose("auto", 3)


def test_ranks_that_share_a_gpu_sum_by_gloo(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for ranks, backend in (("1", "nccl"), ("2", "nccl"), ("3", "gloo")):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", ranks)
        assert choose_backend(torch.device("cuda", 0)) == backend
    assert choose_backend(torch.device("cpu")) == "gloo"


def test_the_device_is_a_setting_and_does_not_change_a_jobs_digest():
    from training.fit.job import Job

    assert TrainSettings().device == ServeSettings().device == "auto"
    job = Job(root="r", model="m", dataset="d", network="n", classes=["a"], preprocess=PREPROCESS, parent=None, ranks=1,
              threads=1, settings=TrainSettings().model_dump(mode="json"), folder="f/")
    assert job.digest() == job.model_copy(update={"settings": job.settings | {"device": "cuda"}}).digest()
