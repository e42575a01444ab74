"""`trueup expire` at the end of a turn asks what the driver's role allows where it is set, and nothing is allowed where not."""

import json

from cfnlint.api import lint

from emr.access import make_statements
from emr.template.whole import write_body
from jobs import expire
from tests.emr.everything import template_of
from tests.emr.recorder import allowing
from tests.emr.test_access import root, server  # noqa: F401
from tests.emr.test_template import WITH_DRIVER
from tests.jobs.test_expire import MODEL, SETTINGS, make
from tests.pipeline import small_dataset

SET = [text for text in SETTINGS if text != "--set"]


def statements_of(template, root):  # noqa: F811
    """The policy named expire of the driver, as IAM sees it for another root; beside it what the driver has anyway."""
    policies = template["Resources"]["DriverRole"]["Properties"]["Policies"]
    text = json.dumps([s for p in policies if p["PolicyName"] == "expire" for s in p["PolicyDocument"]["Statement"]])
    base = f"arn:aws:s3:::{root.removeprefix('s3://')}"
    found = json.loads(text.replace("arn:${AWS::Partition}:s3:::my-bucket/a/prefix", base))
    return [s | {"Resource": [r["Fn::Sub"] for r in s["Resource"]]} for s in found]


def test_what_it_asks_is_what_the_driver_may(server, root, capsys):  # noqa: F811
    small_dataset.put(make(root), "d1", MODEL)
    server.asked.clear()
    assert expire.main(["--root", root, "--json", *SETTINGS]) == 0, capsys.readouterr().err
    statements = statements_of(template_of(*WITH_DRIVER, *SET), root)
    own = make_statements("driver", root)
    assert [asked for asked in server.asked if not allowing([*own, *statements], asked)] == []
    used = {sid for asked in server.asked for sid, _ in allowing(statements, asked)}
    assert used == {"ExpireRead", "ExpireRecord", "ExpireErase"}


def test_without_the_setting_the_driver_erases_nothing_and_with_pictures_alone_no_row():
    assert "s3:DeleteObject" not in json.dumps(template_of(*WITH_DRIVER)["Resources"]["DriverRole"])
    statements = statements_of(template_of(*WITH_DRIVER, "retention.pictures_days=9"), "s3://b")
    erase = next(s for s in statements if s["Sid"] == "ExpireErase")
    assert [r.rpartition("/")[0].rpartition("/")[2] for r in erase["Resource"]] == ["images"]


def test_cfn_lint_finds_nothing():
    assert [f"{m.rule.id} {m.message}" for m in lint(write_body(template_of(*WITH_DRIVER, *SET)), None, ["us-east-1"])] == []
