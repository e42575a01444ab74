"""What EMR is asked to run, run on a real YARN and an S3 over HTTP: `make test-slow K=yarn`."""

import json
import re
import threading

import pytest

from contract import layout
from contract.errors import DONE
from contract.registry import Registry
from contract.storage import open_root
from emr import account, cli, package
from emr.needs import ENVIRONMENTS
from pipeline import cycle
from tests import tiny_root
from tests.fakes.emr import FakeEmr
from tests.yarn.asking import SETTINGS, words

pytestmark = [pytest.mark.slow("yarn"), pytest.mark.timeout(1800)]  # a quiet machine takes a sixth of it


@pytest.fixture
def emr(monkeypatch, node):
    """The account: clusters exist on paper and in `node`, which carries out what was asked of RunJobFlow."""
    fake = FakeEmr(lambda args: node.carry_out(fake.alive[0].request))
    monkeypatch.setattr(account, "connect", lambda: fake)
    monkeypatch.setattr(account, "pause", fake.sleep)
    return fake


def test_a_whole_cycle_by_emr_outlives_its_node_managers(s3_root, node, emr, packed, capsys):
    """Counted, retrained and published by the steps of four clusters; a node goes in counting, another in training."""
    root = tiny_root.make(s3_root)
    storage = open_root(root)
    for environment in ENVIRONMENTS:
        package.publish_package(storage, environment)
    planned = plan_commands(root, capsys)
    with Losing(node.yarn, storage) as losing:
        code = cycle.main(["--root", root, "--model", tiny_root.MODEL, "--runner", "emr", "--in-process", "--json",
                           *words(SETTINGS)])
    said = capsys.readouterr()
    assert code == DONE, said.err[-2000:] + node.said()[-6000:] + node.yarn.read_logs()[-6000:]
    document = json.loads(said.out)
    assert (document["status"], document["published"]) == ("published", "2")
    assert Registry(storage, tiny_root.MODEL).live() == "2" and emr.alive == []
    tiny_root.check_readable(storage)
    asked = [c.request["Steps"][0] for c in emr.made.values()]
    assert [step["Name"] for step in asked] == ["evaluate", "dataset", "train", "assess"]
    assert [no_key(step["HadoopJarStep"]["Args"]) for step in asked] == [no_key(line) for line in planned]
    assert losing.lost == ["counting", "training"]
    assert "A rank was lost; training starts again from its checkpoint" in node.said(3)


def plan_commands(root, capsys):
    """The command lines of the steps that `trueup emr plan` says."""
    assert cli.main(["plan", "--root", root, "--model", tiny_root.MODEL, *words(SETTINGS), "--json"]) == DONE
    stages = json.loads(capsys.readouterr().out)["stages"]
    return [stage["run_job_flow"]["Steps"][0]["HadoopJarStep"]["Args"] for stage in stages]


def no_key(line):
    """A command line with `*` for the digest of its request, which a plan has no run for."""
    return [re.sub(r"(?<=/steps/)(\w+)-[^/]+", r"\1-*", word) for word in line]


class Losing(threading.Thread):
    """Kills the node manager of an executor once days are counted, and of a rank once there is a checkpoint."""

    def __init__(self, yarn, storage):
        super().__init__(daemon=True)
        self.yarn, self.storage, self.lost, self.over = yarn, storage, [], threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(60)

    def run(self):
        counting = self.wait_for(lambda: sorted(self.yarn.executors().items()))
        if counting:
            self.lose(counting[0][0], "counting")
        checkpoints = f"{layout.run(tiny_root.MODEL, 1)}checkpoints/"
        if self.wait_for(lambda: any(e.key.endswith(".json") for e in self.storage.list(checkpoints))):
            self.lose(sorted(self.yarn.executors())[0], "training")

    def wait_for(self, condition):
        while not self.over.wait(0.3):
            if found := condition():
                return found
        return None

    def lose(self, name, when):
        """One node goes; EMR starts another in its place."""
        self.yarn.kill_node(name)
        self.lost.append(when)
        self.yarn.start_node()
