"""The shared fixtures do what they promise."""

import os

import boto3
import pytest
from botocore.exceptions import ClientError


def test_nothing_of_the_developers_own_is_visible():
    assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"
    assert not [name for name in os.environ if name.startswith("TRUEUP_") and name != "TRUEUP_ALLOW_MODULES"]
    assert os.listdir(".") == []


def test_the_s3_of_the_tests_honours_conditional_writes(s3_root):
    bucket = s3_root.split("/")[2]
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="a b", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a b", Body=b"2", IfNoneMatch="*")


def test_spark_writes_and_reads_parquet(spark, tmp_path):
    path = str(tmp_path / "some rows")
    spark.range(100).write.parquet(path)
    assert spark.read.parquet(path).count() == 100
