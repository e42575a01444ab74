"""The bucket: encrypted, reached by TLS only, never public; what a lifecycle may remove."""

from typing import Any

from contract import layout
from contract.errors import UsageError
from contract.settings import EmrSettings
from emr.access import split_root
from emr.template.parts import Resource, ref, sub

LOG_DAYS, UPLOAD_DAYS = 60, 7
# Derived and in nobody's way when it is gone: logs of clusters. Counts, raw rows, models, decisions and datasets (whose
# index says what was trained on) are never removed by age.
EXPIRES = {layout.logs(): LOG_DAYS}


def make_resources(root: str, settings: EmrSettings) -> dict[str, Resource]:
    """Makes the bucket and its policy; none when the bucket is somebody else's."""
    bucket, prefix = split_root(root)
    _check(bucket, settings)
    if not settings.create_bucket:
        return {}
    everything = [sub(f"arn:${{AWS::Partition}}:s3:::{bucket}{rest}") for rest in ("", "/*")]
    bucket_resource = Resource("AWS::S3::Bucket", {
        "BucketName": bucket,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [make_encryption(settings)]},
        "PublicAccessBlockConfiguration": {name: True for name in (
            "BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        **({"NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}}
           if settings.start_on != "schedule" or has_pictures(settings, bucket) else {}),
        **_keep_versions(settings), **_log_access(settings),
        "LifecycleConfiguration": {"Rules": [*make_lifecycle_rules(prefix), *make_version_rules(settings)]}}, keep=True)
    policy = Resource("AWS::S3::BucketPolicy", {"Bucket": ref("Bucket"), "PolicyDocument": {
        "Version": "2012-10-17", "Statement": [{
            "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": everything,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}, keep=True)
    return {"Bucket": bucket_resource, "BucketPolicy": policy}


def make_encryption(settings: EmrSettings) -> dict[str, Any]:
    """Makes the rule for what is written without saying how: all that we write. A bucket's key spares S3 most calls to KMS."""
    if settings.kms_key is None:
        return {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    return {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": settings.kms_key},
            "BucketKeyEnabled": True}


def _check(bucket: str, settings: EmrSettings) -> None:
    if not settings.create_bucket and (settings.versioning is not None or settings.access_log):
        raise UsageError("emr.create_bucket is false: expected no emr.versioning and no emr.access_log beside it, since the "
                         "bucket is not the stack's. Set them where the bucket is made (docs/deploy.md).")
    if settings.access_log and split_root(settings.access_log)[0] == bucket:
        raise UsageError(f"emr.access_log: expected another bucket than {bucket}: its own log would be logged, without end.")


def _keep_versions(settings: EmrSettings) -> dict[str, Any]:
    if settings.versioning is None:
        return {}
    return {"VersioningConfiguration": {"Status": "Enabled" if settings.versioning else "Suspended"}}


def _log_access(settings: EmrSettings) -> dict[str, Any]:
    if settings.access_log is None:
        return {}
    bucket, prefix = split_root(settings.access_log)
    return {"LoggingConfiguration": {"DestinationBucketName": bucket} | ({"LogFilePrefix": prefix} if prefix else {})}


def make_version_rules(settings: EmrSettings) -> list[dict[str, Any]]:
    """Makes the lifecycle of versions, of all keys: what was replaced or deleted goes by its age since then."""
    if settings.versioning is None:
        return []
    return [{"Id": "old-versions", "Status": "Enabled", "ExpiredObjectDeleteMarker": True,
             "NoncurrentVersionExpiration": {"NoncurrentDays": settings.version_days}}]


def has_pictures(settings: EmrSettings, bucket: str) -> bool:
    """Tells whether pictures that start scoring are put into this bucket."""
    return settings.score_on is not None and split_root(settings.score_on)[0] == bucket


def make_lifecycle_rules(prefix: str) -> list[dict[str, Any]]:
    """Makes the lifecycle: uploads that were never finished, and what EXPIRES names."""
    uploads = {"Id": "unfinished-uploads", "Status": "Enabled",
               "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS}}
    old = [{"Id": f"old-{folder.strip('/').replace('/', '-')}", "Status": "Enabled", "Prefix": f"{prefix}{folder}",
            "ExpirationInDays": days} for folder, days in EXPIRES.items()]
    return [uploads, *old]
