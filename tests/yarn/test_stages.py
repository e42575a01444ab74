"""The steps of single stages, each with the command line, archive and settings of its cluster, on a real YARN and an S3."""

import json

import pytest

from contract.storage import open_root
from jobs import evaluate, score_images
from tests import tiny_root
from tests.yarn.asking import WINDOW, ask

pytestmark = [pytest.mark.slow("yarn"), pytest.mark.timeout(900)]


def test_counting_on_yarn_is_counting_here(s3_root, node, packed, capsys):
    root = tiny_root.make(s3_root)
    attempt, request = ask(root, "evaluate", *WINDOW)
    code = node.carry_out(request)
    assert code == 0, node.said()[-4000:] + node.yarn.read_logs()
    there = attempt.read_reply().document
    assert evaluate.main(["--root", root, *WINDOW, "--full", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)
    assert (there["rows"], there["versions"]) == (here["rows"], here["versions"])
    assert there["engine"] == "spark" and there["rows"]["vote"] == 60
    assert len(node.yarn.applications()) == 1


def test_scoring_on_yarn_writes_rows_once_and_says_which_picture_was_none(s3_root, node, packed, store, capsys):
    root = tiny_root.make(s3_root, n=2, right=1)
    storage = open_root(root)
    for n in range(6):
        storage.put(f"incoming/{n}.png", tiny_root.picture("bars", seed=100 + n))
    storage.put("incoming/none.png", b"no picture")
    images = ["--model", tiny_root.MODEL, "--images", f"{root}/incoming"]
    attempt, request = ask(root, "score", *images)
    assert node.carry_out(request) == 0, node.said()[-4000:] + node.yarn.read_logs()
    there = attempt.read_reply().document
    assert (there["found"], there["scored"], there["errors"], there["version"]) == (7, 6, 1, "1")
    assert len(there["files"]) == 1 and len(node.yarn.applications()) == 1
    assert score_images.main(["--root", root, *images, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["found"], again["scored"]) == (7, 0)
    assert store.served and store.refused  # somebody asked in the wrong region, and found the right one
