"""The service's right to pictures that callers name as s3:// (serve.urls): what it asks is allowed, and no more."""

import json
import re
import uuid

import boto3
import pytest
from cfnlint.decode.cfn_yaml import loads

from contract.sections.urls import parse_place
from emr.template.size import write_short
from emr.template.urls import make_statements
from inference.fetching.address import Object, is_listed_object
from tests.emr.everything import ROOT, resources_of, template_of
from tests.emr.recorder import Asked, allowing
from tests.emr.test_access import root, server  # noqa: F401
from tests.emr.test_everything import resolve
from tests.fakes.s3 import make_bucket
from tests.inference.made_pictures import picture
from tests.inference.published import publish_tiny
from tests.inference.serving import serving

URLS = ["pictures.example.org", "s3://camera/gate-3", "s3://whole", "s3://my-bucket", "s3://my-bucket/else"]


def as_iam_reads(statements):
    """The statements with what CloudFormation puts in place of its functions; a `*` of ours stays apart from a plain one."""
    def fill(text):
        return re.sub(r"\$\{!(.)\}", r"${\1}", text.replace("${AWS::Partition}", "aws"))

    return [s | {"Resource": [fill(r["Fn::Sub"]) for r in s["Resource"]]} for s in statements]


@pytest.mark.parametrize("key", ["gate-3/1.jpg", "gate-3/a/b.jpg", "gate-30/1.jpg", "gate-3", "other/1.jpg", "1.jpg"])
@pytest.mark.parametrize("bucket", ["camera", "whole", "my-bucket", "camera2"])
def test_the_right_is_what_the_service_takes_and_never_of_the_roots_bucket(bucket, key):
    found = as_iam_reads(make_statements(ROOT, URLS))
    taken = is_listed_object(Object(bucket, key), [parse_place(text) for text in URLS], ROOT)
    allowed = allowing(found, Asked("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"))
    assert bool(allowed) == (taken and bucket != "my-bucket")
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not allowing(found, Asked(action, f"arn:aws:s3:::{bucket}/{key}"))
    assert not allowing(found, Asked("s3:ListBucket", f"arn:aws:s3:::{bucket}", key))


def test_only_the_services_role_gets_it_and_without_buckets_none_does():
    urls = "serve.urls=['pictures.example.org', 's3://camera/in', 's3://my-bucket/else']"
    plain, with_urls = resources_of(), resources_of(urls)
    assert {name for name in plain if plain[name] != with_urls[name]} - {"DriverTask"} == {"ServeRole"}
    (policy,) = [p for p in with_urls["ServeRole"]["Properties"]["Policies"] if p["PolicyName"] == "urls"]
    assert policy["PolicyDocument"]["Statement"] == list(make_statements(ROOT, ["s3://camera/in"]))
    none = resources_of("serve.urls=['pictures.example.org', 's3://my-bucket/else']")
    assert none["ServeRole"] == plain["ServeRole"]


def test_what_iam_reads_as_a_wildcard_stands_for_itself_in_both_forms():
    places = [f"s3://camera/{prefix}" for prefix in ("a*", "what?", "$x", "plain")]
    (statement,) = as_iam_reads(make_statements(ROOT, places))
    base = "arn:aws:s3:::camera"
    assert statement["Resource"] == [f"{base}/${{$}}x/*", f"{base}/a${{*}}/*", f"{base}/plain/*", f"{base}/what${{?}}/*"]
    document = template_of(f"serve.urls={json.dumps(places)}")
    body = write_short(document, ROOT)
    given = {p["ParameterKey"]: p["ParameterValue"] for p in body.parameters}
    read = json.loads(json.dumps(loads(body.text)))["Resources"]["ServeRole"]
    assert resolve(read, given) == resolve(json.loads(json.dumps(document["Resources"]["ServeRole"])), {})


def test_the_service_asks_what_it_gets(server, root, tmp_path):  # noqa: F811
    publish_tiny(root)
    camera, s3 = make_bucket(f"camera-{uuid.uuid4().hex[:12]}"), boto3.client("s3")
    for key in ("in/a.jpg", "out/a.jpg"):
        s3.put_object(Bucket=camera, Key=key, Body=picture(1))
    url = f"s3://{camera}/in"
    with serving(root, tmp_path / "outbox", f"serve.urls=['{url}']") as client:
        server.asked.clear()
        named = [f"{url}/a.jpg", f"{url}/none.jpg", f"s3://{camera}/out/a.jpg"]
        statuses = [client.post("/v1/predictions", json={"url": one}).status_code for one in named]
    assert statuses == [200, 422, 422]
    asked = {request for request in server.asked if f":::{camera}" in request.resource}
    # Of what is not there S3 says 403 to whoever may not list; the answer is the same one.
    read = {request for request in asked if request.action != "s3:ListBucket"}
    assert {request.resource.partition("/")[2] for request in read} == {"in/a.jpg", "in/none.jpg"}
    found = as_iam_reads(make_statements(root, [url]))
    assert all(allowing(found, request) for request in read)
