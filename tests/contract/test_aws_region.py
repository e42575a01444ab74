"""One resolution of the region: the SDK's chain, the bucket's own for S3, never a guess, handed on to children."""

import os
import uuid
from dataclasses import replace
from itertools import pairwise

import pytest

from contract.errors import UsageError
from contract.storage import open_root, open_storage
from contract.stores import aws_region
from contract.stores.s3 import S3Storage
from inference.labelling.items import count_cells
from jobs.engines.day_files import list_day, read_footers
from jobs.engines.mapreduce import engine, splits
from jvm import task_store
from tests.fakes.regional_s3 import RegionalS3
from tests.fakes.s3 import make_bucket
from tests.jobs.engines import test_embedded
from tests.jobs.engines.test_embedded import QUESTION
from tests.pipeline.roots import DAY, MODEL, make_root

ELSEWHERE = "ap-southeast-2"


@pytest.fixture
def no_region(monkeypatch, tmp_path):
    """An environment that names no region, with a home of its own; returns the place of its ~/.aws/config."""
    for name in (*aws_region.VARIABLES, "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws/config"


def test_the_chain_is_that_of_the_sdk(no_region, monkeypatch):
    assert aws_region.find_region() is None
    no_region.write_text("[default]\nregion = eu-north-1\n[profile other]\nregion = sa-east-1\n")
    aws_region._make_session.cache_clear()  # the same environment, whose file is new
    assert aws_region.need_region() == "eu-north-1"
    monkeypatch.setenv("AWS_PROFILE", "other")
    assert aws_region.need_region() == "sa-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert aws_region.need_region() == "eu-west-3"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert aws_region.need_region() == "us-west-2"


def test_an_unknown_region_is_an_error_that_says_what_to_set(no_region, monkeypatch):
    for ask in (aws_region.need_region, lambda: open_storage("s3://b/p").read("x"), lambda: open_storage("s3://b/p").arrow()):
        with pytest.raises(UsageError, match="no AWS region is known: expected one in AWS_REGION .*`aws configure set region"):
            ask()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(UsageError, match=r"nobody.* Check AWS_PROFILE and ~/.aws/config"):
        aws_region.need_region()
    monkeypatch.setenv("AWS_REGION", "eu west 1")
    with pytest.raises(UsageError, match="AWS region 'eu west 1': expected a name such as eu-west-1"):
        aws_region.need_region()


def test_a_store_of_its_own_is_signed_for_without_a_region(no_region, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert aws_region.need_s3_region() == aws_region.SIGNING
    with pytest.raises(UsageError, match="no AWS region is known"):
        aws_region.need_region()  # EMR and CloudFormation are AWS's, wherever the bucket is


def test_partitions_are_those_of_the_region():
    names = {r: aws_region.find_partition(r) for r in ("eu-west-1", "us-gov-west-1", "cn-north-1")}
    assert names == {"eu-west-1": "aws", "us-gov-west-1": "aws-us-gov", "cn-north-1": "aws-cn"}


@pytest.fixture
def far(moto_server, monkeypatch):
    """A root in a bucket of another region than the environment's, on a store that refuses those that ask elsewhere."""
    with RegionalS3(moto_server, ELSEWHERE) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        store.root = f"s3://{make_bucket(f'far-{uuid.uuid4().hex[:12]}', ELSEWHERE)}/p"
        yield store


def test_a_bucket_of_another_region_is_read_by_boto3_and_by_arrow(far):
    storage = open_storage(far.root)
    storage.create("a/b", b"12")
    storage.put("c", b"3")
    assert storage.read("a/b") == b"12" and [e.key for e in storage.list()] == ["a/b", "c"]
    assert far.refused and set(far.refused) == {"eu-west-1"}  # boto3 was redirected
    assert storage.find_region() == ELSEWHERE
    system, base = storage.arrow()
    far.refused.clear()
    with system.open_input_stream(f"{base}/a/b") as file:
        assert file.read() == b"12"
    assert far.refused == []


def test_arrow_would_not_follow(far, monkeypatch):
    """The fake refuses as AWS does: without the bucket's own region the same read fails."""
    storage = open_storage(far.root)
    storage.put("a", b"1")
    monkeypatch.setattr(S3Storage, "find_region", lambda self: aws_region.need_s3_region())
    system, base = storage.arrow()
    with pytest.raises(OSError, match="301|PermanentRedirect|region"):
        system.open_input_stream(f"{base}/a")


def test_a_day_is_read_there_by_the_service_and_by_the_engines(far):
    """The service's list of a day, DuckDB over Arrow, and the split that a task of MapReduce reads: all through pyarrow."""
    make_root(far.root, right=3, n=5)
    storage = open_root(far.root)
    assert sum(count_cells(storage, MODEL, DAY).values()) == 5
    assert test_embedded.count(far.root, replace(QUESTION, model=MODEL), DAY).rows["predictions"] == 5
    (file,) = list_day(storage, DAY).predictions
    split = {"root": far.root, "key": file.key, "columns": ["prediction_id"], "row_groups": [0]}
    assert len(list(splits.read(split))) == 5


def test_tasks_of_mapreduce_are_told_where(far, monkeypatch):
    """Hadoop's streaming tasks have nothing of our environment."""
    seen = {}

    class Job:
        def __init__(self, args):
            seen["args"] = args

        def make_runner(self):
            raise InterruptedError

    monkeypatch.setattr("jobs.evaluate_mapreduce.MREvaluate", Job)
    make_root(far.root, right=3, n=5)
    storage = open_root(far.root)
    days = read_footers(storage, [list_day(storage, DAY)])[0]
    for runner in ("hadoop", "emr"):
        with pytest.raises(InterruptedError):
            next(engine.count(storage, days, QUESTION, runner=runner))
        told = [b for a, b in pairwise(seen["args"]) if a == "--cmdenv"]
        assert {f"AWS_REGION={ELSEWHERE}", f"AWS_ENDPOINT_URL={far.url}"} <= set(told)


def test_what_a_task_gets(far, monkeypatch, tmp_path):
    storage = open_storage(far.root)
    wanted = {"AWS_ENDPOINT_URL": far.url, "AWS_REGION": ELSEWHERE, "AWS_DEFAULT_REGION": ELSEWHERE}
    assert task_store.describe(storage) == (far.root, wanted)
    assert task_store.make_environment(open_storage(str(tmp_path))) == {}
    for name in wanted:
        monkeypatch.setenv(name, "http://127.0.0.1:9" if "URL" in name else "us-east-1")
    task_store.open_there((far.root, wanted)).put("x", b"1")
    assert {name: os.environ[name] for name in wanted} == wanted
