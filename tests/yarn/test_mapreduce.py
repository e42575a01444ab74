"""Counting as MapReduce: mrjob's `-r hadoop` by Hadoop streaming, with MapReduce's own master, tasks and shuffle on YARN."""

import json

import pytest

from jobs import evaluate
from tests import tiny_root
from tests.prerequisites import need
from tests.yarn.asking import WINDOW, ask
from tests.yarn.conftest import make_node
from tests.yarn.emr_node import node_environ
from tests.yarn.hadoop import Hadoop, write_client

pytestmark = [pytest.mark.slow("yarn"), pytest.mark.timeout(1200)]


@pytest.fixture
def node(tmp_path, s3_root):
    jars = need("hadoop")
    (streaming,) = need("hadoop-streaming")
    with Hadoop(tmp_path / "yarn", jars, node_environ(tmp_path)) as hadoop:
        yield make_node(tmp_path, hadoop, write_client(tmp_path / "hadoop", jars, streaming))


def test_counting_as_mapreduce_on_yarn_is_counting_here(s3_root, node, packed, capsys):
    root = tiny_root.make(s3_root)
    attempt, request = ask(root, "evaluate", *WINDOW, **{"emr.engine": "mapreduce"})
    code = node.carry_out(request)
    assert code == 0, node.said()[-6000:] + node.yarn.read_logs()[-6000:]
    there = attempt.read_reply().document
    assert evaluate.main(["--root", root, *WINDOW, "--full", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert (there["rows"], there["versions"]) == (here["rows"], here["versions"])
    assert there["engine"] == "mapreduce" and there["rows"]["vote"] == 60
    counted, added = node.yarn.applications()  # the job's two steps, each with a master, mappers and two reducers
    assert min(map(node.yarn.count_containers, (counted, added))) >= 4
