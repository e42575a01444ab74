"""Pictures that arrive start a scoring run: which, how often, by what command, and who may read and start what."""

import json

import pytest

from contract.errors import UsageError
from emr import access
from emr.job import make_request
from emr.template.score_events import make_pattern
from tests.emr.everything import ROOT, template_of
from tests.emr.recorder import Asked, allowing
from tests.emr.test_events import takes
from tests.emr.test_machine import evaluate
from tests.emr.test_template import WITH_DRIVER

PLACE = "s3://camera/new"
ON = [*WITH_DRIVER, f"emr.score_on={PLACE}"]


def taken(key, bucket="camera", place=PLACE):
    return takes(make_pattern(place), key, bucket)


def test_only_pictures_of_that_place_start_a_run():
    assert taken("new/a.jpg") and taken("new/b/c.png") and taken("anything", place="s3://camera")
    assert not any(map(taken, ["newer/a.jpg", "old/new/a.jpg"])) and not taken("new/a.jpg", bucket="others")


@pytest.mark.parametrize("place", [ROOT, f"{ROOT}/images", "s3://my-bucket", "s3://my-bucket/a", f"{ROOT}/"])
def test_a_place_in_the_root_or_around_it_is_refused(place):
    with pytest.raises(UsageError, match="expected a place outside the root s3://my-bucket/a/prefix, whose own uploads"):
        template_of(*WITH_DRIVER, f"emr.score_on={place}")


def test_what_starts_it_needs_a_driver_and_a_url():
    with pytest.raises(UsageError, match="expected emr.driver_image as well"):
        template_of(f"emr.score_on={PLACE}")
    with pytest.raises(UsageError, match="emr.score_on"):
        template_of(*WITH_DRIVER, "emr.score_on=/a/folder")


def test_each_may_start_the_next_and_nothing_else():
    resources = template_of(*ON)["Resources"]
    for role, machine in (("PicturesRole", "ScoreStarter"), ("ScoreStarterRole", "Scorer")):
        (policy,) = resources[role]["Properties"]["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == (["states:StartExecution"], [{"Ref": machine}])
    assert "Scorer" not in template_of(*WITH_DRIVER)["Resources"]
    start = resources["ScoreStarter"]["Properties"]["Definition"]["States"]["Start"]
    assert start["Arguments"]["Name"].startswith("{% 'score-1h-'")


def test_the_stacks_own_bucket_tells_of_pictures_beside_the_root_only():
    def notifies(*more):
        return "NotificationConfiguration" in template_of(*more)["Resources"]["Bucket"]["Properties"]

    assert notifies(*WITH_DRIVER, "emr.score_on=s3://my-bucket/camera")
    assert not notifies(*ON) and not notifies(*WITH_DRIVER)


def test_each_window_asks_anew_and_a_repeat_finds_its_own():
    states = template_of(*ON)["Resources"]["Scorer"]["Properties"]["Definition"]["States"]
    (override,) = states["Run"]["Arguments"]["Overrides"]["ContainerOverrides"]
    command = [evaluate(word, {"context": {"Execution": {"Name": "score-1h-5"}}}) for word in override["Command"]]
    assert command == ["emr", "run", "--stage", "score", "--model", "digits", "--run", "score-1h-5", "--", "--images", PLACE]
    first, second, again = (make_request("score", ["--images", PLACE], {}, f"score-1h-{n}").digest() for n in (5, 6, 5))
    assert first == again != second
    assert "The scoring failed with exit code" in json.dumps(states["Failed"])
    cycle = template_of(*WITH_DRIVER)["Resources"]["Machine"]["Properties"]["Definition"]["States"]
    assert "The cycle failed with exit code" in json.dumps(cycle["Failed"]) and "Overrides" not in cycle["Run"]["Arguments"]


def test_the_scoring_role_reads_the_place_and_nobody_writes_there():
    def allowed(action, resource, *more):
        (policy,) = template_of(*more)["Resources"]["ScoreRole"]["Properties"]["Policies"]
        text = json.dumps(policy["PolicyDocument"]["Statement"]).replace("${AWS::Partition}", "aws")
        statements = [{**s, "Resource": [r["Fn::Sub"] if isinstance(r, dict) else r for r in s["Resource"]]}
                      for s in json.loads(text)]
        return bool(allowing(statements, Asked(action, resource)))

    picture = "arn:aws:s3:::camera/new/a.jpg"
    assert allowed("s3:GetObject", picture, *ON) and not allowed("s3:GetObject", picture, *WITH_DRIVER)
    assert allowed("s3:ListBucket", "arn:aws:s3:::camera", *ON) and not allowed("s3:GetObject", "arn:aws:s3:::camera/old/a", *ON)
    assert not allowed("s3:PutObject", picture, *ON) and not allowed("s3:DeleteObject", picture, *ON)
    for of in access.ACCESS:
        assert not allowing(access.make_statements(of, ROOT), Asked("s3:PutObject", picture))
