"""Versions and the access log of the bucket: by setting, with an end; and erasing erases every version."""

import boto3
import pytest

from contract.errors import UsageError
from contract.settings import EmrSettings
from contract.storage import open_root, open_storage
from tests.emr.everything import resources_of


def made(*overrides):
    return resources_of(*overrides)["Bucket"]["Properties"]


@pytest.mark.parametrize(("value", "status"), [("true", "Enabled"), ("false", "Suspended")])
def test_versions_are_kept_for_so_long_and_go_also_when_no_more_are_kept(value, status):
    found = made(f"emr.versioning={value}", "emr.version_days=7")
    assert found["VersioningConfiguration"] == {"Status": status}
    (rule,) = [r for r in found["LifecycleConfiguration"]["Rules"] if r["Id"] == "old-versions"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7} and rule["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in rule and "ExpirationInDays" not in rule  # of all keys; what is current stays


def test_the_access_log_goes_to_another_bucket():
    assert made("emr.access_log=logs-of-ours/trueup")["LoggingConfiguration"] == {
        "DestinationBucketName": "logs-of-ours", "LogFilePrefix": "trueup/"}
    assert made("emr.access_log=logs-of-ours")["LoggingConfiguration"] == {"DestinationBucketName": "logs-of-ours"}
    with pytest.raises(UsageError, match="expected another bucket than my-bucket"):
        made("emr.access_log=my-bucket/logs")


@pytest.mark.parametrize("more", ["emr.versioning=true", "emr.access_log=logs-of-ours"])
def test_a_bucket_that_is_not_the_stacks_is_not_changed(more):
    with pytest.raises(UsageError, match="emr.create_bucket is false: expected no emr.versioning and no emr.access_log"):
        resources_of(more, "emr.create_bucket=false")


def test_without_settings_the_bucket_is_as_it_was():
    found = made()
    assert not {"VersioningConfiguration", "LoggingConfiguration"} & set(found)
    assert [r["Id"] for r in found["LifecycleConfiguration"]["Rules"]] == ["unfinished-uploads", "old-logs-emr"]


@pytest.mark.parametrize("wrong", ["s3://logs", "Logs", "x"])
def test_what_is_no_bucket_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a bucket's name, or bucket/prefix"):
        EmrSettings(access_log=wrong)


def test_erasing_leaves_no_version_and_removing_leaves_some(s3_root):
    """`trueup forget` erases. Whatever else is removed stays among the versions until their lifecycle takes it."""
    client, (name, _, prefix) = boto3.client("s3"), s3_root.removeprefix("s3://").partition("/")
    storage = open_root(s3_root, create=True)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in ("images/ab/erased.png", "images/ab/removed.png"):
        for data in (b"one", b"two"):
            storage.put(key, data)
    storage.delete("images/ab/removed.png")
    storage.delete("images/ab/erased.png")
    storage.erase("images/ab/erased.png")
    left = client.list_object_versions(Bucket=name, Prefix=f"{prefix}/images/")
    assert {v["Key"].rpartition("/")[2] for kind in ("Versions", "DeleteMarkers") for v in left.get(kind, ())} == {"removed.png"}
    assert not open_storage(s3_root).exists("images/ab/erased.png")
