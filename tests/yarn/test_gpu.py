"""Training's request for GPUs on a YARN that schedules them: nodes report one each, ranks are placed where one is free.

The GPUs are made up (`nvidia-smi` and Spark's discovery script say one a node), so a rank that uses one must fail. Containers
are not isolated: LinuxContainerExecutor needs Hadoop's native program, and cgroups of version 1.
"""

import json
import re

import pytest

from emr.cluster import CGROUP
from jobs import dataset
from tests import tiny_root
from tests.prerequisites import need
from tests.yarn.asking import SETTINGS, WINDOW, ask
from tests.yarn.cluster import Yarn
from tests.yarn.conftest import make_node
from tests.yarn.emr_node import node_environ

pytestmark = [pytest.mark.slow("yarn"), pytest.mark.timeout(1200)]
NVIDIA_SMI = """#!/bin/sh
cat <<'END'
<?xml version="1.0" ?>
<nvidia_smi_log><driver_version>550.54</driver_version><attached_gpus>1</attached_gpus>
<gpu id="00000000:00:1E.0"><product_name>None, in truth</product_name><uuid>GPU-0</uuid><minor_number>0</minor_number>
<fb_memory_usage><total>1 MiB</total><used>0 MiB</used><free>1 MiB</free></fb_memory_usage>
<utilization><gpu_util>0 %</gpu_util></utilization>
<temperature><gpu_temp>30 C</gpu_temp><gpu_temp_max_threshold>90 C</gpu_temp_max_threshold>
<gpu_temp_slow_threshold>80 C</gpu_temp_slow_threshold></temperature></gpu></nvidia_smi_log>
END
"""
ASKED = {"emr.gpu_types": '["g5.xlarge"]', "train.epochs": 1, "train.retries": 0}


@pytest.fixture
def trained_on(s3_root, capsys):
    """The arguments of a training on a dataset that was made here."""
    root = tiny_root.make(s3_root, n=24, right=12)
    sets = ["--set", f"dataset.files={SETTINGS['dataset.files']}"]
    assert dataset.main(["--root", root, *WINDOW, *sets, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["dataset"]
    return root, ["--model", tiny_root.MODEL, "--dataset", made]


def yarn_site(request, folder):
    """What the request asks of yarn-site and of the scheduler, with the discovery program of the test, without isolation."""
    found = {c["Classification"]: c["Properties"] for c in request["Configurations"]}
    site = {k: v for k, v in found["yarn-site"].items() if "container-executor" not in k and CGROUP not in v}
    tools = folder / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(NVIDIA_SMI)
    (tools / "nvidia-smi").chmod(0o755)
    place = "yarn.nodemanager.resource-plugins.gpu.path-to-discovery-executables"
    assert site[place] == "/usr/bin"
    return site | found["capacity-scheduler"] | {place: str(tools)}


def test_ranks_get_a_gpu_each_and_one_that_cannot_use_it_is_an_error(trained_on, tmp_path, packed):
    root, arguments = trained_on
    on_cpu, request = ask(root, "train", *arguments, "--run", "tiny/1", **ASKED, **{"train.device": "cpu"})
    on_gpu, second = ask(root, "train", *arguments, "--run", "tiny/2", **ASKED)
    with Yarn(tmp_path / "yarn", need("hadoop"), node_environ(tmp_path), site=yarn_site(request, tmp_path)) as yarn:
        node = make_node(tmp_path, yarn)
        assert node.carry_out(request) == 0, node.said()[-4000:] + yarn.read_logs()[-6000:]
        assert on_cpu.read_reply().document["version"] == "2"
        log = yarn.read_log("resourcemanager")
        assert len(re.findall(r"registered with capability: <[^>]*yarn.io/gpu: 1>", log)) == 2
        ranks = re.findall(r"Assigned container \S+ of capacity <[^>]*yarn.io/gpu: 1> on host (\S+),", log)
        assert len(ranks) == len(set(ranks)) == 2
        assert node.carry_out(second) == 1
        said = on_gpu.read_reply().document["error"]["message"]
        assert "expected a GPU that torch can use (device: cuda)" in said
