"""What EMR is asked to run, run on a real YARN and an S3 over HTTP: `make test-slow K=yarn`."""

import json
import re
import shutil
import threading
from pathlib import Path

import pytest

from command.load_settings import load
from contract import layout
from contract.errors import DONE
from contract.registry import Registry
from contract.storage import open_root
from emr import account, cli, job, package
from emr.needs import ENVIRONMENTS, find_need
from emr.requests import add_attempt
from jobs import evaluate
from pipeline import cycle
from tests import tiny_root
from tests.emr_node import EmrNode, list_packed, node_environ
from tests.fakes.emr import FakeEmr
from tests.prerequisites import need
from tests.yarn_cluster import Yarn

REPO = Path(__file__).resolve().parents[1]
CACHE = REPO / ".cache" / "yarn"
SETTINGS = {"emr.subnets": '["subnet-1"]', "emr.here_bytes": 0, "emr.gpu_types": "[]", "emr.executor_cores": 2,
            "train.epochs": 12, "train.batch": 4, "train.checkpoint_steps": 2, "train.threads": 1, "train.ranks": 2,
            "dataset.files": 2, "gates.max_drop": 0.99, "gates.max_class_drop": 0.99, "gates.min_held_out": 1}
pytestmark = [pytest.mark.slow("yarn"), pytest.mark.timeout(1800)]  # a quiet machine takes a sixth of it


@pytest.fixture
def yarn(tmp_path, s3_root):
    """After `s3_root`, whose endpoint and credentials nodes have to have."""
    jars = need("yarn")
    with Yarn(tmp_path / "yarn", jars, node_environ(tmp_path)) as found:
        yield found


@pytest.fixture
def node(tmp_path, yarn):
    (tmp_path / "emr").mkdir()
    return EmrNode(tmp_path / "emr", yarn, need("s3a"))


@pytest.fixture
def packed(monkeypatch):
    """Archives as `trueup emr deploy` builds them, kept from one run of the tests to the next by what they are made from."""
    build = package.build

    def build_once(environment, source, folder):
        kept = CACHE / f"{environment}-{package.compute_fingerprint(source)}.tar.gz"
        if not kept.is_file():
            CACHE.mkdir(parents=True, exist_ok=True)
            built = build(environment, source, folder)
            shutil.copyfile(built, f"{kept}.part")
            Path(f"{kept}.part").rename(kept)
        return Path(shutil.copyfile(kept, folder / f"{environment}.tar.gz"))

    monkeypatch.setattr(package, "list_requirements", list_packed)
    monkeypatch.setattr(package, "build", build_once)


def settings_of(root, **more):
    sets = [f"{name}={value}" for name, value in (SETTINGS | more).items()]
    return load(root=root, model=tiny_root.MODEL, env={}, overrides=sets)


def ask(root, stage, *argv, **more):
    """The request for a cluster, as the runner writes it: (its attempt, RunJobFlow's arguments)."""
    storage = open_root(root)
    settings = settings_of(root, **more)
    asked = job.make_request(stage, argv, settings.model_dump(mode="json", exclude={"root"}))
    attempt = add_attempt(storage, tiny_root.MODEL, asked)
    environment = find_need(stage, settings.emr).environment
    cluster = job.make_cluster(storage, asked, attempt, package.publish_package(storage, environment))
    return attempt, cluster.to_request()


def test_counting_on_yarn_is_counting_here(s3_root, node, packed, capsys):
    root = tiny_root.make(f"{s3_root}/a deeper/one=2")
    window = ["--model", tiny_root.MODEL, "--from", tiny_root.DAY, "--to", tiny_root.DAY,
              "--as-of", "2026-11-22T00:00:00Z"]
    attempt, request = ask(root, "evaluate", *window)
    code = node.carry_out(request)
    assert code == 0, node.said()[-4000:] + node.yarn.read_logs()
    there = attempt.read_reply().document
    assert evaluate.main(["--root", root, *window, "--full", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert (there["rows"], there["versions"]) == (here["rows"], here["versions"])
    assert there["engine"] == "spark" and there["rows"]["vote"] == 60
    assert len(node.yarn.applications()) == 1


@pytest.fixture
def emr(monkeypatch, node):
    """The account: clusters exist on paper and in `node`, which carries out what was asked of RunJobFlow."""
    fake = FakeEmr(lambda args: node.carry_out(fake.alive[0].request))
    monkeypatch.setattr(account, "connect", lambda: fake)
    monkeypatch.setattr(account, "pause", fake.sleep)
    return fake


def test_a_whole_cycle_by_emr_outlives_its_node_managers(s3_root, node, emr, packed, capsys):
    """Counted, retrained and published by the steps of four clusters; a node goes in counting, another in training."""
    root = tiny_root.make(f"{s3_root}/a deeper/one=2")
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
    tiny_root.readable(storage)
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


def words(settings):
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


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
