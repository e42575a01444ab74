"""docs/deploy.md beside the program: each output that the page shows is what the command prints on the fake account."""

import json
import re
from pathlib import Path

import pytest

from emr import cli
from pipeline import cycle
from tests.emr import page
from tests.emr.test_emr_cli import account  # noqa: F401  (a fixture)
from tests.emr.test_estimate import RECORDED
from tests.pipeline import roots
from tests.pipeline.conftest import fake_stages  # noqa: F401

ROOT = "s3://my-trueup/prod"
COMMON = ["--root", ROOT, "--set", "emr.subnets=[subnet-0123456789abcdef0]"]
SPOT = ["--set", "emr.spot_nodes=4"]


@pytest.fixture
def printed(capsys):
    """What a command prints: standard output, and with `said` what it says beside it."""
    def run(command, *arguments, code=0, said=False):
        found = command([*arguments])
        given = capsys.readouterr()
        assert found == code, given
        return given.err + given.out if said else given.out

    return run


def test_before_there_is_an_account_the_page_shows_what_is_said(printed, tmp_path, monkeypatch):
    monkeypatch.delenv("TRUEUP_ALLOW_MODULES", raising=False)  # a reader has no modules of the tests
    recorded = tmp_path / "recorded.json"
    recorded.write_text(json.dumps(RECORDED))
    page.check("plan", printed(cli.main, "plan", "--model", "digits", *COMMON, *SPOT))
    load_ = ["--predictions-per-day", "100000", "--recorded", str(recorded)]
    page.check("estimate", printed(cli.main, "plan", "--model", "digits", *COMMON, *SPOT, *load_).partition("hours")[0])
    options = ["--ceiling", "3", "--yes", "--set", "emr.subnets=[subnet-0123456789abcdef0]"]
    monkeypatch.chdir(tmp_path)
    page.check("ceiling", printed(cli.main, "rehearse", *options, code=2, said=True))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    page.check("no-region", printed(cli.main, "deploy", *COMMON, code=2, said=True))


def test_from_an_empty_account_to_the_end_the_page_shows_what_is_printed(account, fake_stages, printed):  # noqa: F811
    page.check("deploy", printed(cli.main, "deploy", *COMMON))
    page.check("status", printed(cli.main, "status", *COMMON))
    roots.make_root(ROOT, right=120, n=200)
    page.check("cycle", printed(cycle.main, "--runner", "emr", "--in-process", "--model", "digits", *COMMON, said=True))
    page.check("destroy", printed(cli.main, "destroy", "--yes", *COMMON))


def test_nothing_that_the_page_shows_is_left_out():
    """What is compared above, and `rehearse` in test_rehearsal.py; what is said below."""
    assert set(page.shown()) == {"plan", "estimate", "ceiling", "rehearse", "deploy", "no-region", "cycle", "status", "destroy"}
    assert len(page.complaints()) >= 15


@pytest.mark.parametrize("said", page.complaints())
def test_what_the_page_says_that_goes_wrong_is_what_the_program_says(said):
    rooms = [Path(page.PAGE.parents[1], room) for room in ("emr", "contract", "pipeline")]
    source = "".join(path.read_text() for room in rooms for path in room.rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    assert all(part.strip() in joined for part in said.split("…") if part.strip()), said
